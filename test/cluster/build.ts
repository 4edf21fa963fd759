/**
 * The programs of a Kubernetes control plane, built from Go modules once and kept in the user's cache.
 *
 * Kubernetes is no library: its staging modules are replaced by their own releases in a go.mod of
 * ours. One compile at a time, in the background of the machine: the API server alone takes four
 * minutes on a quiet machine and about 2 GB of memory.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const kubernetesVersion = 'v1.37.2';
const etcdVersion = 'v3.7.3';
const goVersion = '1.26.0';

const minor = kubernetesVersion.split('.')[1] ?? '';
const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tandem');
const home = join(cache, 'kubernetes');
/** Where the programs lie. */
export const binFolder: string = join(home, kubernetesVersion);

const kubernetes = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'];
export const programs: readonly string[] = [...kubernetes, 'etcd'];

/** Tools of `test:manifests`: name, module with version. */
const tools = {
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0',
  'kube-score': 'github.com/zegl/kube-score/cmd/kube-score@v1.20.0',
  kustomize: 'sigs.k8s.io/kustomize/kustomize/v5@v5.8.2',
} as const;

const env = (more: NodeJS.ProcessEnv = {}) => ({
  ...process.env,
  GOFLAGS: '-p=1 -mod=mod -buildvcs=false',
  GOTOOLCHAIN: 'local',
  ...more,
});

function go(args: readonly string[], cwd: string, more?: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn('nice', ['-n', '19', 'go', ...args], {
    cwd,
    env: env(more),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`go ${args.join(' ')} ended with ${code}`)),
    );
  });
}

/** A go.mod that requires Kubernetes and its staging modules at their own versions. */
async function kubernetesModule(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const lines = [
    'module tandem.test/control-plane',
    `go ${goVersion}`,
    `godebug default=go${goVersion.split('.').slice(0, 2).join('.')}`,
    `require k8s.io/kubernetes ${kubernetesVersion}`,
  ];
  const args = ['mod', 'download', '-json', `k8s.io/kubernetes@${kubernetesVersion}`];
  const found = execFileSync('go', args, { cwd: folder, env: env(), encoding: 'utf8' });
  const { GoMod } = JSON.parse(found) as { GoMod: string };
  const staging = [...readFileSync(GoMod, 'utf8').matchAll(/^\t(\S+) => \.\/staging/gm)];
  const version = kubernetesVersion.replace('v1.', 'v0.');
  for (const [, name] of staging) lines.push(`replace ${name} => ${name} ${version}`);
  writeFileSync(join(folder, 'go.mod'), `${lines.join('\n\n')}\n`);
}

/** Builds what is missing; says so before it takes minutes. */
export async function buildControlPlane(say: (line: string) => void): Promise<void> {
  const missing = programs.filter((name) => !existsSync(join(binFolder, name)));
  if (missing.length === 0) return;
  say(`building ${missing.join(', ')} once (Go; up to ten minutes) into ${binFolder} …`);
  mkdirSync(binFolder, { recursive: true });
  const sources = join(home, 'build', 'kubernetes');
  if (missing.some((name) => name !== 'etcd')) await kubernetesModule(sources);
  const stamp = [
    ['k8s.io/component-base/version.gitVersion', kubernetesVersion],
    ['k8s.io/component-base/version.gitMajor', '1'],
    ['k8s.io/component-base/version.gitMinor', minor],
  ].map(([name, value]) => `-X ${name}=${value}`);
  for (const name of missing) {
    const fresh = join(binFolder, `.${name}.partial`);
    const flags = ['build', '-trimpath', '-o', fresh, '-ldflags'];
    if (name === 'etcd') {
      const folder = join(home, 'build', 'etcd');
      mkdirSync(folder, { recursive: true });
      const module = 'go.etcd.io/etcd/server/v3';
      const text = `module tandem.test/etcd\n\ngo ${goVersion}\n\nrequire ${module} ${etcdVersion}\n`;
      writeFileSync(join(folder, 'go.mod'), text);
      await go([...flags, '-s -w', module], folder);
    } else {
      await go([...flags, `-s -w ${stamp.join(' ')}`, `k8s.io/kubernetes/cmd/${name}`], sources);
    }
    renameSync(fresh, join(binFolder, name));
    say(`built ${name}`);
  }
}

/** Path of a tool of Go's, built if it is not there; null where there is no Go. */
export async function goTool(
  name: keyof typeof tools,
  say: (line: string) => void,
): Promise<string | null> {
  const folder = join(home, 'bin');
  const path = join(folder, name);
  if (existsSync(path)) return path;
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
  } catch {
    return null;
  }
  say(`building ${name} once with Go into ${folder} …`);
  mkdirSync(folder, { recursive: true });
  const flags = { GOFLAGS: '-p=1 -buildvcs=false', GOBIN: folder };
  await go(['install', tools[name]], folder, flags);
  return path;
}

/** The user's cache of Tandem. */
export const cacheFolder: string = cache;
