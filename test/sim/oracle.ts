/**
 * What a run must come to, written out in a straight line: no worker, no lease, no network, no
 * file. Every seed is compared with it, byte for byte.
 */
import { identityOf } from '../../coordinator/shell/commit.ts';
import { sha256Text } from '../../coordinator/shell/ledger-file.ts';
import { hashesOf, initialCopy, type ModelCopy } from '../../coordinator/shell/model-state.ts';
import { fingerprintOf, sha256Of } from '../../shared/adapters/fingerprint.ts';
import { f64Bits, recordLine, sealRecord } from '../../shared/core/ledger.ts';
import type { Method } from '../../shared/core/method.ts';
import { learningRates } from '../../shared/core/schedule.ts';
import { sgdStep, updateStatistics } from '../../shared/core/update.ts';
import { byName, encodeHeader } from '../../shared/wire/safetensors.ts';
import { bytesOf } from '../../shared/wire/tensors.ts';
import { tinyArchitecture as net, tinyInput, tinyLeaf, tinySamples } from './tiny.ts';

export interface Expected {
  identity: string;
  /** The ledger, a line a step. */
  lines: string[];
  /** Hash of the weights after so many steps. */
  weights: string[];
  /** SHA-256 of `model.safetensors` after so many steps. */
  digests: string[];
}

/** Sum over items [first, end), split after the largest power of two below its length. */
function treeSum<T>(items: readonly T[], add: (a: T, b: T) => T): T {
  if (items.length === 1) return items[0] as T;
  let split = 1;
  while (2 * split < items.length) split *= 2;
  return add(treeSum(items.slice(0, split), add), treeSum(items.slice(split), add));
}

const addVectors = (a: Float32Array, b: Float32Array) =>
  a.map((value, i) => Math.fround(value + (b[i] as number)));

/** The run of a method over so many samples, of which some are gray in every step. */
export function expectedRun(method: Method, count: number, gray: readonly number[]): Expected {
  const stages = [{ name: 'step', sha256: 'c'.repeat(64) }];
  const identity = identityOf({
    version: 1,
    method,
    fingerprint: fingerprintOf(tinySamples(count)),
    samples: count,
    deviceClass: { stages, description: '' },
    identity: null,
    reproducible: true,
  });
  let copy = initialCopy(net, method.seed);
  let previous = identity;
  const lines: string[] = [];
  const weights = [hashesOf(copy).weights];
  const digests = [digestOf(copy, 0)];
  for (let step = 0; step < method.totalSteps; step += 1) {
    const leaves = Array.from({ length: method.batch / method.microBatch }, (_, leaf) => {
      const input = tinyInput(method, count, step, leaf, gray);
      return { input, output: tinyLeaf(copy.weights, copy.statistics, input) };
    });
    const sum = treeSum(
      leaves.map(({ output }) => output.payload),
      addVectors,
    );
    const mean = sum.map((value) => Math.fround(value / Math.fround(leaves.length)));
    copy = updated(method, step, copy, mean);
    const f64 = (pick: (leaf: (typeof leaves)[number]) => number) =>
      f64Bits(treeSum(leaves.map(pick), (a, b) => a + b) / leaves.length);
    const record = sealRecord(
      {
        step,
        learningRate: learningRates(method, step),
        inputHashes: leaves.map(({ input }) => input.inputHash),
        leafHashes: leaves.map(({ output: { payload, loss, std } }) =>
          sha256Of(
            Buffer.concat([bytesOf(payload), new Uint8Array(Float64Array.of(loss, std).buffer)]),
          ),
        ),
        gradient: sha256Of(bytesOf(mean.slice(0, net.parameterCount))),
        ...hashesOf(copy),
        loss: f64(({ output }) => output.loss),
        std: f64(({ output }) => output.std),
        previous,
      },
      sha256Text,
    );
    previous = record.hash;
    lines.push(recordLine(record));
    weights.push(record.weights);
    digests.push(digestOf(copy, step + 1));
  }
  return { identity, lines, weights, digests };
}

function updated(method: Method, step: number, now: ModelCopy, mean: Float32Array): ModelCopy {
  const { parameterCount, statisticCount, parameters } = net;
  const nextWeights = new Float32Array(parameterCount);
  const nextMomentum = new Float32Array(parameterCount);
  const rates = learningRates(method, step);
  for (const { name, offset, length } of parameters)
    sgdStep({
      weights: now.weights,
      momentum: now.momentum,
      gradient: mean,
      nextWeights,
      nextMomentum,
      start: offset,
      end: offset + length,
      rate: name.startsWith('predictor.') ? rates.predictor : rates.base,
      momentumFactor: method.momentum,
      weightDecay: method.weightDecay,
    });
  const next = new Float32Array(statisticCount);
  const moments = mean.subarray(parameterCount);
  const view1 = moments.subarray(0, statisticCount);
  const view2 = moments.subarray(statisticCount);
  updateStatistics({ statistics: now.statistics, view1, view2, next });
  return { weights: nextWeights, momentum: nextMomentum, statistics: next };
}

function digestOf(copy: ModelCopy, step: number): string {
  const part = (prefix: string, specs: typeof net.parameters, from: Float32Array) =>
    specs.map(({ name, shape, offset, length }) => ({
      name: prefix + name,
      shape,
      values: from.slice(offset, offset + length),
    }));
  const tensors = [
    ...part('', net.parameters, copy.weights),
    ...part('momentum.', net.parameters, copy.momentum),
    ...part('', net.statistics, copy.statistics),
    { name: 'step', shape: [], values: Float32Array.of(step) },
  ].sort(byName);
  const data = tensors.map(({ values }) => bytesOf(values));
  return sha256Of(Buffer.concat([encodeHeader(tensors).header, ...data]));
}
