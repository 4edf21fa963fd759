/** `config print`, its derived numbers, the schema, completion, and --quiet. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configLayer } from '../../cli/config-file.ts';
import { configSchema } from '../../cli/config-schema.ts';
import { derive } from '../../cli/derived.ts';
import { writeCheckpoint } from '../../coordinator/shell/checkpoints.ts';
import { initialCopy } from '../../coordinator/shell/model-state.ts';
import { prepareRunFolder } from '../../coordinator/shell/run-folder.ts';
import { architecture } from '../../shared/core/architecture.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { optionNames, optionTable } from '../../shared/core/option-table.ts';
import { command } from '../support/command.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('config print is a file that --config takes, with the source of each value', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-config-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'own.yaml');
  writeFileSync(file, 'batch: 32\nmicro-batch: 8\nsteps: 7\n');
  const given = ['--data', 'synthetic:40', '--config', file, '--seed', '3'];
  const { code, out } = await command(['config', 'print', ...given]);
  assert.equal(code, 0);
  assert.match(out, /^seed: 3 +# flag$/m);
  assert.match(out, /^batch: 32 +# file$/m);
  assert.match(out, /^size: 64 +# default$/m);
  assert.match(out, /^# epochs: +# /m);
  assert.match(out, /^# steps: 7 of 32 images, 5.6 epochs$/m);
  assert.match(out, /^# checkpoint: \d/m);
  const printed = parseConfig([configLayer(out, 'printed.yaml')]).config;
  const layers = [configLayer(readFileSync(file, 'utf8'), file)];
  const meant = parseConfig([
    ...layers,
    { source: 'flag', values: { data: 'synthetic:40', seed: '3' } },
  ]).config;
  assert.deepEqual(printed, meant);

  const json = JSON.parse((await command(['config', 'print', ...given, '--json'])).out);
  assert.deepEqual(json.options.batch, { value: 32, source: 'file', group: 'method' });
  assert.equal(json.derived.steps, 7);
  assert.equal(json.derived.images, 40);
  assert.deepEqual(Object.keys(json.options), [...optionNames]);
  const without = JSON.parse((await command(['config', 'print', '--json'])).out);
  assert.equal(without.derived.steps, null);
});

test('the bytes of a checkpoint that are foretold are those that are written', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-derived-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await prepareRunFolder(folder);
  const { config } = parseConfig([{ source: 'flag', values: { model: 'resnet18-cifar' } }]);
  const net = architecture(config.model);
  const manifest = await writeCheckpoint({
    folder,
    generation: 1,
    architecture: net,
    copy: initialCopy(net, 1),
    step: 0,
    identity: 'i',
    hashes: { weights: '', momentum: '', statistics: '' },
    record: null,
    reproducible: true,
  });
  assert.equal(derive(config, null).checkpointBytes, manifest.bytes);
});

test('what follows from a split: fewer images and steps', () => {
  const config = (validation: string) =>
    parseConfig([{ source: 'flag', values: { validation, epochs: '2', batch: '32' } }]).config;
  assert.deepEqual(
    [derive(config('0'), 320), derive(config('0.1'), 320)].map((d) => [
      d.images,
      d.heldOut,
      d.steps,
    ]),
    [
      [320, 0, 20],
      [288, 32, 18],
    ],
  );
});

test('the schema knows every option and its limits, and lies in deploy as it is', async () => {
  const { properties } = configSchema() as { properties: Record<string, Record<string, unknown>> };
  assert.deepEqual(Object.keys(properties), [...optionNames]);
  for (const { name, kind, preset } of optionTable) {
    if (preset !== null) assert.equal(properties[name]?.['default'], preset);
    if (kind.kind === 'choice') assert.deepEqual(properties[name]?.['enum'], [...kind.of]);
  }
  const written = JSON.parse(readFileSync(join(root, 'deploy/run.schema.json'), 'utf8'));
  // To renew it: npx tandem config schema > deploy/run.schema.json, then the formatter.
  assert.deepEqual(written, configSchema());
  assert.deepEqual(JSON.parse((await command(['config', 'schema'])).out), written);
});

test('bash completes commands, options and the values of options', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-complete-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { out } = await command(['completion', 'bash']);
  const file = join(folder, 'tandem.bash');
  writeFileSync(file, out);
  const complete = (...words: string[]): string[] => {
    const script =
      `. ${file}; COMP_WORDS=(tandem ${words.map((w) => `'${w}'`).join(' ')}); ` +
      `COMP_CWORD=${words.length}; _tandem; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return stdout.split('\n').filter((word) => word !== '');
  };
  assert.deepEqual(complete('tr'), ['train']);
  assert.deepEqual(complete('train', '--micro'), ['--micro-batch']);
  assert.deepEqual(complete('train', '--precision', 'b'), ['bf16']);
  assert.deepEqual(complete('data', 'in'), ['inspect']);
  assert.deepEqual(complete('data', 'inspect', '--vali'), ['--validation']);
  assert.ok(!complete('digest', '--').includes('--batch'));
  for (const shell of ['zsh', 'fish']) {
    const script = (await command(['completion', shell])).out;
    for (const word of ['train', 'inspect', 'micro-batch', 'resnet50-cifar']) {
      if (shell === 'fish' || word !== 'resnet50-cifar') assert.ok(script.includes(word), word);
    }
    const found = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' });
    if (found.error === undefined) assert.equal(found.status, 0, found.stderr);
  }
});

test('--quiet leaves the result alone', async () => {
  const loud = await command(['data', 'inspect', '--data', 'synthetic:4', '--quiet', '--json']);
  assert.equal(loud.err, '');
  assert.equal(JSON.parse(loud.out).images, 4);
  const both = await command(['data', 'inspect', '--data', 'synthetic:4', '--quiet', '--verbose']);
  assert.equal(both.code, 64);
  assert.match(both.err, /contradict each other/);
});
