/**
 * Module hooks of the simulator: the shipped, compiled programs are loaded as they are, and what
 * they import of the machine (files, timers, gRPC) and of tensors and pictures is a twin. A
 * mutation replaces texts of compiled files, each of which must stand there exactly once.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Mutation } from './mutations.ts';

interface Context {
  parentURL?: string;
}
interface Resolved {
  url: string;
  shortCircuit?: boolean;
}
interface Loaded {
  format: string;
  source?: string;
  shortCircuit?: boolean;
}

const dist = new URL('../../', import.meta.url).href;
const twin = (name: string) => new URL(`./twins/${name}.js`, import.meta.url).href;

/** Node's modules, from these rooms only: TensorFlow and the tests keep the real ones. */
const machines: Record<string, string> = {
  'node:crypto': twin('crypto'),
  'node:fs/promises': twin('fs-promises'),
  'node:timers/promises': twin('timers-promises'),
  'node:os': twin('os'),
  '@grpc/reflection': twin('grpc'),
  'grpc-health-check': twin('grpc'),
};

const own: Record<string, string> = {
  'shared/adapters/grpc.js': twin('grpc'),
  'shared/adapters/open-dataset.js': twin('parts'),
  'shared/core/architecture.js': twin('parts'),
  // Only one thread exists in the simulated world.
  'coordinator/shell/arithmetic-thread.js': twin('parts'),
  'coordinator/shell/loss-picture.js': twin('parts'),
  // It measures real time and would give each playing of a seed another history.
  'coordinator/shell/step-meter.js': twin('parts'),
  'worker/shell/canary.js': twin('parts'),
  'worker/shell/images.js': twin('parts'),
  'worker/shell/leaf-input.js': twin('parts'),
};

const programs = ['coordinator/', 'worker/', 'shared/'];

let mutation: Mutation | null = null;
export async function initialize(data: { mutation: Mutation | null }): Promise<void> {
  mutation = data.mutation;
}

const inDist = (url: string | undefined): string | null =>
  url?.startsWith(dist) ? url.slice(dist.length) : null;

export async function resolve(
  specifier: string,
  context: Context,
  next: (specifier: string, context: Context) => Promise<Resolved>,
): Promise<Resolved> {
  const parent = inDist(context.parentURL);
  if (parent === null || !programs.some((room) => parent.startsWith(room)))
    return next(specifier, context);
  const machine = machines[specifier];
  if (machine !== undefined) return { url: machine, shortCircuit: true };
  const resolved = await next(specifier, context);
  const redirected = own[inDist(resolved.url) ?? ''];
  return redirected === undefined ? resolved : { url: redirected, shortCircuit: true };
}

export async function load(
  url: string,
  context: Context,
  next: (url: string, context: Context) => Promise<Loaded>,
): Promise<Loaded> {
  const file = inDist(url);
  const edits = mutation?.edits.filter((edit) => edit.file === file) ?? [];
  if (edits.length === 0) return next(url, context);
  let source = await readFile(fileURLToPath(url), 'utf8');
  for (const { from, to } of edits) {
    const found = source.split(from).length - 1;
    if (found !== 1)
      throw new Error(`mutation "${mutation?.name}": its text stands ${found} times in ${file}`);
    source = source.replace(from, () => to);
  }
  return { format: 'module', source, shortCircuit: true };
}
