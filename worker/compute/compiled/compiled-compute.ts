/**
 * The compute port by graphs: each program is recorded at its first use and runs as one session
 * call from then on.
 *
 * Weights stay in TensorFlow's hands between leaves; a leaf feeds bytes and drawn numbers and
 * fetches one flat payload.
 */
import type { ViewInput } from '../../../shared/core/view.ts';
import type { Compute, DeviceDescription, LeafInput } from '../../../shared/ports/compute.ts';
import { type CanvasShape, shapeOf } from '../augment.ts';
import {
  expectLength,
  expectLoaded,
  labelsFor,
  payloadFor,
  type Program,
} from '../compute-program.ts';
import { loadedWeights } from './loaded-weights.ts';
import { type Fed, feed, type Session } from './session.ts';
import {
  type GraphOptions,
  openFeatures,
  openLeaf,
  openMoments,
  openView,
  viewFeeds,
} from './programs.ts';

/** Graphs in memory at once; a survey has two shapes (its last chunk is shorter), a run one leaf. */
const sessionsMax = 6;

export function compiledCompute(
  device: DeviceDescription,
  program: Program,
  options: GraphOptions,
): Compute {
  const { architecture, layout } = program;
  const sessions = new Map<string, Session>();
  const weights = loadedWeights(layout);

  /** The session for a program of one shape; the one used longest ago makes room. */
  function session(kind: string, shape: CanvasShape, blurred: boolean[], open: () => Session) {
    const key = JSON.stringify([kind, shape, blurred]);
    const found = sessions.get(key) ?? open();
    sessions.delete(key);
    sessions.set(key, found);
    const [oldest] = sessions.keys();
    if (sessions.size > sessionsMax && oldest !== undefined) {
      sessions.get(oldest)?.close();
      sessions.delete(oldest);
    }
    return found;
  }

  function* run(session: Session, input: Map<string, Fed>): Generator<Float32Array, void> {
    try {
      yield* session.run(new Map([...weights.fed(), ...input]));
    } finally {
      dispose(input);
    }
  }

  return {
    describe: () => device,

    async load(memory) {
      expectLength('bytes of weights', memory, layout.memoryBytes);
      weights.load(memory);
    },

    async leaf({ pixels, view1, view2, labels }: LeafInput, into) {
      expectLoaded(weights.fed());
      const shape = shapeOf(pixels, view1);
      const classes = labelsFor(program.objective, labels, shape.m);
      const blurred = [view1.blur !== null, view2.blur !== null] as [boolean, boolean];
      const leaf = session('leaf', shape, blurred, () =>
        openLeaf(program, shape, blurred, options),
      );
      const payload = payloadFor(architecture, into);
      const results = run(leaf, leafFeeds(pixels, [view1, view2], shape, classes));
      const [loss = Number.NaN, std = Number.NaN] = results.next().value ?? [];
      let at = 0;
      for (const piece of results) {
        payload.set(piece, at);
        at += piece.length;
      }
      expectLength('the results of a leaf', payload, at);
      return { payload, loss, std, graph: leaf.hash };
    },

    async features(pixels, view) {
      expectLoaded(weights.fed());
      const shape = shapeOf(pixels, view);
      const blurred = view.blur !== null;
      const features = session('features', shape, [blurred], () =>
        openFeatures(program, shape, blurred, options),
      );
      const [values] = run(features, leafFeeds(pixels, [view], shape));
      return values as Float32Array;
    },

    async moments(pixels, view) {
      expectLoaded(weights.fed());
      const shape = shapeOf(pixels, view);
      const blurred = view.blur !== null;
      const moments = session('moments', shape, [blurred], () =>
        openMoments(program, shape, blurred, options),
      );
      const [values] = run(moments, leafFeeds(pixels, [view], shape));
      return values as Float32Array;
    },

    async view(pixels, view) {
      const shape = shapeOf(pixels, view);
      const blurred = view.blur !== null;
      const made = session('view', shape, [blurred], () => openView(shape, blurred, options));
      const [values] = run(made, leafFeeds(pixels, [view], shape));
      return values as Float32Array;
    },

    async close() {
      for (const open of sessions.values()) open.close();
      sessions.clear();
      weights.free();
    },
  };
}

function leafFeeds(
  pixels: Uint8Array,
  views: readonly ViewInput[],
  shape: CanvasShape,
  labels: Int32Array | null = null,
): Map<string, Fed> {
  const { m, canvas } = shape;
  const fed = new Map([['pixels', feed(pixels, [m, canvas, canvas, 3], 'uint8')]]);
  if (labels !== null) fed.set('labels', feed(labels, [m], 'int32'));
  for (const [i, view] of views.entries()) {
    for (const { name, values, shape: sides } of viewFeeds(`view${i + 1}`, view, shape)) {
      fed.set(name, feed(values as Float32Array, sides, 'float32'));
    }
  }
  return fed;
}

function dispose(fed: ReadonlyMap<string, Fed>): void {
  for (const value of fed.values()) value.dispose();
}
