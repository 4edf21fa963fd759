/**
 * Containers as real processes: the arguments of a pod's manifest, run by `node bin.js` or a real
 * nats-server, with addresses and mounts of this machine in the place of the cluster's.
 *
 * Each pod has an address of its own in 127/8, so every port is the manifest's. Coordinator and NATS
 * keep theirs, as the address of their Service stays. `--require-gpu` is left out: there is no GPU.
 */
import { spawn } from 'node:child_process';
import { openSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askHealth } from '../support/health-probe.ts';
import type { ApiObject, ControlPlane } from './control-plane.ts';
import type { PodSpec, Runner, Running } from './kubelet.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));

export interface TandemRunner {
  run: Runner;
  /** The run folder on the volume of a namespace's coordinator. */
  runFolder(namespace: string): string;
  /** What the Services of a namespace are reached at: names in certificates. */
  serviceAddresses(namespace: string): string[];
}

/** Addresses of Services in the network of a namespace, which is 127.N; workers count from 127.N.1.1. */
const services: Readonly<Record<string, number>> = { coordinator: 1, nats: 2 };

/** Runs below `folder`; without a nats-server its pod is of paper. */
export function tandemRunner(
  plane: ControlPlane,
  folder: string,
  natsServer: string | null,
  /** Before the program, such as a preload. */
  nodeArgs: readonly string[] = [],
): TandemRunner {
  let workers = 0;
  const networks = new Map<string, number>();
  const volume = (namespace: string, name: string) => {
    const path = join(folder, 'volumes', namespace, name);
    mkdirSync(path, { recursive: true });
    return path;
  };

  /** N of a namespace's network 127.N: ours alone among those that test at the same time. */
  const networkOf = (namespace: string): number => {
    const network = networks.get(namespace) ?? 1 + ((process.pid + networks.size) % 250);
    networks.set(namespace, network);
    return network;
  };

  async function mountRunFile(pod: ApiObject, spec: PodSpec): Promise<string> {
    const namespace = pod.metadata.namespace ?? '';
    const name = spec.volumes?.find((each) => each.configMap)?.configMap?.name;
    const path = join(volume(namespace, 'etc'), 'run.yaml');
    if (name !== undefined) {
      const map = `/api/v1/namespaces/${namespace}/configmaps/${name}`;
      const { data } = await plane.api<{ data: Record<string, string> }>('GET', map);
      writeFileSync(path, data['run.yaml'] ?? '');
    }
    return path;
  }

  /** Where each secret of a pod is mounted there, and where it lies here. */
  async function mountSecrets(pod: ApiObject, spec: PodSpec): Promise<[string, string][]> {
    const namespace = pod.metadata.namespace ?? '';
    const mounts: [string, string][] = [];
    for (const { name, secret } of spec.volumes ?? []) {
      if (secret === undefined) continue;
      const at = spec.containers[0]?.volumeMounts?.find((mount) => mount.name === name)?.mountPath;
      const path = `/api/v1/namespaces/${namespace}/secrets/${secret.secretName}`;
      const { data } = await plane.api<{ data: Record<string, string> }>('GET', path);
      const here = volume(namespace, secret.secretName);
      for (const [file, text] of Object.entries(data))
        writeFileSync(join(here, file), Buffer.from(text, 'base64'), { mode: 0o440 });
      if (at !== undefined) mounts.push([at, here]);
    }
    return mounts;
  }

  async function run(pod: ApiObject, spec: PodSpec): Promise<Running> {
    const { namespace = '', name } = pod.metadata;
    const [container] = spec.containers;
    if (container === undefined) throw new Error(`${name} has no container`);
    const network = networkOf(namespace);
    const own = services[container.name];
    if (own === undefined) workers += 1;
    const ip = own === undefined ? `127.${network}.1.${workers}` : `127.${network}.0.${own}`;
    const runFile = await mountRunFile(pod, spec);
    const secrets = await mountSecrets(pod, spec);
    const place = (text: string): string =>
      secrets
        .reduce((now, [at, here]) => now.replace(`=${at}/`, `=${here}/`), text)
        .replace(/^(--[a-z]+=)(0\.0\.0\.0|127\.0\.0\.1)(?=:|$)/, `$1${ip}`)
        .replace(/\bcoordinator:/, `127.${network}.0.${services['coordinator']}:`)
        .replace('//nats:', `//127.${network}.0.${services['nats']}:`)
        .replace('$(POD_NAME)', name)
        .replace('/etc/tandem/run.yaml', runFile)
        .replace('/var/lib/tandem', volume(namespace, 'run'))
        .replace(/=\/data$/, `=${volume(namespace, 'data')}`);
    const args = (container.args ?? []).filter((arg) => arg !== '--require-gpu').map(place);
    const nats = container.name === 'nats';
    if (nats && natsServer === null) return paper();
    const out = openSync(join(volume(namespace, 'logs'), `${name}.log`), 'a');
    const child = spawn(
      nats ? (natsServer ?? '') : process.execPath,
      nats ? args : ['--no-incremental-marking', ...nodeArgs, bin, ...args],
      { stdio: ['ignore', out, out], env: { ...process.env, NO_COLOR: '1' } },
    );
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
    });
    const probe = container.readinessProbe?.grpc;
    return {
      ended,
      terminate: (signal) => void child.kill(signal),
      async ready() {
        if (probe === undefined) return natsReady(`http://${ip}:8222/healthz`);
        const answer = askHealth(`${ip}:${probe.port}`, probe.service ?? '');
        return answer.then(
          (status) => status === 'SERVING',
          () => false,
        );
      },
    };
  }

  return {
    run,
    runFolder: (namespace) => join(volume(namespace, 'run'), 'run'),
    serviceAddresses: (namespace) =>
      Object.values(services).map((last) => `127.${networkOf(namespace)}.0.${last}`),
  };
}

const natsReady = (url: string): Promise<boolean> =>
  fetch(url).then(
    (answer) => answer.ok,
    () => false,
  );

/** Stands where no nats-server is to be had. */
function paper(): Running {
  let end: (code: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  return { ended, ready: async () => true, terminate: () => end(0) };
}
