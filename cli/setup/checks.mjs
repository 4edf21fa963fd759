/**
 * What `npm run check` and `npm test` run, listed in one place. The checks read only, take seconds,
 * and come before the tests, which take minutes.
 */
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Path of a program that an npm package brings. @param {string} root @param {string} name */
const tool = (root, name) => join(root, 'node_modules', '.bin', name);

/**
 * The checks but the types, which the build has seen by then, and the house test, which is a test.
 * @param {string} root
 * @returns {{ name: string, program: string, args: string[], cure: string }[]}
 */
export function checksFor(root) {
  return [
    {
      name: 'format',
      program: tool(root, 'biome'),
      args: ['format', '.'],
      cure: 'npx biome format --write .',
    },
    {
      name: 'lint',
      program: tool(root, 'oxlint'),
      args: ['--deny-warnings'],
      cure: 'the lines named above',
    },
  ];
}

/**
 * Compiled test files, by their sources: what lies in dist/ from a test that is no more is left out.
 * @param {string} root
 * @param {readonly string[]} [patterns] keep the files whose path below test/ holds one of these
 * @returns {string[]} paths relative to root, sorted
 */
export function testFiles(root, patterns = []) {
  const sources = readdirSync(join(root, 'test'), { recursive: true })
    .map(String)
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .sort();
  return sources
    .map((path) => join('dist', 'test', path.replace(/\.ts$/, '.js')))
    .filter((path) => existsSync(join(root, path)));
}

/**
 * Arguments of Node for a run of test files. Two files at once keep two cores busy although some
 * tests mostly wait; more would make tests with real worker processes compete for the cores.
 * @param {readonly string[]} files
 * @param {readonly string[]} options passed on to Node as they are
 */
export function testArguments(files, options) {
  const concurrency = Math.max(2, Math.floor(availableParallelism() / 2));
  return [
    '--test',
    '--enable-source-maps',
    '--test-reporter=spec',
    `--test-concurrency=${Math.min(concurrency, 8)}`,
    '--test-timeout=900000',
    ...options,
    ...files,
  ];
}
