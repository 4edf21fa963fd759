/**
 * Scale and drain on real Tandem processes: the pods of the manifests come and go by the API server's
 * word, and each is a coordinator, a worker or a nats-server with the manifest's own arguments. What
 * has to hold: the quiet run's digest and ledger, no finished leaf lost, every drain within its grace.
 *
 * Exact arithmetic on a small model stands in TensorFlow's place, because six TensorFlows are too many
 * for two cores; TANDEM_CLUSTER_COMPUTE=tensorflow takes the real one.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../shared/core/events.ts';
import { addressOf, endedWith, eventsUntil, startNode, tandem } from '../support/processes.ts';
import { buildControlPlane, cacheFolder } from './build.ts';
import { type ApiObject, type ControlPlane, startControlPlane, until } from './control-plane.ts';
import { type Kubelet, playKubelet, type PodSpec } from './kubelet.ts';
import { addStorage, enforced, gpuNodes, ownOverlay } from './surroundings.ts';
import { type TandemRunner, tandemRunner } from './tandem-runner.ts';

const deploy = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const exact = process.env['TANDEM_CLUSTER_COMPUTE'] !== 'tensorflow';
const preload = exact
  ? ['--import', new URL('../support/use-exact-compute.js', import.meta.url).href]
  : [];
/** More than it will ever get to: the scenario says where it stops. */
const steps = 100_000;
/** Of the Jobs, which end by themselves: long enough for two drains. */
const jobSteps = Number(process.env['TANDEM_CLUSTER_JOB_STEPS'] ?? (exact ? 1000 : 60));
const patienceMs = 900_000;

const runFile = [
  ...['data: synthetic:160', 'model: resnet18', 'size: 32', 'batch: 16', 'micro-batch: 2'],
  ...[`steps: ${steps}`, 'seed: 7', 'checkpoint-every: 25'],
].join('\n');

let folder: string;
let plane: ControlPlane;
let kubelet: Kubelet;
let runner: TandemRunner;

before(async () => {
  await buildControlPlane((line) => process.stderr.write(`${line}\n`));
  folder = mkdtempSync(join(tmpdir(), 'tandem-cluster-'));
  plane = await startControlPlane(folder);
  const kept = process.env['TANDEM_NATS_SERVER'] ?? join(cacheFolder, 'nats-server');
  runner = tandemRunner(plane, folder, existsSync(kept) ? kept : null, preload);
  kubelet = await playKubelet(plane, gpuNodes, runner.run);
  await addStorage(plane);
});
after(async () => {
  await kubelet?.stop();
  await plane?.stop();
  if (process.env['TANDEM_CLUSTER_KEEP'] === undefined)
    rmSync(folder, { recursive: true, force: true });
});

const specOf = (pod: ApiObject) => pod.spec as unknown as PodSpec;
const isReady = (pod: ApiObject) =>
  ((pod.status?.['conditions'] ?? []) as { type: string; status: string }[]).some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  );

async function podsOf(namespace: string, role: string): Promise<ApiObject[]> {
  const pods = await plane.list(`/api/v1/namespaces/${namespace}/pods`);
  return pods.filter((pod) => pod.metadata.labels?.['tandem.dev/role'] === role);
}

/** So many pods of a role, all ready, none on its way out. */
function settled(namespace: string, role: string, count: number): Promise<void> {
  return until(
    `${count} ${role} pods ready in ${namespace}`,
    async () => {
      const pods = await podsOf(namespace, role);
      const stays = pods.filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp);
      return pods.length === count && stays.length === count;
    },
    async () => JSON.stringify((await podsOf(namespace, role)).map(({ status }) => status)),
    patienceMs,
  );
}

interface Outcome {
  digest: string;
  ledger: string[];
}

/** The newest checkpoint of a run that has stopped, and its ledger. */
function outcomeOf(run: string): Outcome {
  const newest = readdirSync(join(run, 'checkpoints'))
    .filter((name) => name.startsWith('step-'))
    .sort()
    .at(-1);
  const model = readFileSync(join(run, 'checkpoints', newest ?? '', 'model.safetensors'));
  const ledger = readFileSync(join(run, 'ledger.jsonl'), 'utf8').trim().split('\n');
  assert.equal(newest, `step-${String(ledger.length).padStart(8, '0')}`);
  return { digest: createHash('sha256').update(model).digest('hex'), ledger };
}

