/**
 * Golden bits: hashes over everything that two machines must agree on without talking
 * (NUMERICS 3-5), and a few values in plain hex to start from when a hash differs.
 *
 * The file is made by `TANDEM_WRITE_GOLDEN=1 node --test dist/test/shared/core/golden.test.js`.
 * A difference on another Node, or after a change of code, is another numerics version.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import type { Architecture } from '../../../shared/core/architecture-types.ts';
import { drawView } from '../../../shared/core/augment-draws.ts';
import { centreInput, viewInput } from '../../../shared/core/augment-matrices.ts';
import {
  fillNormal,
  fillUniform,
  type Purpose,
  purposes,
  uniform,
} from '../../../shared/core/draws.ts';
import { cos, exp, log, normalPair, sin } from '../../../shared/core/exact.ts';
import { initialStatistics, initialWeights } from '../../../shared/core/initialise.ts';
import { knnAccuracy, knnVote, normaliseRows } from '../../../shared/core/knn.ts';
import { leafPositions, sampleAt } from '../../../shared/core/order.ts';
import { permutation } from '../../../shared/core/permutation.ts';
import { philox } from '../../../shared/core/philox.ts';
import { drawsOf, linearProtocols, trainProbe } from '../../../shared/core/probe.ts';
import { learningRates } from '../../../shared/core/schedule.ts';
import {
  addInto,
  maximalNodes,
  reducePlan,
  scaleRoot,
  treeMeanF64,
} from '../../../shared/core/tree.ts';
import { sgdStep, updateStatistics } from '../../../shared/core/update.ts';

const file = new URL('../../../../test/shared/core/golden.json', import.meta.url);

/** Bits of doubles, 16 hex digits each. */
function hex(...values: number[]): string {
  const view = new DataView(new ArrayBuffer(8));
  return values
    .map((value) => {
      view.setFloat64(0, value);
      return view.getBigUint64(0).toString(16).padStart(16, '0');
    })
    .join(' ');
}

function hash(...parts: (Float32Array | Float64Array | Uint32Array)[]): string {
  const sum = createHash('sha256');
  for (const part of parts)
    sum.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return sum.digest('hex');
}

function normals(length: number, stream: number, scale = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  fillNormal(values, scale, 20, 'audit', stream);
  return values;
}

function uniforms(length: number, stream: number): Float64Array {
  const values = new Float64Array(length);
  fillUniform(values, 20, 'audit', stream, 0);
  return values;
}

