/**
 * What the manifests, the compose file and the Dockerfiles say, held against the program: options that
 * exist, a run file that parses, exact image tags, ports and times that fit. Needs no tool; what needs
 * some is `npm run test:manifests`, what needs a control plane `npm run test:cluster`.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { readConfigFile } from '../../cli/config-file.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { command } from '../support/command.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = join(root, 'deploy', 'kubernetes');
const read = (path: string): string => readFileSync(path, 'utf8');

type Tree = { [key: string]: Tree } & (string | number | boolean | null);

const documentsOf = (path: string): Tree[] =>
  parseAllDocuments(read(path), { merge: true }).map((document) => {
    assert.deepEqual(document.errors, [], path);
    return document.toJS() as Tree;
  });

const files = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((path) => path.endsWith('.yaml'))
  .map((path) => join(folder, path))
  .sort();
const compose = documentsOf(join(root, 'compose.yaml'))[0] as Tree;
const dockerfiles = ['coordinator', 'worker'].map((role) =>
  join(root, 'deploy', 'images', `${role}.Dockerfile`),
);

/** Every text in a tree, with those that a patch holds as YAML of its own. */
function textsOf(tree: unknown): string[] {
  if (typeof tree === 'string')
    return tree.startsWith('- op:')
      ? parseAllDocuments(tree).flatMap((d) => textsOf(d.toJS()))
      : [tree];
  return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(textsOf) : [];
}

/** Every object below a tree that has this key. */
function having(tree: unknown, key: string): Tree[] {
  if (typeof tree !== 'object' || tree === null) return [];
  const below = Object.values(tree).flatMap((value) => having(value, key));
  return key in tree ? [tree as Tree, ...below] : below;
}

test('every manifest is YAML, and every file that a kustomization names is there', () => {
  assert.ok(files.length > 10);
  for (const path of files) {
    for (const tree of documentsOf(path)) {
      const named = [tree['resources'], tree['components']].flatMap((list) => textsOf(list));
      for (const name of path.endsWith('kustomization.yaml') ? named : [])
        assert.ok(existsSync(join(dirname(path), name)), `${path} names ${name}`);
    }
  }
});

test('every option in manifests and compose file is one of the program', async () => {
  const helps = ['coordinator', 'worker'].map((name) => command([name, '--help']));
  const known = new Set(
    (await Promise.all(helps)).flatMap(({ out }) => out.match(/--[a-z][a-z-]+/g) ?? []),
  );
  assert.ok(known.has('--listen') && known.has('--coordinator'));
  // NATS's own, which are no less options of a program.
  const nats =
    /^--(addr|port|http_port|jetstream|store_dir|tls|tlscert|tlskey|tlscacert|tlsverify)\b/;
  const given = [...files.flatMap(documentsOf), compose]
    .flatMap(textsOf)
    .filter((text) => /^--[a-z]/.test(text) && !nats.test(text));
  assert.ok(given.length > 20);
  const unknown = given.filter((text) => !known.has(text.split('=')[0] ?? ''));
  assert.deepEqual(unknown, []);
});

test('the run file is one, and gives every worker of the largest overlay a leaf', () => {
  const { config } = parseConfig([readConfigFile(join(folder, 'base', 'run.yaml'))]);
  const replicas = files
    .flatMap(documentsOf)
    .flatMap((tree) => having(tree, 'replicas'))
    .flatMap((tree) => having(tree['replicas'], 'count'))
    .map(({ count }) => Number(count));
  assert.ok(replicas.length > 0);
  assert.ok(config.batch / config.microBatch >= Math.max(...replicas));
});

