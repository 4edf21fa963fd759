/**
 * What README and docs tell people to type: every `npx tandem` line is parsed as written, those that
 * only look are run, every other program is one that is there.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import sharp from 'sharp';
import { commands, prepare } from '../../cli/main.ts';
import { optionNames } from '../../shared/core/option-table.ts';
import { command } from '../support/command.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const documents = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Where the commands are parsed: a folder of photographs, a run to resume, the project's files. */
const home = mkdtempSync(join(tmpdir(), 'tandem-documents-'));
const before = process.cwd();
after(() => {
  process.chdir(before);
  rmSync(home, { recursive: true, force: true });
});
for (const folder of ['photos', 'DIR', 'runs/0001', 'deploy']) {
  mkdirSync(join(home, folder), { recursive: true });
}
const photo = sharp({ create: { width: 40, height: 30, channels: 3, background: '#c83' } });
// As many as the defaults need for a batch.
const bytes = await photo.jpeg().toBuffer();
for (const folder of ['photos', 'DIR']) {
  for (let i = 0; i < 130; i++) writeFileSync(join(home, folder, `${i}.jpg`), bytes);
}
writeFileSync(join(home, 'runs/0001/config.yaml'), 'data: synthetic\n');
for (const name of readdirSync(join(root, 'deploy')).filter((file) => file.endsWith('.yaml'))) {
  writeFileSync(join(home, 'deploy', name), readFileSync(join(root, 'deploy', name)));
}
process.chdir(home);

/** Lines of the shell in a document, with what `set --` put into "$@". */
function shellLines(text: string): string[] {
  const lines: string[] = [];
  for (const [, block = ''] of text.matchAll(/^```sh\n([\s\S]*?)^```/gm)) {
    let given = '';
    for (const raw of block.replaceAll(/\\\n\s*/g, ' ').split('\n')) {
      const line = raw.replace(/\s+#.*$/, '').trim();
      if (line.startsWith('set -- ')) given = line.slice('set -- '.length);
      else if (line !== '') lines.push(line.replace('"$@"', given));
    }
  }
  return lines;
}

/** `npx tandem …` within a sentence. */
const inlineLines = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/`(npx tandem [^`]+)`/g)]
    .map(([, line = '']) => line.replaceAll(/\s+/g, ' '))
    .filter((line) => !/COMMAND|\bRUN\b|…/.test(line));

/** The words after `npx tandem`; brackets around what may be left out are dropped. */
const wordsOf = (line: string): string[] =>
  line
    .replace(/^npx tandem /, '')
    .replaceAll(/[[\]]/g, '')
    .replaceAll('~/', `${home}/`)
    .replaceAll(/\b(FILTER|N)\b/g, (word) => (word === 'N' ? '2' : 'resnet18'))
    .split(/\s+/);

const told = documents.flatMap((document) => {
  const text = readFileSync(join(root, document), 'utf8');
  return [...shellLines(text), ...inlineLines(text)].map((line) => ({ document, line }));
});
const silentIo = () => ({ stdout: { write: () => true }, stderr: { write: () => true }, env: {} });

test('there are commands in the documents', () => {
  assert.ok(told.filter(({ line }) => line.startsWith('npx tandem')).length >= 15);
});

for (const { document, line } of told.filter((one) => one.line.startsWith('npx tandem '))) {
  test(`${document}: "${line}" parses as written`, () => {
    const job = prepare(wordsOf(line), silentIo());
    assert.ok(typeof job === 'function' || job === 0);
  });
}

test('the row of each command in the reference names all its options', () => {
  const reference = readFileSync(join(root, 'docs/reference.md'), 'utf8');
  const [, evaluations = ''] = /## Evaluations\n([\s\S]*?)\n## /.exec(reference) ?? [];
  const missing = commands.flatMap((spec) => {
    const command = new Command();
    spec.declare(command);
    const row = new RegExp(`^\\|[^|]*\`${spec.name}[ \`].*$`, 'm').exec(reference)?.[0] ?? '';
    const told = row.includes('see below') ? evaluations : row;
    const all = /all above|as `train`|all of `train`/.test(row);
    const families = [...told.matchAll(/`--([a-z]+-)…`/g)].map(([, family = '']) => family);
    return command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long }) => (long ?? '').slice(2))
      .filter((name) => !(all && optionNames.includes(name)))
      .filter((name) => !families.some((family) => name.startsWith(family)))
      .filter((name) => !new RegExp(`\`--${name}[ \`]`).test(told))
      .map((name) => `${spec.name} --${name}`);
  });
  assert.deepEqual(missing, []);
});

const looks = /^npx tandem (data inspect|config|completion)\b/;
for (const { document, line } of told.filter((one) => looks.test(one.line))) {
  test(`${document}: "${line}" runs`, async () => {
    const { code, err, out } = await command(wordsOf(line));
    assert.equal(code, 0, err);
    assert.ok(out.length > 50);
  });
}

test('every other program in the documents is there', () => {
  const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
  for (const { document, line } of told.filter((one) => !one.line.startsWith('npx tandem '))) {
    // A variable may stand before the program: NAME=value program …
    const [program = '', first = '', second = ''] = line.replace(/^([A-Z_]+=\S+ )+/, '').split(' ');
    const where = `${document}: ${line}`;
    if (program === 'npm') {
      const name = first === 'run' ? second : first;
      assert.ok(name in scripts || ['ci', 'install'].includes(name), where);
    } else if (program === 'node') {
      const source = first.replace(/^dist\//, '').replace(/\.js$/, '.ts');
      assert.ok(existsSync(join(root, source)), where);
    } else {
      const known = [
        'sha256sum',
        'bash',
        'cmp',
        'git',
        'cd',
        'python',
        'python3',
        'pip',
        'venv/bin/python',
        'docker',
        'kubectl',
      ];
      assert.ok(known.includes(program), where);
    }
  }
});
