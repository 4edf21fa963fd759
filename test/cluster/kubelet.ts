/**
 * The kubelet's part: nodes with GPUs that stay ready, and pods that start, become ready, end and go
 * away as the API server's objects say. What a container does is a `Runner`'s matter: nothing at all
 * (`paperRunner`), or real processes (`tandem-runner.ts`).
 *
 * As a kubelet does: a container of a pod with restartPolicy Always is started again; a pod that is
 * being deleted has its container told to stop, is killed after its grace, gets its last phase, and
 * is only then removed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiObject, ControlPlane } from './control-plane.ts';

export interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[];
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  readinessProbe?: { grpc?: { port: number; service?: string } };
  volumeMounts?: { name: string; mountPath: string }[];
}

export interface PodSpec {
  nodeName?: string;
  restartPolicy: 'Always' | 'OnFailure' | 'Never';
  containers: Container[];
  terminationGracePeriodSeconds: number;
  volumes?: { name: string; configMap?: { name: string }; secret?: { secretName: string } }[];
}

/** One life of a container. */
export interface Running {
  /** Exit code. */
  ended: Promise<number>;
  ready(): Promise<boolean>;
  terminate(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export type Runner = (pod: ApiObject, spec: PodSpec) => Promise<Running>;

/** Containers of paper: ready at once, and gone when told. */
export const paperRunner: Runner = async () => {
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  return { ended, ready: async () => true, terminate: () => end(0) };
};

export interface NodeWish {
  name: string;
  gpus: number;
}

export interface Drained {
  pod: string;
  /** From SIGTERM to the end. */
  tookMs: number;
  graceMs: number;
  exitCode: number;
  killed: boolean;
}

export interface Kubelet {
  /** Every end that was asked for. */
  readonly drained: readonly Drained[];
  stop(): Promise<void>;
}

const merge = 'application/merge-patch+json';
const nowText = () => new Date().toISOString();

async function addNode(plane: ControlPlane, { name, gpus }: NodeWish): Promise<void> {
  const labels: Record<string, string> = { 'kubernetes.io/hostname': name };
  if (gpus > 0) labels['nvidia.com/gpu.present'] = 'true';
  const taints =
    gpus > 0 ? [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] : [];
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { taints } };
  await plane.api('POST', '/api/v1/nodes', node);
  const capacity = {
    ...{ cpu: '32', memory: '256Gi', pods: '110', 'ephemeral-storage': '500Gi' },
    'nvidia.com/gpu': String(gpus),
  };
  await plane.api(
    'PATCH',
    `/api/v1/nodes/${name}/status`,
    {
      status: {
        capacity,
        allocatable: capacity,
        conditions: [
          {
            ...{ type: 'Ready', status: 'True', reason: 'Played' },
            lastHeartbeatTime: nowText(),
            lastTransitionTime: nowText(),
          },
        ],
      },
    },
    merge,
  );
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTime() };
  await plane.api('POST', leases, {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name },
    spec,
  });
}

const microTime = () => nowText().replace('Z', '000Z');

interface Life {
  running: Running | null;
  startTime: string;
  ready: boolean | null;
  restarts: number;
  stopping: boolean;
  /** The container has ended for good. */
  over: boolean;
}

