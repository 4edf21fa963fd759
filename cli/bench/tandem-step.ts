/**
 * Tandem's side of `tandem bench compute`: a process that does one whole step for each line on
 * stdin (the protocol is stepper.ts's).
 *
 * A step is what a run of one micro-batch does to its weights: both views made from pixels in the
 * graph, forward, backward (a leaf), then SGD as the coordinator does it, then the new weights
 * loaded. Images and draws are fixed. The peer gets finished views: making them is extra work here.
 */
import { createInterface } from 'node:readline';
import { architecture } from '../../shared/core/architecture.ts';
import { payloadElements } from '../../shared/core/architecture-types.ts';
import { drawView } from '../../shared/core/augment-draws.ts';
import { viewInput } from '../../shared/core/augment-matrices.ts';
import { uniform } from '../../shared/core/draws.ts';
import { initialStatistics, initialWeights } from '../../shared/core/initialise.ts';
import { methodOf, parseConfig } from '../../shared/core/config.ts';
import { sharedMemory } from '../../shared/core/shared-memory.ts';
import { loopsOver } from '../../shared/core/vector-loops.ts';
import { roundsWeights, weightLayout, writeWeights } from '../../shared/core/weight-layout.ts';
import { placeSent, weightMemory } from '../../shared/core/weight-memory.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import type { LeafInput } from '../../shared/ports/compute.ts';
import { matrixPeak } from '../../worker/compute/compiled/matrix-peak.ts';
import { createCompute } from '../../worker/compute/compute.ts';
import type { BenchCase } from './cases.ts';

export interface TandemStepOptions extends BenchCase {
  mode: 'compiled' | 'eager';
}

const warmUpSteps = 2;
const rate = 0.01;

const asked = JSON.parse(process.argv[2] ?? '{}') as TandemStepOptions;
const say = (answer: Record<string, unknown>): void => {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
};

const values = {
  model: asked.model,
  size: asked.size,
  batch: asked.batch,
  'micro-batch': asked.batch,
  precision: asked.precision,
  steps: 1,
};
const { config } = parseConfig([{ source: 'default', values }]);
const method = methodOf(config, asked.batch);
const network = architecture(method.model, method.classes?.length);
const compute = await createCompute({
  backend: 'tensorflow',
  method,
  architecture: network,
  mode: asked.mode,
});

// In one memory, as a coordinator has them; its loops need the gradient there too.
const elements = network.parameterCount;
const layout = weightLayout(network, method.precision);
const payloadAt = 16 * elements + layout.weightBytes;
const { buffer, wasm } = sharedMemory(payloadAt + 4 * payloadElements(network));
const { sgdStep, roundTo } = loopsOver(wasm);
let [weights, momentum, nextWeights, nextMomentum] = [0, 1, 2, 3].map(
  (i) => new Float32Array(buffer, 4 * elements * i, elements),
) as [Float32Array, Float32Array, Float32Array, Float32Array];
const sent = new Uint8Array(buffer, 16 * elements, layout.weightBytes);
const into = new Float32Array(buffer, payloadAt, payloadElements(network));
weights.set(initialWeights(network, 1));
const statistics = initialStatistics(network);
let [memory, free] = [weightMemory(layout), weightMemory(layout)];
await load();
const input = fixedInput();

/** Random pixels that fill their canvas, and two drawn views of each image. */
function fixedInput(): LeafInput {
  const { canvas, batch, augmentation, seed } = method;
  const pixels = new Uint8Array(batch * canvas * canvas * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = 256 * uniform(seed, 'synthetic', i, 0, 0);
  const image = { width: canvas, height: canvas };
  const images = Array.from({ length: batch }, () => image);
  const [view1, view2] = [1, 2].map((view) =>
    viewInput(
      method,
      images,
      images.map((_, i) => drawView(augmentation, seed, i, view, image)),
    ),
  ) as [LeafInput['view1'], LeafInput['view2']];
  return { pixels, view1, view2 };
}

/** What coordinator and worker do to new weights, but for the way between them. */
async function load(): Promise<void> {
  [memory, free] = [free, memory];
  const { precision } = method;
  if (roundsWeights(precision))
    writeWeights(network, layout, 'sentAt', weights, [0, elements], sent, roundTo);
  placeSent(layout, memory, roundsWeights(precision) ? sent : bytesOf(weights), 0);
  placeSent(layout, memory, bytesOf(statistics), layout.weightBytes);
  await compute.load(memory);
}

async function step(): Promise<Record<string, number>> {
  const start = performance.now();
  const before = process.cpuUsage();
  const { payload, loss } = await compute.leaf(input, into);
  const gradientMs = performance.now() - start;
  sgdStep({
    weights,
    momentum,
    gradient: payload,
    nextWeights,
    nextMomentum,
    start: 0,
    end: weights.length,
    rate,
    momentumFactor: method.momentum,
    weightDecay: method.weightDecay,
  });
  [weights, nextWeights] = [nextWeights, weights];
  [momentum, nextMomentum] = [nextMomentum, momentum];
  await load();
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  return { ms, gradientMs, cpuMs, loss, residentBytes: process.memoryUsage.rss() };
}

/** What making both views alone takes, ms: part of every step here, no part of the peer's. */
async function viewsMs(): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    await compute.view(input.pixels, input.view1);
    await compute.view(input.pixels, input.view2);
    if (i > 0) times.push(performance.now() - start);
  }
  return Math.min(...times);
}

for (let i = 0; i < warmUpSteps; i++) await step();
say({ ready: true, ...compute.describe() });
/** The highest resident set so far, bytes; what is asked for besides steps must not count. */
const highest = (): number => process.resourceUsage().maxRSS * 1024;
let peakBytes: number | null = null;
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'step') peakBytes ??= highest();
  if (line === 'step') say(await step());
  else if (line === 'views') say({ ms: await viewsMs() });
  else if (line === 'peak') say({ flops: matrixPeak(asked.precision === 'bf16' ? 'bf16' : 'f32') });
  else break;
}
say({ peakBytes: peakBytes ?? highest() });
await compute.close();
