/**
 * What the manifests, the compose file and the Dockerfiles say, held against the program: options that
 * exist, a run file that parses, exact image tags, ports and times that fit. Needs no tool; what needs
 * some is `npm run test:manifests`, what needs a control plane `npm run test:cluster`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readConfigFile } from '../../cli/config-file.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { command } from '../support/command.ts';
import {
  compose,
  dockerfiles,
  documentsOf,
  having,
  manifestFiles as files,
  manifests as folder,
  namesOf,
  read,
  root,
  type Tree,
  textsOf,
} from '../support/deployed.ts';

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
  const helps = ['coordinator', 'worker', 'train'].map((name) => command([name, '--help']));
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
  assert.equal(compose['services']?.['worker-cpu']?.['stop_grace_period'], '75s');
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

test('each of the two Jobs ends where the other has failed for good', () => {
  const jobs = documentsOf(join(folder, 'overlays', 'batch-job', 'jobs', 'jobs.yaml'));
  const specOf = (name: string): Tree | undefined =>
    jobs.find(
      (tree) => tree['kind'] === ('Job' as unknown) && tree['metadata']?.['name'] === name,
    )?.['spec'];
  // With no worker left the coordinator waits, longer than a run should take, and not for ever.
  const days = Number(specOf('coordinator')?.['activeDeadlineSeconds']) / 86_400;
  assert.ok(days >= 28 && days <= 92, `${days} days`);
  // With no coordinator left each try of a worker holds its GPU for five minutes. A coordinator that
  // is only being moved, off a machine that died, must find its workers again.
  const tries = 1 + Number(specOf('worker')?.['backoffLimitPerIndex']);
  assert.ok(5 * tries >= 20 && 5 * tries <= 40, `${tries} tries`);
  // Workers may wait for GPUs for as long as a queue is long.
  assert.equal(specOf('worker')?.['activeDeadlineSeconds'], undefined);
  const guide = read(join(root, 'docs', 'cluster.md'));
  assert.match(guide, new RegExp(`\\b${days} days\\b`));
  assert.match(guide, new RegExp(`\\b${tries} times\\b`));
});

test('the component dns-any lets the same pods ask any address, on the two ports of a DNS', () => {
  const policy = (path: string) =>
    documentsOf(join(folder, path)).find((tree) =>
      String(tree['metadata']?.['name']).startsWith('dns'),
    )?.['spec'];
  const [narrow, wide] = [policy('base/network.yaml'), policy('components/dns-any/network.yaml')];
  assert.deepEqual(wide?.['podSelector'], narrow?.['podSelector']);
  assert.deepEqual(wide?.['policyTypes'], ['Egress']);
  const ports = ['UDP', 'TCP'].flatMap((protocol) =>
    [53, 5353].map((port) => ({ port, protocol })),
  );
  assert.deepEqual(wide?.['egress'], [{ ports }]);
});

test('docs/cluster.md names every overlay and component, and builds every image they use', () => {
  const guide = read(join(root, 'docs', 'cluster.md'));
  for (const name of [...namesOf('overlays'), ...namesOf('components')])
    assert.ok(guide.includes(`\`${name}\``), `docs/cluster.md does not name ${name}`);
  const trees = [...files.flatMap(documentsOf), compose];
  const used = trees.flatMap((tree) => having(tree, 'image')).map(({ image }) => String(image));
  const retagged = trees
    .flatMap((tree) => having(tree, 'newTag'))
    .map(({ name, newTag }) => `${name}:${newTag}`);
  const own = new Set([...used, ...retagged].filter((image) => image.startsWith('tandem-')));
  assert.equal(own.size, 3);
  for (const image of own) assert.ok(guide.includes(` -t ${image} .\n`), `nothing builds ${image}`);
});