test('every image has an exact tag, one for each use, and none is called latest', () => {
  const used = [...files.flatMap(documentsOf), compose]
    .flatMap((tree) => having(tree, 'image'))
    .map(({ image }) => String(image));
  const tags = new Map<string, Set<string>>();
  for (const image of used) {
    assert.match(image, /^[a-z0-9-]+:\d+\.\d+\.\d+(-[a-z0-9]+)?$/);
    const [name = '', tag = ''] = image.split(':');
    tags.set(name, (tags.get(name) ?? new Set()).add(tag));
  }
  assert.deepEqual([...tags.keys()].sort(), ['nats', 'tandem-coordinator', 'tandem-worker']);
  assert.equal(tags.get('nats')?.size, 1);
  const { version } = JSON.parse(read(join(root, 'package.json'))) as { version: string };
  for (const tag of [
    ...(tags.get('tandem-coordinator') ?? []),
    ...(tags.get('tandem-worker') ?? []),
  ])
    assert.ok(tag.startsWith(version), `${tag} is the tag of another release than ${version}`);
  const bases = dockerfiles.map((path) => /^ARG NODE_IMAGE=(.*)$/m.exec(read(path))?.[1] ?? '');
  assert.match(bases[0] ?? '', /^node:\d+\.\d+\.\d+-bookworm-slim$/);
  assert.equal(bases[0], bases[1]);
});

test('a worker has more time to end than it takes to drain', () => {
  const templates = files.flatMap(documentsOf).flatMap((tree) => having(tree, 'containers'));
  let seen = 0;
  for (const spec of templates) {
    const grace = textsOf(spec).find((text) => text.startsWith('--grace='));
    if (grace === undefined) continue;
    seen += 1;
    assert.ok(Number(spec['terminationGracePeriodSeconds']) > Number(grace.split('=')[1]) + 5);
  }
  assert.ok(seen > 0);
  for (const service of ['worker', 'worker-cpu'])
    assert.equal(compose['services']?.[service]?.['stop_grace_period'], '75s');
});

test('probes, services and policies name ports that a container listens on', () => {
  const base = ['coordinator', 'worker', 'nats'].flatMap((name) =>
    documentsOf(join(folder, 'base', `${name}.yaml`)),
  );
  const listening = new Set(
    base
      .flatMap((tree) => having(tree, 'containerPort'))
      .map((port) => Number(port['containerPort'])),
  );
  const args = base.flatMap(textsOf).join('\n');
  for (const port of listening)
    assert.match(args, new RegExp(`(=0\\.0\\.0\\.0:|port=)${port}\\b`), `${port}`);
  const probed = base
    .flatMap((tree) => having(tree, 'grpc'))
    .map((probe) => probe['grpc']?.['port']);
  const allowed = documentsOf(join(folder, 'base', 'network.yaml'))
    .flatMap((tree) => having(tree, 'protocol'))
    .map((port) => port['port'])
    .filter((port) => Number(port) !== 53);
  for (const port of [...probed, ...allowed]) assert.ok(listening.has(Number(port)), String(port));
});

test('no pod may run as root, write to its root, or keep a capability', () => {
  for (const name of ['coordinator', 'worker', 'nats']) {
    const trees = documentsOf(join(folder, 'base', `${name}.yaml`));
    const [container] = trees.flatMap((tree) => having(tree, 'readOnlyRootFilesystem'));
    assert.equal(container?.['readOnlyRootFilesystem'], true, name);
    assert.equal(container?.['allowPrivilegeEscalation'], false, name);
    assert.deepEqual(container?.['capabilities'], { drop: ['ALL'] }, name);
    assert.equal(trees.flatMap((tree) => having(tree, 'runAsNonRoot'))[0]?.['runAsNonRoot'], true);
  }
});

test('the last stage of an image has no compiler, and its program gets signals through an init', () => {
  for (const path of dockerfiles) {
    const last =
      read(path)
        .split(/^FROM /m)
        .at(-1) ?? '';
    assert.doesNotMatch(last, /g\+\+|gcc|python|node-gyp|npm ci/);
    assert.match(last, /^USER 10001:10001$/m);
    assert.match(last, /^ENTRYPOINT \["tini", "--", "node", /m);
  }
});