/** Adds the nodes and plays their kubelets until stopped. */
export async function playKubelet(
  plane: ControlPlane,
  nodes: readonly NodeWish[],
  runner: Runner,
): Promise<Kubelet> {
  for (const node of nodes) await addNode(plane, node);
  const lives = new Map<string, Life>();
  const drained: Drained[] = [];
  const over = new AbortController();
  const faults: unknown[] = [];

  const pathOf = ({ metadata: { namespace, name } }: ApiObject) =>
    `/api/v1/namespaces/${namespace}/pods/${name}`;
  const specOf = (pod: ApiObject) => pod.spec as unknown as PodSpec;

  async function report(pod: ApiObject, life: Life, exitCode: number | null): Promise<void> {
    const spec = specOf(pod);
    const done = exitCode !== null;
    const up = !done && life.ready === true;
    const phase = done ? (exitCode === 0 ? 'Succeeded' : 'Failed') : 'Running';
    const condition = (type: string, status: boolean) => ({
      ...{ type, status: status ? 'True' : 'False', lastTransitionTime: nowText() },
    });
    const state = done
      ? {
          terminated: {
            exitCode,
            reason: exitCode === 0 ? 'Completed' : 'Error',
            finishedAt: nowText(),
          },
        }
      : { running: { startedAt: life.startTime } };
    const status = {
      phase,
      startTime: life.startTime,
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', true),
        condition('PodReadyToStartContainers', true),
        condition('ContainersReady', up),
        condition('Ready', up),
      ],
      containerStatuses: spec.containers.map(({ name, image }) => ({
        ...{ name, image, imageID: image, ready: up, started: !done, state },
        restartCount: life.restarts,
      })),
    };
    // Strategic: conditions of others (DisruptionTarget) stay.
    const type = 'application/strategic-merge-patch+json';
    await plane.api('PATCH', `${pathOf(pod)}/status`, { status }, type).catch(ignoreGone);
  }

  async function run(pod: ApiObject, life: Life): Promise<void> {
    const { restartPolicy } = specOf(pod);
    for (;;) {
      const running = await runner(pod, specOf(pod));
      life.running = running;
      if (life.stopping) running.terminate('SIGTERM');
      const code = await running.ended;
      life.running = null;
      const again = restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && code !== 0);
      if (life.stopping || over.signal.aborted || !again) {
        life.over = true;
        await report(pod, life, code);
        if (life.stopping) await remove(pod);
        return;
      }
      life.restarts += 1;
      life.ready = false;
      await report(pod, life, null);
      await sleep(1000);
    }
  }

  const remove = (pod: ApiObject) =>
    plane
      .api('DELETE', pathOf(pod), {
        ...{ apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 },
        preconditions: { uid: pod.metadata.uid },
      })
      .catch(ignoreGone);

  async function stopPod(pod: ApiObject, life: Life): Promise<void> {
    life.stopping = true;
    const graceMs = 1000 * (pod.metadata.deletionGracePeriodSeconds ?? 0);
    const { running } = life;
    if (running === null) {
      if (life.over) await remove(pod);
      return;
    }
    const began = performance.now();
    let killed = false;
    running.terminate('SIGTERM');
    const late = setTimeout(() => {
      killed = true;
      running.terminate('SIGKILL');
    }, graceMs);
    const exitCode = await running.ended;
    clearTimeout(late);
    const tookMs = Math.round(performance.now() - began);
    drained.push({ pod: pod.metadata.name, tookMs, graceMs, exitCode, killed });
  }

  async function look(): Promise<void> {
    const pods = (await plane.list('/api/v1/pods')).filter((pod) => specOf(pod).nodeName);
    for (const pod of pods) {
      const id = pod.metadata.uid ?? '';
      let life = lives.get(id);
      const phase = pod.status?.['phase'];
      if (life === undefined) {
        if (pod.metadata.deletionTimestamp !== undefined || phase !== 'Pending') {
          await remove(pod);
          continue;
        }
        life = {
          ...{ running: null, startTime: nowText(), ready: null, restarts: 0 },
          ...{ stopping: false, over: false },
        };
        lives.set(id, life);
        run(pod, life).catch((error) => faults.push(error));
      }
      if (pod.metadata.deletionTimestamp !== undefined) {
        if (!life.stopping) stopPod(pod, life).catch((error) => faults.push(error));
        continue;
      }
      if (life.running === null || life.over) continue;
      const ready = await life.running.ready();
      if (ready === life.ready || life.over) continue;
      life.ready = ready;
      await report(pod, life, null);
    }
    if (faults.length > 0) throw faults[0];
  }

  const loop = (async () => {
    while (!over.signal.aborted) {
      await look();
      await sleep(200);
    }
  })();
  const beats = setInterval(() => {
    for (const { name } of nodes) {
      const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`;
      plane.api('PATCH', path, { spec: { renewTime: microTime() } }, merge).catch(() => undefined);
    }
  }, 5000);

  return {
    drained,
    async stop() {
      over.abort();
      clearInterval(beats);
      for (const life of lives.values()) life.running?.terminate('SIGKILL');
      await loop;
    },
  };
}

/** An object that is gone meanwhile needs nothing more. */
function ignoreGone(error: Error): void {
  if (!/: (404|409) /.test(error.message)) throw error;
}
