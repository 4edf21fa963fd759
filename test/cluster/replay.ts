/**
 * Scale and drain on real Tandem processes: the pods of the manifests come and go by the API server's
 * word, and each is a coordinator, a worker or a nats-server with the manifest's own arguments. What
 * has to hold: the quiet run's digest and ledger, no finished leaf lost, every drain within its grace.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../shared/core/events.ts';
import { eventsUntil, tandem } from '../support/processes.ts';
import { buildControlPlane, cacheFolder } from './build.ts';
import { type ApiObject, type ControlPlane, startControlPlane, until } from './control-plane.ts';
import { type Kubelet, playKubelet, type PodSpec } from './kubelet.ts';
import { addStorage, enforced, gpuNodes, ownOverlay } from './surroundings.ts';
import { type TandemRunner, tandemRunner } from './tandem-runner.ts';

const deploy = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const steps = Number(process.env['TANDEM_CLUSTER_STEPS'] ?? 120);
const stopAt = Math.min(20, steps);
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
  runner = tandemRunner(plane, folder, existsSync(kept) ? kept : null);
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

function outcomeOf(run: string, step: number): Outcome {
  const name = `step-${String(step).padStart(8, '0')}`;
  const model = readFileSync(join(run, 'checkpoints', name, 'model.safetensors'));
  const ledger = readFileSync(join(run, 'ledger.jsonl'), 'utf8').trim().split('\n');
  return { digest: createHash('sha256').update(model).digest('hex'), ledger };
}

/** Of each worker that was asked to leave: it left by itself, in time, and nothing of it was lost. */
function leftInOrder(events: readonly RunEvent[], expected: number, exitCode: number): void {
  const workers = kubelet.drained.filter(({ pod }) => pod.startsWith('worker'));
  assert.ok(workers.length >= expected, `${workers.length} workers were drained`);
  for (const end of workers) {
    assert.equal(end.killed, false, JSON.stringify(end));
    assert.ok(end.tookMs < end.graceMs, JSON.stringify(end));
    assert.equal(end.exitCode, exitCode, JSON.stringify(end));
  }
  const lost = events.filter(
    (event) => event.kind === 'lease-moved' && event.because.includes('before their gradient'),
  );
  assert.deepEqual(lost, []);
}

const drainArgs = ['--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=300s'];

async function drainNodeOf(namespace: string, pod: ApiObject | undefined): Promise<void> {
  const node = pod === undefined ? '' : (specOf(pod).nodeName ?? '');
  await plane.kubectl(['drain', node, ...drainArgs]);
  await plane.kubectl(['uncordon', node]);
  assert.ok(namespace);
}

describe('scale and drain on real processes', { concurrency: 1, timeout: 3_600_000 }, () => {
  let quiet: Outcome;

  it('the quiet run, one worker', async (t) => {
    const path = join(folder, 'quiet.yaml');
    writeFileSync(path, runFile);
    const run = join(folder, 'quiet');
    await tandem(t, ['train', '--config', path, '--workers', '1', '--run', run, '--json']);
    quiet = outcomeOf(run, steps);
    assert.equal(quiet.ledger.length, steps);
  });

  it('2 → 6 → 3 workers, a drained node, a drained coordinator: the same digest', async () => {
    const namespace = 'replay';
    await enforced(plane, namespace);
    const path = ownOverlay(folder, deploy, { resources: ['overlays/cpu'], run: runFile });
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', path]);
    await settled(namespace, 'worker', 2);
    const run = runner.runFolder(namespace);
    await eventsUntil(run, ({ kind }) => kind === 'step-committed', patienceMs);
    const scale = (count: number) =>
      plane.kubectl(['scale', '-n', namespace, 'statefulset/worker', `--replicas=${count}`]);
    await scale(6);
    await settled(namespace, 'worker', 6);
    await scale(3);
    await settled(namespace, 'worker', 3);
    await drainNodeOf(namespace, (await podsOf(namespace, 'worker'))[0]);
    await settled(namespace, 'worker', 3);
    await drainNodeOf(namespace, (await podsOf(namespace, 'coordinator'))[0]);
    await settled(namespace, 'coordinator', 1);
    const events = await eventsUntil(run, ({ kind }) => kind === 'run-done', patienceMs);
    const last = events.at(-1);
    assert.equal(last?.kind === 'run-done' && last.digest, quiet.digest);
    const outcome = outcomeOf(run, steps);
    assert.equal(outcome.digest, quiet.digest);
    assert.deepEqual(outcome.ledger, quiet.ledger);
    leftInOrder(events, 4, 0);
    const joined = new Set(events.flatMap((e) => (e.kind === 'worker-joined' ? [e.worker] : [])));
    assert.equal(joined.size, 6, [...joined].join(' '));
    const coordinator = kubelet.drained.find(({ pod }) => pod === 'coordinator-0');
    assert.equal(coordinator?.killed, false);
    const figures = kubelet.drained.map(({ pod, tookMs }) => `${pod} ${tookMs} ms`);
    process.stderr.write(`drained: ${figures.join(', ')}\n`);
    await plane.kubectl(['delete', 'namespace', namespace, '--timeout=300s']);
  });

  it('two Jobs end by themselves, a worker drained on the way', async () => {
    const namespace = 'jobs';
    await enforced(plane, namespace);
    const run = `${runFile}\nstop-at: ${stopAt}`;
    const path = ownOverlay(folder, deploy, { resources: ['overlays/batch-job'], run });
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', path]);
    await settled(namespace, 'worker', 2);
    const place = runner.runFolder(namespace);
    await eventsUntil(place, ({ kind }) => kind === 'step-committed', patienceMs);
    const already = kubelet.drained.length;
    await drainNodeOf(namespace, (await podsOf(namespace, 'worker'))[0]);
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
    assert.deepEqual(outcomeOf(place, stopAt).ledger, quiet.ledger.slice(0, stopAt));
  });
});
