/**
 * The canary: proof of the device class (NUMERICS 1). The same work on every machine, one hash a
 * stage: decoding a fixture, drawing and sums in our arithmetic, and the run's own step on fixed
 * weights and pixels. Equal hashes are one class; nothing else is.
 */
import { createHash } from 'node:crypto';
import type { Architecture } from '../../shared/core/architecture-types.ts';
import { drawView } from '../../shared/core/augment-draws.ts';
import { viewInput } from '../../shared/core/augment-matrices.ts';
import { fillUniform } from '../../shared/core/draws.ts';
import { initialStatistics, initialWeights } from '../../shared/core/initialise.ts';
import type { Method } from '../../shared/core/method.ts';
import { addInto, scaleRoot } from '../../shared/core/tree.ts';
import { heldWeights, type WeightMemory } from '../../shared/core/weight-memory.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { canaryImage } from './canary-image.ts';
import { decodeImage, pixelHash } from './decode.ts';
import { leafHash } from './leaf-hash.ts';

const canarySeed = 20_201_120;

const sha256 = (...parts: Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** What a worker proves on joining. */
export interface Canary {
  stages: { name: string; sha256: string }[];
  /** Hash of the graph that computed the step; empty where operations ran one by one. */
  graph: string;
}

/**
 * Tensors stay loaded with the canary's weights, in `memory` where that is given: load the run's
 * before the first lease.
 */
export async function runCanary(
  method: Method,
  architecture: Architecture,
  compute: Compute,
  memory?: WeightMemory,
): Promise<Canary> {
  const { microBatch, canvas, augmentation } = method;
  const decoded = await decodeImage(canaryImage, 16);
  const size = { height: canvas, width: Math.max(1, canvas - 8) };
  const views = [1, 2].map((view) =>
    viewInput(
      method,
      new Array(microBatch).fill(size),
      Array.from({ length: microBatch }, (_, position) =>
        drawView(augmentation, canarySeed, position, view, size),
      ),
    ),
  );
  const [view1, view2] = views as [(typeof views)[number], (typeof views)[number]];
  const draws = sha256(bytesOf(view1.rows), bytesOf(view1.columns), bytesOf(view1.colour));
  const weights = initialWeights(architecture, canarySeed);
  const sum = weights.slice(0, 65_536);
  // Denormals must survive: a machine that flushes them is another class.
  for (let i = 0; i < 64; i += 1) sum[i] = 1e-40 * i;
  addInto(sum, weights.subarray(1, 65_537));
  scaleRoot(sum, 3);
  const pixels = canaryPixels(microBatch * canvas * canvas * 3);
  const statistics = initialStatistics(architecture);
  await compute.load(heldWeights(architecture, method.precision, weights, statistics, memory));
  const classes = method.classes?.length;
  const output = await compute.leaf({
    ...{ pixels, view1, view2 },
    ...(classes === undefined
      ? {}
      : { labels: Int32Array.from({ length: microBatch }, (_, i) => i % classes) }),
  });
  const stages = [
    { name: 'decode', sha256: pixelHash(decoded) },
    { name: 'draws', sha256: draws },
    { name: 'sum', sha256: sha256(bytesOf(sum)) },
    { name: 'step', sha256: leafHash(output) },
  ];
  return { stages, graph: output.graph ?? '' };
}

/** Drawn bytes, smooth enough that no activation is extreme. */
function canaryPixels(length: number): Uint8Array {
  const numbers = new Float64Array(Math.min(length, 1 << 16));
  fillUniform(numbers, canarySeed, 'canary', 0, 0);
  return Uint8Array.from({ length }, (_, i) =>
    Math.floor(256 * (numbers[i % numbers.length] ?? 0)),
  );
}
