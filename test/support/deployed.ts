/** The files of `deploy/` and compose.yaml as trees, and what tests look for in them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

/** Of the repository. */
export const root: string = fileURLToPath(new URL('../../../', import.meta.url));
export const read = (path: string): string => readFileSync(path, 'utf8');

/** A tree of YAML; what is asked of it decides what it is. */
export type Tree = { [key: string]: Tree } & (string | number | boolean | null);

/** The documents of a YAML file; a fault in one fails the test. */
export const documentsOf = (path: string): Tree[] =>
  parseAllDocuments(read(path), { merge: true }).map((document) => {
    assert.deepEqual(document.errors, [], path);
    return document.toJS() as Tree;
  });

/** deploy/kubernetes. */
export const manifests: string = join(root, 'deploy', 'kubernetes');
/** Every YAML file there, as absolute paths in order. */
export const manifestFiles: readonly string[] = readdirSync(manifests, { recursive: true })
  .map(String)
  .filter((path) => path.endsWith('.yaml'))
  .map((path) => join(manifests, path))
  .sort();
/** Names of the overlays, or of the components. */
export const namesOf = (kind: 'overlays' | 'components'): string[] =>
  readdirSync(join(manifests, kind)).sort();

export const compose: Tree = documentsOf(join(root, 'compose.yaml'))[0] as Tree;
export const dockerfiles: readonly string[] = ['coordinator', 'worker'].map((role) =>
  join(root, 'deploy', 'images', `${role}.Dockerfile`),
);

/** Every text in a tree, with those that a patch holds as YAML of its own. */
export function textsOf(tree: unknown): string[] {
  if (typeof tree === 'string')
    return tree.startsWith('- op:')
      ? parseAllDocuments(tree).flatMap((d) => textsOf(d.toJS()))
      : [tree];
  return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(textsOf) : [];
}

/** Every object below a tree that has this key. */
export function having(tree: unknown, key: string): Tree[] {
  if (typeof tree !== 'object' || tree === null) return [];
  const below = Object.values(tree).flatMap((value) => having(value, key));
  return key in tree ? [tree as Tree, ...below] : below;
}