const golden: Record<string, () => string> = {
  'philox, 4096 blocks in a chain': () => {
    const block = new Uint32Array(4);
    const all = new Uint32Array(4 * 4096);
    for (let n = 0; n < 4096; n += 1) {
      philox(block[0]!, block[1]!, block[2]!, n, block[3]!, 7, block);
      all.set(block, 4 * n);
    }
    return hash(all);
  },
  'exp, some values': () => hex(...[-700.5, -1, -0.1, 1e-9, 0.5, 1, 2.5, 10, 700.5].map(exp)),
  'exp, 100k values': () => hash(uniforms(100_000, 1).map((u) => exp(1400 * u - 700))),
  'log, some values': () => hex(...[1e-310, 1e-9, 0.1, 0.75, 1.001, 2, 3, 10, 1e300].map(log)),
  'log, 100k values': () => hash(uniforms(100_000, 2).map((u) => log(u * u * 9))),
  'sin, some values': () => hex(...[1e-9, 0.5, 1, 2, 3.141592653589793, 10, -355, 1e6].map(sin)),
  'sin, 100k values': () => hash(uniforms(100_000, 3).map((u) => sin(2e4 * u - 1e4))),
  'cos, some values': () => hex(...[1e-9, 0.5, 1, 2, 3.141592653589793, 10, -355, 1e6].map(cos)),
  'cos, 100k values': () => hash(uniforms(100_000, 4).map((u) => cos(2e4 * u - 1e4))),
  'normal pairs, some values': () => hex(...normalPair(0.1, 0.2), ...normalPair(0.999, 0.7)),
  'one draw of each purpose': () =>
    (Object.keys(purposes) as Purpose[])
      .map((purpose) => `${purpose} ${hex(uniform(2 ** 53 - 1, purpose, 2 ** 40 + 1, 2, 5))}`)
      .join(', '),
  'uniform draws, 100k values': () => hash(uniforms(100_000, 5)),
  'normal draws, 200001 values': () => hash(normals(200_001, 6)),
  'normal draws, first values': () => hex(...normals(4, 6)),
  'permutation of 3651, seed 0, epochs 0 to 2': () =>
    hash(
      ...[0, 1, 2].map((epoch) =>
        Float64Array.from(Array(3651).keys(), permutation(0, epoch, 3651)),
      ),
    ),
  'permutation of 3651, first values': () =>
    [0, 1, 2, 3, 4, 5, 6, 7].map(permutation(0, 0, 3651)).join(' '),
  'permutation of 2^40 - 7': () =>
    [0, 1, 2 ** 39, 2 ** 40 - 8].map(permutation(2 ** 53 - 1, 2 ** 33, 2 ** 40 - 7)).join(' '),
  'samples of a micro-batch across an epoch end': () =>
    leafPositions(4, 1, 8, 4)
      .map((position) => sampleAt(1, 37, position))
      .join(' '),
  'learning rates, 1000 steps with warm-up': () => {
    const method = { learningRate: 0.05, batch: 384, warmupSteps: 37, totalSteps: 1000 };
    const steps = Array.from({ length: 1000 }, (_, step) => learningRates(method, step));
    return hash(Float64Array.from(steps.flatMap(({ base, predictor }) => [base, predictor])));
  },
  'learning rates, some steps': () => {
    const method = { learningRate: 0.05, batch: 512, warmupSteps: 0, totalSteps: 100 };
    return hex(...[0, 1, 10, 50, 99].map((step) => learningRates(method, step).base));
  },
  'tree over 13 leaves': () => {
    const stack: Float32Array[] = [];
    for (const step of reducePlan(maximalNodes(0, 6, 13).concat(maximalNodes(6, 13, 13)), 13)) {
      if (step.kind === 'add') {
        const right = stack.pop()!;
        addInto(stack.at(-1)!, right);
      } else stack.push(normals(5001, 100 + step.node.level * 20 + step.node.index));
    }
    scaleRoot(stack[0]!, 13);
    return hash(stack[0]!);
  },
  'mean over 13 leaves': () => hex(treeMeanF64([...uniforms(13, 7)])),
  'twenty updates of 10007 weights': () => {
    let [weights, momentum] = [normals(10_007, 8), new Float32Array(10_007)];
    let [nextWeights, nextMomentum] = [new Float32Array(10_007), new Float32Array(10_007)];
    for (let step = 0; step < 20; step += 1) {
      const gradient = normals(10_007, 200 + step, 0.01);
      const [momentumFactor, weightDecay] = [0.9, 1e-4];
      const buffers = { weights, momentum, gradient, nextWeights, nextMomentum };
      for (const [start, end, rate] of [
        [0, 9000, 0.05 / (step + 1)],
        [9000, 10_007, 0.05],
      ] as const) {
        sgdStep({ ...buffers, start, end, rate, momentumFactor, weightDecay });
      }
      [weights, nextWeights] = [nextWeights, weights];
      [momentum, nextMomentum] = [nextMomentum, momentum];
    }
    return hash(weights, momentum);
  },
  'running statistics, 999': () => {
    const [statistics, view1, view2] = [9, 10, 11].map((stream) => normals(999, stream)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    updateStatistics({ statistics, view1, view2, next: statistics });
    return hash(statistics);
  },
  'initial weights and statistics': () => {
    const architecture: Architecture = {
      featureWidth: 1,
      outputWidth: 1,
      parameters: [
        {
          name: 'encoder.conv1.weight',
          shape: [3, 3, 3, 64],
          offset: 0,
          length: 1728,
          initial: { kind: 'kaiming-normal-fan-out', fanOut: 576 },
        },
        {
          name: 'predictor.fc.weight',
          shape: [33, 31],
          offset: 1728,
          length: 1023,
          initial: { kind: 'uniform-fan-in', fanIn: 33 },
        },
      ],
      parameterCount: 2751,
      statistics: [
        { name: 'bn', shape: [3], offset: 0, length: 3, initial: { kind: 'constant', value: 1 } },
      ],
      statisticCount: 3,
    };
    return hash(initialWeights(architecture, 42), initialStatistics(architecture));
  },
  'views of 64 images': () => {
    const augmentation = {
      cropScale: [0.2, 1] as [number, number],
      cropRatio: [3 / 4, 4 / 3] as [number, number],
      flipProbability: 0.5,
      jitterProbability: 0.8,
      brightness: 0.4,
      contrast: 0.4,
      saturation: 0.4,
      hue: 0.1,
      grayProbability: 0.2,
      blurProbability: 0.5,
      blurSigma: [0.1, 2] as [number, number],
    };
    const method = { size: 32, canvas: 48, augmentation };
    const images = Array.from({ length: 64 }, (_, i) => ({
      height: 1 + ((i * 29) % 48),
      width: 1 + ((i * 31) % 48),
    }));
    const draws = images.map((image, i) =>
      drawView(augmentation, 1, 2 ** 33 + i, 1 + (i % 2), image),
    );
    const { rows, columns, colour, blur } = viewInput(method, images, draws);
    const centre = centreInput(method, images);
    return hash(rows, columns, colour, blur!.rows, blur!.columns, centre.rows, centre.columns);
  },
  'votes of 100 queries': () => {
    const labels = Array.from({ length: 400 }, (_, i) => i % 7);
    const rows = labels.map((_, i) => i);
    const task = {
      features: normals(400 * 16, 12),
      width: 16,
      labels,
      references: rows.slice(100),
      k: 20,
      temperature: 0.07,
    };
    const { predictions, accuracy } = knnAccuracy({ ...task, queries: rows.slice(0, 100) });
    const { scores } = knnVote({ ...task, features: normaliseRows(task.features, 16) }, 3);
    return hash(Float64Array.from([...predictions, accuracy, ...scores]));
  },
  'probes by both protocols': () => {
    const rows = Array.from({ length: 300 }, (_, i) => i);
    const labels = rows.map((i) => i % 5);
    const features = normals(300 * 24, 13).map((value, i) =>
      Math.abs(value + (i % 24 === labels[Math.floor(i / 24)] ? 1 : 0)),
    );
    const task = {
      ...{ features, width: 24, labels, classes: 5 },
      ...{ learned: rows.slice(0, 250), stopped: rows.slice(250) },
    };
    const names = ['simsiam-tf', 'paper'] as const;
    return names
      .map((name) => {
        const protocol = { name, standardised: false, ...linearProtocols[name], epochs: 12 };
        const training = trainProbe(task, protocol, drawsOf(task, protocol, 9));
        let turn = training.next();
        while (turn.done !== true) turn = training.next();
        const { dense, loss, kept } = turn.value;
        return `${name} ${kept} ${hex(loss)} ${hash(dense.weights, dense.bias)}`;
      })
      .join(', ');
  },
};

if (process.env['TANDEM_WRITE_GOLDEN'] === '1') {
  const values = Object.entries(golden).map(([name, value]) => [name, value()]);
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(values), null, 2)}\n`);
}

const expected = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;

for (const [name, value] of Object.entries(golden)) {
  test(`golden bits: ${name}`, () => assert.equal(value(), expected[name]));
}

test('the golden file holds these values and no others', () => {
  assert.deepEqual(Object.keys(expected), Object.keys(golden));
});
