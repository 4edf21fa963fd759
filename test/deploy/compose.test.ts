/** What compose.yaml promises to a machine with several GPUs, and at the end of a run. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compose, documentsOf, read, root, type Tree, textsOf } from '../support/deployed.ts';

const services = new Map<string, Tree>(Object.entries(compose['services'] ?? {}));
const profile = (name: string): [string, Tree][] =>
  [...services].filter(([, service]) => textsOf(service['profiles']).includes(name));
const gpusOf = (service: Tree): Tree | undefined =>
  service['deploy']?.['resources']?.['reservations']?.['devices'];
const texts = ['compose.yaml', 'docs/cluster.md'].map((path) => read(join(root, path)));

test('one container has all GPUs and starts a worker for each; none is scaled over them', () => {
  const withGpus = profile('gpu').filter(([, service]) => gpusOf(service) !== undefined);
  assert.equal(withGpus.length, 1);
  const [[name, service]] = withGpus as [[string, Tree]];
  // Compose gives every container of a service the same GPUs.
  assert.equal(gpusOf(service)?.['0']?.['count'], 'all' as unknown);
  const [program, ...options] = textsOf(service['command']);
  assert.equal(program, 'train');
  for (const option of ['--workers=${WORKERS:-1}', '--require-gpu'])
    assert.ok(options.includes(option), `${name} lacks ${option}`);
  for (const text of texts) {
    assert.match(text, /WORKERS=\d+ docker compose --profile gpu up/);
    assert.doesNotMatch(text, /--profile gpu[^\n`]*--scale/);
  }
});

test('a command to start a profile names services of it, and ends with the run', () => {
  for (const text of texts) {
    const given = [...text.matchAll(/docker compose --profile (\w+) up([^\n`]*)/g)];
    assert.deepEqual(new Set(given.map(([, name]) => name)), new Set(['gpu', 'cpu']));
    for (const [line, name = '', options = ''] of given) {
      const there = profile(name).map(([service]) => service);
      const from = /--exit-code-from (\S+)/.exec(options)?.[1];
      // NATS never ends, and `up` would stay with it.
      assert.ok(from !== undefined && there.includes(from), line);
      const scaled = /--scale (\S+)=/.exec(options)?.[1];
      assert.ok(scaled === undefined || there.includes(scaled), line);
    }
  }
});

test('what fails is started again, and not for ever', () => {
  for (const [name, service] of services) {
    const tries = /^on-failure:(\d+)$/.exec(String(service['restart']))?.[1];
    assert.ok(Number(tries) >= 3 && Number(tries) <= 10, `${name}: ${service['restart']}`);
  }
});

test('train has longer to end than its own processes have', () => {
  const [[, service]] = profile('gpu').filter(([name]) => name === 'train') as [[string, Tree]];
  // They are killed after a minute (cli/children.ts).
  assert.equal(service['stop_grace_period'], '2m' as unknown);
});

test("a volume's folder is there in the image, and its user's own", () => {
  let seen = 0;
  for (const [name, service] of services) {
    const dockerfile = service['build']?.['dockerfile'];
    if (dockerfile === undefined) continue;
    const last =
      read(join(root, String(dockerfile)))
        .split(/^FROM /m)
        .at(-1) ?? '';
    for (const volume of textsOf(service['volumes'])) {
      const [, target = ''] = volume.split(':');
      seen += 1;
      for (const words of ['mkdir -p', 'chown 10001:10001'])
        assert.match(last, new RegExp(`${words}[^\\n]* ${target}( |$)`, 'm'), `${name}: ${words}`);
    }
  }
  assert.equal(seen, 2);
});

test('both ways train the run of the base', () => {
  const file = String(compose['configs']?.['run']?.['file']);
  assert.equal(documentsOf(join(root, file)).length, 1);
  for (const name of ['coordinator', 'train'])
    for (const option of ['--config=/etc/tandem/run.yaml', '--run=/var/lib/tandem/run'])
      assert.ok(textsOf(services.get(name)?.['command']).includes(option), `${name}: ${option}`);
});
