/**
 * The house test: what neither the compiler nor the linter can hold.
 *
 * Rooms, words, headers and lengths of the source; documents in step with the code. It reads the
 * tree as text and imports only tables. Where it fails, its message names the file and what to do.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { failures } from '../../shared/core/failures.ts';
import { optionTable } from '../../shared/core/option-table.ts';
import { roomOf, rooms } from './rooms.ts';
import { banned, guideLines, longFiles, touching, type WordRule } from './rules.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const under = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/'))
    .sort();
const lineCount = (path: string): number => read(path).replace(/\n$/, '').split('\n').length;
const none = (faults: readonly string[]): void => assert.deepEqual(faults, []);

const folders = [
  'cli',
  'coordinator',
  'dashboard',
  'deploy',
  'docs',
  'proto',
  'report',
  'shared',
  'test',
  'worker',
];
const tops = readdirSync(root, { withFileTypes: true })
  // In a linked working tree `.git` is a file.
  .filter((entry) => entry.isFile() && !['package-lock.json', '.git'].includes(entry.name))
  .map((entry) => entry.name);
const files = [...tops, ...folders.flatMap(under)].filter((path) => !path.endsWith('.tsbuildinfo'));
const sources = files.filter((path) => /\.(ts|mjs|js)$/.test(path));
const ours = sources.filter((path) => !path.startsWith('test/'));
const markdown = files.filter((path) => path.endsWith('.md'));

/** Source without comments, strings and templates: what is left is names and operators. */
function codeOf(path: string): string {
  const quiet =
    /\/\*[\s\S]*?\*\/|\/\/.*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return read(path).replace(quiet, ' ');
}

const statement = /^(?:import|export)\b[^;]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'/gm;
const call = /\b(?:import|require)\(\s*'([^']+)'\s*\)/g;

/** Everything a source imports, as paths from the root and as package names (`node` for node:*). */
function importsOf(path: string): { files: string[]; packages: string[] } {
  const found = [...read(path).matchAll(statement), ...read(path).matchAll(call)].map(
    ([, from, bare]) => from ?? bare ?? '',
  );
  const [own, foreign] = [true, false].map((mine) =>
    found.filter((s) => s.startsWith('.') === mine),
  );
  return {
    files: (own ?? []).map((specifier) => join(dirname(path), specifier)),
    packages: (foreign ?? []).map((specifier) =>
      specifier.startsWith('node:')
        ? 'node'
        : specifier
            .split('/')
            .slice(0, specifier.startsWith('@') ? 2 : 1)
            .join('/'),
    ),
  };
}

const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();
const inRoom = (name: string): string[] => ours.filter((path) => roomOf(path) === name);
const roomsFrom = (name: string): string[] =>
  sorted(
    inRoom(name)
      .flatMap((path) => importsOf(path).files.map(roomOf))
      .filter((to) => to !== name),
  );

test('the rooms table is what the source imports, no more and no less', () => {
  for (const { name, imports, packages } of rooms) {
    assert.deepEqual(roomsFrom(name), sorted(imports), `rooms imported by ${name}`);
    const touched = sorted(inRoom(name).flatMap((path) => importsOf(path).packages));
    assert.deepEqual(touched, sorted(packages), `packages touched by ${name}`);
  }
});

test('the rooms table is the one in ARCHITECTURE.md', () => {
  const names = (cell: string): string[] =>
    sorted([...cell.matchAll(/`([^`]+)`/g)].map((m) => m[1] ?? ''));
  const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `([^`]+)`( pure)? \|.*\|(.*)\|(.*)\|$/gm)];
  const told = rows.map(([, name, isPure, imports = '', packages = '']) => ({
    name,
    pure: isPure !== undefined,
    imports: names(imports),
    packages: names(packages),
  }));
  const wanted = rooms.map((r) => ({
    ...r,
    imports: sorted(r.imports),
    packages: sorted(r.packages),
  }));
  assert.deepEqual(told, wanted);
});

test('rooms point inwards: no cycle, coordinator and worker never meet, nothing imports tests', () => {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    assert.ok(!path.includes(name), `a cycle of rooms: ${[...path, name].join(' → ')}`);
    if (done.has(name)) return;
    for (const next of roomsFrom(name)) visit(next, [...path, name]);
    done.add(name);
  };
  for (const { name } of rooms) visit(name, []);
  for (const [from, to] of [
    ['coordinator', 'worker'],
    ['worker', 'coordinator'],
    ['', 'test'],
  ])
    none(
      ours.filter(
        (path) =>
          path.startsWith(from ?? '') && importsOf(path).files.some((f) => f.startsWith(`${to}/`)),
      ),
    );
});

function wordsIn(paths: readonly string[], words: readonly WordRule[]): string[] {
  return paths
    .filter((path) => path !== 'test/house/rules.ts')
    .flatMap((path) =>
      words
        .filter(([word, , except]) => !except?.includes(path) && word.test(codeOf(path)))
        .map(([word, instead]) => `${path}: ${word.exec(codeOf(path))?.[0]} (say: ${instead})`),
    );
}

