/**
 * A real Kubernetes control plane on loopback: etcd, API server, controller manager and scheduler as
 * processes of this test. No kubelet: `kubelet.ts` plays that part. One token is everybody's.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binFolder } from './build.ts';

/** An object of the API, as far as the tests look into it. */
export interface ApiObject {
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    labels?: Record<string, string>;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
  };
  // The API's own, and wide: the tests read few of its fields.
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

export interface ControlPlane {
  /** Calls the API; rejects with the server's words where it refuses. */
  api<T>(method: string, path: string, body?: object, contentType?: string): Promise<T>;
  /** Runs kubectl; resolves to its stdout and rejects with its stderr. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  list(path: string): Promise<ApiObject[]>;
  stop(): Promise<void>;
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

const upMs = 180_000;

/** Starts all four in a folder; resolves once the API server is ready. */
export async function startControlPlane(folder: string): Promise<ControlPlane> {
  mkdirSync(folder, { recursive: true });
  const [etcdPort, peerPort, port, managerPort, schedulerPort] = await Promise.all(
    Array.from({ length: 5 }, freePort),
  );
  const file = (name: string) => join(folder, name);
  const children: ChildProcess[] = [];
  const start = (name: string, args: string[]) => {
    const out = file(`${name}.log`);
    const shell = `exec "$0" "$@" >"${out}" 2>&1`;
    const child = spawn('/bin/sh', ['-c', shell, join(binFolder, name), ...args], {
      stdio: 'ignore',
    });
    children.push(child);
    return child;
  };
  // Whatever ends this process ends them: nothing of a test stays.
  const killAll = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', killAll);
  process.once('SIGTERM', () => process.exit(143));
  const tail = (name: string) => readFileSync(file(`${name}.log`), 'utf8').slice(-3000);

  const token = randomBytes(16).toString('hex');
  writeFileSync(file('tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  execFileSync('openssl', ['genrsa', '-out', file('accounts.key'), '2048'], { stdio: 'ignore' });
  const etcd = `http://127.0.0.1:${etcdPort}`;
  start('etcd', [
    `--data-dir=${file('etcd')}`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    '--unsafe-no-fsync',
  ]);
  start('kube-apiserver', [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${file('certs')}`,
    `--token-auth-file=${file('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.test',
    `--service-account-key-file=${file('accounts.key')}`,
    `--service-account-signing-key-file=${file('accounts.key')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--endpoint-reconciler-type=none',
  ]);
  const server = `https://127.0.0.1:${port}`;
  const authority = () => readFileSync(file('certs/apiserver.crt'));

  async function call(
    method: string,
    path: string,
    body?: object,
    contentType = 'application/json',
  ): Promise<string> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const ca = authority();
    return new Promise((resolve, reject) => {
      const headers: Record<string, string | number> = { Authorization: `Bearer ${token}` };
      if (text !== undefined) {
        headers['Content-Type'] = contentType;
        // Node sends the body of a DELETE without saying how long it is.
        headers['Content-Length'] = Buffer.byteLength(text);
      }
      const sent = request(`${server}${path}`, { method, headers, ca, timeout: 30_000 }, (got) => {
        let answer = '';
        got.setEncoding('utf8').on('data', (part: string) => {
          answer += part;
        });
        got.on('end', () =>
          (got.statusCode ?? 500) < 300
            ? resolve(answer)
            : reject(new Error(`${method} ${path}: ${got.statusCode} ${answer.slice(0, 2000)}`)),
        );
      });
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.on('error', reject);
      sent.end(text);
    });
  }

  const deadline = Date.now() + upMs;
  for (let reason = ''; ; await sleep(200)) {
    try {
      if ((await call('GET', '/readyz')) === 'ok') break;
    } catch (error) {
      reason = (error as Error).message;
    }
    if (children.some((child) => child.exitCode !== null) || Date.now() > deadline) {
      for (const child of children) child.kill('SIGKILL');
      throw new Error(`no API server: ${reason}\n${tail('etcd')}\n${tail('kube-apiserver')}`);
    }
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'test',
        cluster: { server, 'certificate-authority-data': authority().toString('base64') },
      },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
  writeFileSync(file('kubeconfig'), JSON.stringify(config), { mode: 0o600 });
  const common = [`--kubeconfig=${file('kubeconfig')}`, '--leader-elect=false'];
  start('kube-controller-manager', [
    ...common,
    `--secure-port=${managerPort}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${file('manager-certs')}`,
    `--service-account-private-key-file=${file('accounts.key')}`,
    `--root-ca-file=${file('certs/apiserver.crt')}`,
  ]);
  start('kube-scheduler', [
    ...common,
    `--secure-port=${schedulerPort}`,
    '--bind-address=127.0.0.1',
    `--cert-dir=${file('scheduler-certs')}`,
  ]);

  return {
    async api<T>(method: string, path: string, body?: object, contentType?: string) {
      return JSON.parse(await call(method, path, body, contentType)) as T;
    },
    async list(path) {
      return (JSON.parse(await call('GET', path)) as { items: ApiObject[] }).items;
    },
    kubectl(args, input = '') {
      const env = { ...process.env, KUBECONFIG: file('kubeconfig'), HOME: folder };
      return new Promise((resolve, reject) => {
        const options = { env, maxBuffer: 64 << 20, timeout: 300_000 };
        const child = execFile(join(binFolder, 'kubectl'), args, options, (error, out, err) =>
          error === null
            ? resolve(out)
            : reject(new Error(`kubectl ${args.join(' ')}\n${err}\n${out.slice(-1000)}`)),
        );
        child.stdin?.on('error', () => undefined);
        child.stdin?.end(input);
      });
    },
    async stop() {
      const ended = children.map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            child.once('close', () => resolve());
          }),
      );
      // The API server last but one, etcd last: those that write to it go first.
      for (const child of [...children].reverse()) child.kill('SIGTERM');
      const late = setTimeout(() => {
        for (const child of children) child.kill('SIGKILL');
      }, 10_000);
      await Promise.all(ended);
      clearTimeout(late);
    },
  };
}

/** Waits until `enough` is true; rejects with what `describe` says of the state then. */
export async function until(
  what: string,
  enough: () => Promise<boolean>,
  describe: () => Promise<string> = async () => '',
  withinMs = 180_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await enough())) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}\n${await describe()}`);
    await sleep(200);
  }
}
