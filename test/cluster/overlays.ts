/**
 * The manifests before a real control plane: every overlay is admitted in a namespace that enforces
 * restricted Pod Security, scales and drains as docs/cluster.md says, and each worker holds one GPU.
 * Containers are of paper here; `replay.ts` plays the same with real processes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildControlPlane } from './build.ts';
import { type ApiObject, type ControlPlane, startControlPlane, until } from './control-plane.ts';
import { type Kubelet, paperRunner, playKubelet, type PodSpec, type Runner } from './kubelet.ts';
import { addStorage, enforced, gpuNodes, ownOverlay } from './surroundings.ts';

const deploy = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const overlays = readdirSync(join(deploy, 'overlays')).sort();

let folder: string;
let plane: ControlPlane;
let kubelet: Kubelet;

/** Exit codes with which containers of paper end at once, by `namespace/role`. */
const failing = new Map<string, number>();
const runner: Runner = async (pod, spec) => {
  const code = failing.get(`${pod.metadata.namespace}/${role(pod)}`);
  if (code === undefined) return paperRunner(pod, spec);
  return { ended: Promise.resolve(code), ready: async () => false, terminate: () => undefined };
};

before(async () => {
  await buildControlPlane((line) => process.stderr.write(`${line}\n`));
  folder = mkdtempSync(join(tmpdir(), 'tandem-cluster-'));
  plane = await startControlPlane(folder);
  kubelet = await playKubelet(plane, gpuNodes, runner);
  await addStorage(plane);
});
after(async () => {
  await kubelet?.stop();
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const specOf = (pod: ApiObject) => pod.spec as unknown as PodSpec;
const role = (pod: ApiObject) => pod.metadata.labels?.['tandem.dev/role'];
const readyPods = (pods: readonly ApiObject[]) =>
  pods.filter((pod) => {
    const conditions = (pod.status?.['conditions'] ?? []) as { type: string; status: string }[];
    const ready = conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
    return ready && pod.metadata.deletionTimestamp === undefined;
  });

async function podsOf(namespace: string, wanted: string): Promise<ApiObject[]> {
  const pods = await plane.list(`/api/v1/namespaces/${namespace}/pods`);
  return pods.filter((pod) => role(pod) === wanted);
}
const workers = (namespace: string) => podsOf(namespace, 'worker');
const namesOf = (pods: readonly ApiObject[]) => pods.map((pod) => pod.metadata.name).sort();

async function workersReady(namespace: string, count: number): Promise<ApiObject[]> {
  const state = async () =>
    JSON.stringify(
      (await workers(namespace)).map(({ metadata, status }) => [metadata.name, status]),
    );
  await until(
    `${count} workers ready in ${namespace}`,
    async () => {
      const found = await workers(namespace);
      return readyPods(found).length === count && found.length === count;
    },
    state,
  );
  return workers(namespace);
}

const batchJobFolder = join(deploy, 'overlays', 'batch-job');
async function batchJob(namespace: string): Promise<void> {
  await enforced(plane, namespace);
  await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', batchJobFolder]);
}
const jobPath = (namespace: string, name: string) =>
  `/apis/batch/v1/namespaces/${namespace}/jobs/${name}`;
/** Why a Job has failed, or null while it has not. */
async function endOf(namespace: string, name: string): Promise<string | null> {
  const { status } = await plane.api<ApiObject>('GET', jobPath(namespace, name));
  const conditions = (status?.['conditions'] ?? []) as Record<string, string>[];
  const failed = conditions.find((each) => each['type'] === 'Failed' && each['status'] === 'True');
  return failed?.['reason'] ?? null;
}

/** Each worker asks for one GPU, and no node gives away more than it has. */
function holdOneGpuEach(pods: readonly ApiObject[]): void {
  const used = new Map<string, number>();
  for (const pod of pods) {
    const { nodeName = '', containers } = specOf(pod);
    assert.equal(containers[0]?.resources?.limits?.['nvidia.com/gpu'], '1', pod.metadata.name);
    used.set(nodeName, (used.get(nodeName) ?? 0) + 1);
  }
  for (const { name, gpus } of gpuNodes) assert.ok((used.get(name) ?? 0) <= gpus, name);
}

/** Drains a node; what kubectl says. */
async function drained(node: string, ...more: string[]): Promise<string> {
  const drain = ['drain', node, '--ignore-daemonsets', '--delete-emptydir-data', ...more];
  const out = await plane.kubectl([...drain, '--timeout=120s']);
  assert.match(out, new RegExp(`node/${node} drained`));
  return out;
}

describe('the overlays before a real API server', { concurrency: 1, timeout: 1_200_000 }, () => {
  for (const overlay of overlays)
    it(`${overlay}: applies server-side with strict validation, and its pods run`, async () => {
      const namespace = `all-${overlay}`;
      await enforced(plane, namespace);
      const path = join(deploy, 'overlays', overlay);
      const args = ['apply', '--server-side', '--validate=strict', '-n', namespace, '-k', path];
      const applied = await plane.kubectl(args);
      assert.match(applied, /serverside-applied/);
      // Applied once more, nothing changes hands and nothing is refused.
      await plane.kubectl(args);
      const sets = await plane.list(`/apis/apps/v1/namespaces/${namespace}/statefulsets`);
      for (const set of sets)
        await until(`${overlay}: ${set.metadata.name} has its replicas`, async () => {
          const path = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${set.metadata.name}`;
          const { spec, status } = await plane.api<ApiObject>('GET', path);
          return status?.['readyReplicas'] === spec?.['replicas'];
        });
      const jobs = await plane.list(`/apis/batch/v1/namespaces/${namespace}/jobs`);
      assert.equal(sets.length + jobs.length > 1, true);
      for (const job of jobs)
        await until(`${overlay}: job ${job.metadata.name} has its pods`, async () => {
          const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${job.metadata.name}`;
          const { spec, status } = await plane.api<ApiObject>('GET', path);
          return status?.['ready'] === spec?.['parallelism'];
        });
      if (overlay !== 'cpu') holdOneGpuEach(await workers(namespace));
      await plane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=120s']);
    });

  it('a pod that is not restricted is refused there', async () => {
    await enforced(plane, 'refusing');
    const pod = {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'root' } },
      spec: { containers: [{ name: 'c', image: 'nats:2.15.2-alpine' }] },
    };
    await assert.rejects(
      plane.api('POST', '/api/v1/namespaces/refusing/pods', pod),
      /violates PodSecurity/,
    );
  });

  it('a field that does not exist is refused by name', async () => {
    await enforced(plane, 'strict');
    const set = readFileSync(join(deploy, 'base', 'worker.yaml'), 'utf8');
    const wrong = set.replace('podManagementPolicy', 'podManagmentPolicy');
    const args = ['apply', '--server-side', '--validate=strict', '-n', 'strict', '-f', '-'];
    await assert.rejects(plane.kubectl(args, wrong), /podManagmentPolicy/);
  });

  it('with every component it is admitted as well', async () => {
    await enforced(plane, 'parts');
    for (const overlay of ['multi-node', 'batch-job']) {
      const path = ownOverlay(folder, deploy, {
        resources: [`overlays/${overlay}`],
        components: readdirSync(join(deploy, 'components')).map((name) => `components/${name}`),
      });
      const args = ['apply', '--server-side', '--validate=strict', '--dry-run=server'];
      const objects = await plane.kubectl(['kustomize', path]);
      await plane.kubectl([...args, '-n', 'parts', '-f', '-'], objects);
    }
  });

  it('kubectl scale takes workers from 2 to 6 and to 3', async () => {
    await enforced(plane, 'scaled');
    const base = join(deploy, 'base');
    await plane.kubectl(['apply', '--server-side', '-n', 'scaled', '-k', base]);
    holdOneGpuEach(await workersReady('scaled', 2));
    const scale = (count: number) =>
      plane.kubectl(['scale', '-n', 'scaled', 'statefulset/worker', `--replicas=${count}`]);
    await scale(6);
    holdOneGpuEach(await workersReady('scaled', 6));
    await scale(3);
    const left = await workersReady('scaled', 3);
    assert.deepEqual(namesOf(left), ['worker-0', 'worker-1', 'worker-2']);
  });

  it('a drain takes all workers of a node at once, also when there is no room for them', async () => {
    // Eight workers on two nodes of four GPUs each: those of a drained node have nowhere to go.
    await plane.kubectl(['scale', '-n', 'scaled', 'statefulset/worker', '--replicas=8']);
    await workersReady('scaled', 8);
    const node = 'gpu-a';
    const there = (await workers('scaled')).filter((pod) => specOf(pod).nodeName === node);
    assert.ok(there.length > 1);
    const out = await drained(node);
    for (const name of namesOf(there)) assert.match(out, new RegExp(`pod/${name} evicted`));
    const gone = (await workers('scaled')).filter((pod) => specOf(pod).nodeName === node);
    assert.deepEqual(namesOf(gone), []);
    await until('their successors wait for a GPU', async () => {
      const found = await workers('scaled');
      return found.length === 8 && readyPods(found).length === 8 - there.length;
    });
    await plane.kubectl(['uncordon', node]);
    await workersReady('scaled', 8);
  });

  it('a drain takes the coordinator too, and it comes back on its volume', async () => {
    const path = '/api/v1/namespaces/scaled/pods/coordinator-0';
    const before = await plane.api<ApiObject>('GET', path);
    const { nodeName = '' } = specOf(before);
    assert.match(await drained(nodeName), /pod\/coordinator-0 evicted/);
    await until('coordinator-0 runs again elsewhere', async () => {
      const now = await plane.api<ApiObject>('GET', path).catch(() => null);
      return (
        now !== null && now.metadata.uid !== before.metadata.uid && readyPods([now]).length > 0
      );
    });
    await plane.kubectl(['uncordon', nodeName]);
    await plane.kubectl(['delete', 'namespace', 'scaled', '--wait=true', '--timeout=120s']);
  });

  it('the Indexed Job scales by a patch, up and down, and lets a drain through', async () => {
    await batchJob('batch');
    holdOneGpuEach(await workersReady('batch', 2));
    const patch = (count: number) => {
      const spec = JSON.stringify({ spec: { parallelism: count, completions: count } });
      return plane.kubectl(['patch', '-n', 'batch', 'job', 'worker', '-p', spec]);
    };
    await patch(6);
    holdOneGpuEach(await workersReady('batch', 6));
    await patch(3);
    await workersReady('batch', 3);
    const [first] = await workers('batch');
    const node = first === undefined ? '' : (specOf(first).nodeName ?? '');
    // Not "evicted", which kubectl does not say of a pod that is gone before it looks again.
    const leaving = first?.metadata.name;
    assert.match(await drained(node, '--force'), new RegExp(`evicting pod batch/${leaving}\n`));
    assert.ok(!namesOf(await workers('batch')).includes(leaving ?? ''));
    await plane.kubectl(['uncordon', node]);
    await plane.kubectl(['delete', 'namespace', 'batch', '--wait=true', '--timeout=120s']);
  });

  it('a coordinator without workers waits, and the deadline that ends it can be patched', async () => {
    const namespace = 'no-workers';
    // Refused for good: another device class.
    failing.set(`${namespace}/worker`, 76);
    await batchJob(namespace);
    await until(
      'the workers are given up',
      async () => (await endOf(namespace, 'worker')) !== null,
    );
    assert.equal(await endOf(namespace, 'worker'), 'FailedIndexes');
    const job = await plane.api<ApiObject>('GET', jobPath(namespace, 'worker'));
    assert.equal(job.status?.['failedIndexes'], '0,1');
    assert.equal(await endOf(namespace, 'coordinator'), null);
    // Another wave of workers finds it there.
    failing.delete(`${namespace}/worker`);
    await plane.kubectl(['delete', '-n', namespace, 'job', 'worker']);
    await plane.kubectl(['apply', '--server-side', '-n', namespace, '-k', batchJobFolder]);
    await workersReady(namespace, 2);
    const patch = (seconds: number) =>
      plane.kubectl([
        ...['patch', '-n', namespace, 'job', 'coordinator', '-p'],
        JSON.stringify({ spec: { activeDeadlineSeconds: seconds } }),
      ]);
    await patch(7_776_000);
    assert.equal(await endOf(namespace, 'coordinator'), null);
    const already = kubelet.drained.length;
    await patch(1);
    const over = async () => (await endOf(namespace, 'coordinator')) === 'DeadlineExceeded';
    await until('the deadline ends the coordinator', over);
    // As a drain does: SIGTERM, and two minutes for a checkpoint.
    const [end] = kubelet.drained.slice(already);
    assert.match(end?.pod ?? '', /^coordinator-/);
    assert.deepEqual([end?.graceMs, end?.killed], [120_000, false]);
    await plane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=120s']);
  });

  it('workers without a coordinator are tried six times each, and give up', async () => {
    const namespace = 'no-coordinator';
    failing.set(`${namespace}/coordinator`, 78);
    failing.set(`${namespace}/worker`, 69);
    await batchJob(namespace);
    await until('the coordinator fails at its first try', async () => {
      return (await endOf(namespace, 'coordinator')) === 'PodFailurePolicy';
    });
    assert.equal((await podsOf(namespace, 'coordinator')).length, 1);
    const tries = async () => `${(await podsOf(namespace, 'worker')).length} tries`;
    const over = async () => (await endOf(namespace, 'worker')) === 'FailedIndexes';
    // The pauses alone: 10, 20, 40, 80 and 160 seconds.
    await until('the workers are given up', over, tries, 420_000);
    assert.equal(await tries(), '12 tries');
    await plane.kubectl(['delete', 'namespace', namespace, '--wait=true', '--timeout=120s']);
  });
});