test('names use the words of the house', () => {
  none(wordsIn(sources, banned));
  none(sources.filter((path) => !/(?:^|\/)[a-z0-9]+(?:[-.][a-z0-9]+)*\.(?:ts|mjs|js)$/.test(path)));
  none(sources.filter((path) => /\/(?:utils?|helpers?|misc|common)\.\w+$/.test(path)));
});

test('pure rooms have no clock, no dice, no Node and no arithmetic that machines differ in', () => {
  const pureFiles = rooms.filter((r) => r.pure).flatMap((r) => inRoom(r.name));
  assert.ok(pureFiles.length > 40);
  none(wordsIn(pureFiles, touching));
});

test('every module opens with a comment of at most 16 lines that says what it holds', () => {
  const headed = (path: string): boolean => {
    const text = read(path).replace(/^#!.*\n/, '');
    const header = /^(?:\/\*\*[\s\S]*?\*\/|(?:\/\/.*\n)+)/.exec(text)?.[0] ?? '';
    return header !== '' && header.trimEnd().split('\n').length <= 16;
  };
  none(sources.filter((path) => !headed(path)));
});

test('files are short, or stand in the list of long ones', () => {
  none(longFiles.filter((path) => !existsSync(join(root, path))));
  none(
    sources.filter((path) => {
      const guide = path.startsWith('test/') ? guideLines.test : guideLines.source;
      return lineCount(path) > (longFiles.includes(path) ? guideLines.longest : guide);
    }),
  );
});

test('the reference lists every option, the failures their code, remedy, exit and status', () => {
  const reference = read('docs/reference.md');
  none(optionTable.map((o) => `\`--${o.name}`).filter((flag) => !reference.includes(flag)));
  const rows = [
    ...read('docs/errors.md').matchAll(/^\| `([\w-]+)` \| (\w+) \| (\d+) \| (\w+) \|/gm),
  ];
  const told = rows.map(([, code, remedy, exit, status]) => [code, remedy, Number(exit), status]);
  const known = Object.entries(failures).map(([code, f]) => [code, f.remedy, f.exit, f.status]);
  assert.deepEqual(told, known);
});

test('docs/events.md tells every kind of event, the README of the wire every message and call', () => {
  const body = read('shared/core/events.ts').split('export type EventBody')[1] ?? '';
  const kinds = sorted([...body.matchAll(/kind: '([a-z-]+)'/g)].map((m) => m[1] ?? ''));
  const told = sorted(
    [...read('docs/events.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map((m) => m[1] ?? ''),
  );
  assert.ok(kinds.length > 10);
  assert.deepEqual(told, kinds);
  const wire = read('proto/tandem/v1/README.md');
  const protos = files
    .filter((path) => path.endsWith('.proto'))
    .map(read)
    .join('\n');
  const names = [...protos.matchAll(/^\s*(?:message|rpc|service) (\w+)/gm)].map((m) => m[1] ?? '');
  assert.ok(names.length > 25);
  none(names.filter((name) => !wire.includes(`\`${name}\``)));
});

test('documents are short, decisions have their four parts, links lead somewhere', () => {
  assert.ok(lineCount('README.md') <= 150 && lineCount('ARCHITECTURE.md') <= 200);
  assert.match(read('CHANGELOG.md'), /^# Changelog\n[\s\S]*?\n## \[?Unreleased\]?\n/);
  const parts = ['## Context', '## Decision', '## Consequences', '## What would change our mind'];
  const decisions = markdown.filter((path) => path.startsWith('docs/adr/'));
  decisions.forEach((path, i) => {
    assert.ok(
      path.startsWith(`docs/adr/${String(i + 1).padStart(4, '0')}-`),
      `${path}: number ${i + 1}`,
    );
    assert.ok(lineCount(path) <= 80, `${path} has more than 80 lines`);
    none(
      parts.filter((part) => !read(path).includes(`\n${part}\n`)).map((part) => `${path}: ${part}`),
    );
  });
  none(
    markdown.flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .filter(([, target = '']) => !existsSync(join(root, dirname(path), target)))
        .map(([, target]) => `${path}: ${target}`),
    ),
  );
});

test('no file names a package registry or a path of one machine', () => {
  const hosts = [
    'storage.googleapis.com',
    'www.w3.org',
    'json-schema.org',
    'www.cs.toronto.edu',
    'www.apache.org',
    'keepachangelog.com',
  ];
  const ownHost = /^(?:127\.0\.0\.1|localhost|\[::1\]|[\w-]+|[\w.-]+\.(?:example|test|invalid))$/;
  none(
    files.flatMap((path) =>
      [...read(path).matchAll(/\bhttps?:\/\/([^/\s:'"`)<$]+)/g)]
        .filter(([, host = '']) => !hosts.includes(host) && !ownHost.test(host))
        .map(([url]) => `${path}: ${url}`),
    ),
  );
  const machine = /(?:^|["'`\s=:(])\/(?:home|root|work|Users|mnt|srv)\/\w/m;
  none(files.filter((path) => machine.test(read(path))));
  assert.ok(!read('package-lock.json').includes('"resolved"'));
});
