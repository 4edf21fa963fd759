/**
 * What `.dockerignore` lets into an image, held against what the Dockerfiles copy and compile. One
 * folder too few ends every build, and no container engine is part of our tests.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfiles = ['coordinator', 'worker'].map((role) => `deploy/images/${role}.Dockerfile`);

/** The rules in order: the last one that matches a path, or a folder above it, decides. */
const rules = read('.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const lets = line.startsWith('!');
    const pattern = (lets ? line.slice(1) : line)
      .replaceAll('.', '\\.')
      .replaceAll('**/', '(?:.*/)?')
      .replaceAll(/(?<![.)])\*/g, '[^/]*');
    return { lets, pattern: new RegExp(`^${pattern}(?:/|$)`) };
  });
const isLetIn = (path: string): boolean =>
  rules.findLast(({ pattern }) => pattern.test(path))?.lets ?? true;

interface Project {
  extends?: string;
  references?: { path: string }[];
}

/** The projects that `tsc -b` builds for one, itself with them. */
function projectsFrom(folder: string, seen = new Set<string>()): Set<string> {
  if (seen.has(folder)) return seen;
  seen.add(folder);
  const { references = [] } = JSON.parse(read(`${folder}/tsconfig.json`)) as Project;
  for (const { path } of references) projectsFrom(posix.join(folder, path), seen);
  return seen;
}

test('.dockerignore is read as Docker reads it', () => {
  assert.ok(isLetIn('cli/main.ts') && isLetIn('package.json'));
  for (const path of ['docs/cluster.md', 'node_modules/x.js', 'dist/cli/main.js', '.git/HEAD'])
    assert.equal(isLetIn(path), false, path);
  assert.equal(isLetIn('cli/.tsbuildinfo'), false);
});

test('every project that an image compiles is let into its build', () => {
  for (const file of dockerfiles) {
    const built = [...read(file).matchAll(/\btsc -b (\S+)/g)].map(([, folder = '']) => folder);
    assert.ok(built.length > 0, file);
    const projects = built.flatMap((folder) => [...projectsFrom(folder)]);
    assert.ok(projects.includes('shared/core'));
    const needed = projects.flatMap((folder) => {
      const path = `${folder}/tsconfig.json`;
      const base = (JSON.parse(read(path)) as Project).extends;
      return base === undefined ? [path] : [path, posix.join(folder, base)];
    });
    const missing = needed.filter((path) => !isLetIn(path));
    assert.deepEqual(missing, [], `${file} compiles what .dockerignore leaves out`);
  }
});

test('every file that a Dockerfile copies or runs is there, and let into its build', () => {
  // Made within the build.
  const made = ['node_modules', 'dist'];
  for (const file of dockerfiles) {
    const text = read(file);
    const copied = [...text.matchAll(/^COPY (.+)$/gm)].flatMap(([, words = '']) => {
      const [first = '', ...more] = words.split(/\s+/);
      const stage = first.startsWith('--from=');
      const sources = (stage ? more : [first, ...more]).slice(0, -1);
      // Elsewhere in that stage lies what it fetched itself.
      return stage
        ? sources.filter((path) => path.startsWith('/app/')).map((path) => path.slice(5))
        : sources;
    });
    const run = [...text.matchAll(/\bnode (cli\/\S+)/g)].map(([, path = '']) => path);
    const named = [...copied, ...run].filter((path) => path !== '.' && !made.includes(path));
    assert.ok(named.includes('package.json') && named.includes('proto'), file);
    for (const path of named) {
      assert.ok(existsSync(join(root, path)), `${file} names ${path}, which is not there`);
      assert.ok(isLetIn(path), `${file} names ${path}, which .dockerignore leaves out`);
    }
  }
});