/** Of each worker that was asked to leave: it left by itself, in time, and nothing of it was lost. */
function leftInOrder(events: readonly RunEvent[], expected: number): void {
  const workers = kubelet.drained.filter(({ pod }) => pod.startsWith('worker'));
  assert.ok(workers.length >= expected, `${workers.length} workers were drained`);
  for (const end of workers) {
    assert.equal(end.killed, false, JSON.stringify(end));
    assert.ok(end.tookMs < end.graceMs, JSON.stringify(end));
    assert.equal(end.exitCode, 75, JSON.stringify(end));
  }
  const lost = events.filter(
    (event) => event.kind === 'lease-moved' && event.because.includes('before their gradient'),
  );
  assert.deepEqual(lost, []);
}

const drainArgs = ['--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=300s'];

async function drainNodeOf(pod: ApiObject | undefined): Promise<void> {
  const node = pod === undefined ? '' : (specOf(pod).nodeName ?? '');
  await plane.kubectl(['drain', node, ...drainArgs]);
  await plane.kubectl(['uncordon', node]);
}

describe('scale and drain on real processes', { concurrency: 1, timeout: 3_600_000 }, () => {
  let scaled: Outcome;

  it('2 → 6 → 3 workers, a drained node, a drained coordinator: no leaf is lost', async () => {
    const namespace = 'replay';
    await enforced(plane, namespace);
    const path = ownOverlay(folder, deploy, { resources: ['overlays/cpu'], run: runFile });
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', path]);
    await settled(namespace, 'worker', 2);
    const run = runner.runFolder(namespace);
    await eventsUntil(run, ({ kind }) => kind === 'step-committed', patienceMs);
    const scale = (set: string, count: number) =>
      plane.kubectl(['scale', '-n', namespace, `statefulset/${set}`, `--replicas=${count}`]);
    await scale('worker', 6);
    await settled(namespace, 'worker', 6);
    await scale('worker', 3);
    await settled(namespace, 'worker', 3);
    await drainNodeOf((await podsOf(namespace, 'worker'))[0]);
    await settled(namespace, 'worker', 3);
    await drainNodeOf((await podsOf(namespace, 'coordinator'))[0]);
    await settled(namespace, 'coordinator', 1);
    await settled(namespace, 'worker', 3);
    const before = (await stepsOf(run)) + 2;
    await eventsUntil(run, (e) => e.kind === 'step-committed' && e.step >= before, patienceMs);
    await scale('coordinator', 0);
    await settled(namespace, 'coordinator', 0);
    scaled = outcomeOf(run);
    assert.ok(scaled.ledger.length >= before);
    const events = await eventsUntil(
      run,
      (event) => event.kind === 'run-done' && event.step >= before,
    );
    leftInOrder(events, 4);
    const joined = new Set(events.flatMap((e) => (e.kind === 'worker-joined' ? [e.worker] : [])));
    assert.equal(joined.size, 6, [...joined].join(' '));
    const figures = kubelet.drained.map(({ pod, tookMs }) => `${pod} ${tookMs} ms`);
    process.stderr.write(`${scaled.ledger.length} steps; drained: ${figures.join(', ')}\n`);
    for (const end of kubelet.drained) assert.equal(end.killed, false, JSON.stringify(end));
    await plane.kubectl(['delete', 'namespace', namespace, '--timeout=300s']);
  });

  it('a quiet run of one worker to the same step has the same digest and ledger', async (t) => {
    const path = join(folder, 'quiet.yaml');
    writeFileSync(path, `${runFile}\nstop-at: ${scaled.ledger.length}`);
    const run = join(folder, 'quiet');
    const args = ['coordinator', '--config', path, '--run', run];
    const coordinator = startNode(t, [...preload, bin, ...args]);
    const at = await addressOf(coordinator);
    const worker = startNode(t, [...preload, bin, 'worker', '--coordinator', at]);
    assert.equal(await endedWith(worker, coordinator), 0, worker.err());
    assert.equal(await coordinator.ended, 0, coordinator.err());
    const quiet = outcomeOf(run);
    assert.equal(quiet.digest, scaled.digest);
    assert.deepEqual(quiet.ledger, scaled.ledger);
  });

  it('with the component tls every part talks over TLS, and the ledger is the same', async (t) => {
    const namespace = 'certificates';
    await enforced(plane, namespace);
    const certs = join(folder, 'certs');
    const hosts = runner.serviceAddresses(namespace).join(',');
    await tandem(t, ['certs', '--out', certs, '--hosts', hosts]);
    for (const role of ['coordinator', 'worker']) {
      const keys = [`tls.crt=${certs}/${role}.crt`, `tls.key=${certs}/${role}.key`];
      const files = [...keys, `ca.crt=${certs}/ca.crt`].map((each) => `--from-file=${each}`);
      const create = ['create', 'secret', 'generic', `${role}-tls`, ...files];
      await plane.kubectl([...create, '-n', namespace]);
    }
    const path = ownOverlay(folder, deploy, {
      ...{ resources: ['overlays/cpu'], components: ['components/tls'] },
      run: `${runFile}\nstop-at: 5`,
    });
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', path]);
    const run = runner.runFolder(namespace);
    const events = await eventsUntil(run, ({ kind }) => kind === 'run-done', patienceMs);
    assert.ok(!events.some(({ kind }) => kind === 'worker-refused'));
    assert.deepEqual(outcomeOf(run).ledger, scaled.ledger.slice(0, 5));
    // The last word of the coordinator about NATS, if it has one, is no complaint.
    assert.ok(!events.some((event) => event.kind === 'warning' && event.code === 'nats'));
    await settled(namespace, 'nats', 1);
    await plane.kubectl(['delete', 'namespace', namespace, '--timeout=300s']);
  });

  it('two Jobs end by themselves, a worker and the coordinator drained on the way', async () => {
    const namespace = 'jobs';
    await enforced(plane, namespace);
    const last = Math.max(jobSteps, scaled.ledger.length);
    const run = `${runFile}\nstop-at: ${last}`;
    const path = ownOverlay(folder, deploy, { resources: ['overlays/batch-job'], run });
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', path]);
    await settled(namespace, 'worker', 2);
    const place = runner.runFolder(namespace);
    await eventsUntil(place, ({ kind }) => kind === 'step-committed', patienceMs);
    const already = kubelet.drained.length;
    await drainNodeOf((await podsOf(namespace, 'worker'))[0]);
    await settled(namespace, 'worker', 2);
    const soFar = await stepsOf(place);
    assert.ok(soFar < last, `over before the drain (${last} steps): TANDEM_CLUSTER_JOB_STEPS`);
    // A stopped coordinator is not the end: no worker may count as done while it is being moved.
    await drainNodeOf((await podsOf(namespace, 'coordinator'))[0]);
    const ends = kubelet.drained.slice(already).filter(({ pod }) => pod.startsWith('worker'));
    for (const end of ends) assert.equal(end.exitCode, 75, JSON.stringify(end));
    assert.ok(ends.length > 0);
    for (const name of ['coordinator', 'worker'])
      await until(
        `job ${name} is complete`,
        async () => {
          const job = `/apis/batch/v1/namespaces/${namespace}/jobs/${name}`;
          const { status } = await plane.api<ApiObject>('GET', job);
          const conditions = (status?.['conditions'] ?? []) as { type: string; status: string }[];
          const is = (wanted: string) =>
            conditions.some(({ type, status }) => type === wanted && status === 'True');
          assert.ok(!is('Failed'), JSON.stringify(status));
          return is('Complete');
        },
        async () => JSON.stringify(await podsOf(namespace, name)),
        patienceMs,
      );
    const { ledger } = outcomeOf(place);
    assert.equal(ledger.length, last);
    assert.deepEqual(ledger.slice(0, scaled.ledger.length), scaled.ledger);
    assert.ok(kubelet.drained.slice(already).some(({ pod }) => pod.startsWith('coordinator')));
  });
});

/** Steps that the ledger of a run holds now. */
async function stepsOf(run: string): Promise<number> {
  return readFileSync(join(run, 'ledger.jsonl'), 'utf8').trim().split('\n').length;
}
