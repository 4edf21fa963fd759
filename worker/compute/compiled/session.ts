/**
 * A recorded graph in TensorFlow: loaded once, run with values fed and fetched by name.
 *
 * This speaks to the addon of tfjs-node below tfjs, because there a typed array enters without a
 * copy (TensorFlow copies it only where it is not aligned) and bytes may stay bytes, which tfjs has
 * no type for. A fetched value is copied once, into memory that JavaScript owns.
 */
import { createHash } from 'node:crypto';
import { tf } from '../tfjs.ts';
import {
  constantsName,
  type Edge,
  type Graph,
  type GraphType,
  typeNumbers,
  type Values,
} from './graph.ts';
import { encodeGraph, graphTag } from './graph-def.ts';
import { keepGraph } from './graph-folder.ts';

/** What is used of tfjs-node's addon. Handles are small numbers. */
interface Binding {
  createTensor(shape: readonly number[], type: number, values: Values): number;
  deleteTensor(tensor: number): void;
  tensorDataSync(tensor: number): Float32Array;
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(session: number): void;
  runSavedModel(
    session: number,
    inputs: readonly number[],
    inputNames: string,
    outputNames: string,
  ): { id: number }[];
}

/** A value in TensorFlow's hands; whoever made it disposes it. */
export interface Fed {
  handle: number;
  dispose(): void;
}

/** The values must stay as they are until the tensor is disposed. */
export function feed(values: Values, shape: readonly number[], type: GraphType): Fed {
  const { createTensor, deleteTensor } = binding();
  const handle = createTensor(shape, typeNumbers[type], values);
  return { handle, dispose: () => deleteTensor(handle) };
}

export interface Session {
  /** SHA-256 over the graph's bytes and its constants, hex: what is computed, whatever computes it. */
  hash: string;
  /**
   * One array for each fetched edge, copied out of TensorFlow when it is asked for; `fed` may name more
   * than the graph needs.
   */
  run(fed: ReadonlyMap<string, Fed>): Generator<Float32Array, void>;
  close(): void;
}

/** Loads what is needed for `fetched` (float32 each). */
export function openSession(graph: Graph, fetched: readonly Edge[], folder: string): Session {
  const nodes = graph.nodesFor(fetched);
  const { loadSavedModel, deleteSavedModel, runSavedModel, tensorDataSync, deleteTensor } =
    binding();
  const bytes = encodeGraph(nodes);
  const session = loadSavedModel(keepGraph(bytes, folder), graphTag);
  const inputs = nodes.filter(({ op }) => op === 'Placeholder').map(({ name }) => name);
  const inputNames = inputs.map((name) => `${name}:0`).join();
  const outputNames = fetched.map(({ name }) => (name.includes(':') ? name : `${name}:0`)).join();
  const numbers = graph.constants();
  const constants = feed(numbers, [numbers.length], 'float32');
  const values = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return {
    hash: createHash('sha256').update(bytes).update(values).digest('hex'),
    *run(fed) {
      const handles = inputs.map((name) => {
        const value = name === constantsName ? constants : fed.get(name);
        if (value === undefined) throw new Error(`the compiled step was not fed ${name}`);
        return value.handle;
      });
      const results = runSavedModel(session, handles, inputNames, outputNames);
      try {
        for (let next = results.shift(); next !== undefined; next = results.shift()) {
          const values = tensorDataSync(next.id);
          deleteTensor(next.id);
          yield values;
        }
      } finally {
        for (const { id } of results) deleteTensor(id);
      }
    },
    close() {
      deleteSavedModel(session);
      constants.dispose();
    },
  };
}

function binding(): Binding {
  const { binding: addon } = tf.backend() as unknown as { binding: Binding };
  return {
    createTensor: (shape, type, values) => addon.createTensor(shape, type, values),
    deleteTensor: (tensor) => addon.deleteTensor(tensor),
    tensorDataSync: (tensor) => addon.tensorDataSync(tensor),
    loadSavedModel: (folder, tags) => addon.loadSavedModel(folder, tags),
    deleteSavedModel: (session) => addon.deleteSavedModel(session),
    runSavedModel: (session, inputs, names, outputs) =>
      addon.runSavedModel(session, inputs, names, outputs),
  };
}
