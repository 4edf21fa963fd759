/**
 * Training from photographs on the disk against training from memory: two whole runs in turn, paired
 * block by block.
 *
 * Usage: node dist/test/bench/disk-or-memory.js DIR [ROUNDS] [MODEL:SIZE:BATCH:PRECISION]
 *
 * The disk's run is in its first epoch, so that each photograph is read and decoded when it is met;
 * DIR must have more than ROUNDS · 6 + 3 global batches of images, or it ends up in memory too. The
 * run from memory has one global batch of drawn flowers, decoded in its first step.
 */
import { chooseCases } from '../../cli/bench/cases.ts';
import { median, medianInterval, pairedRatios } from '../../cli/bench/statistics.ts';
import { startTandemRun } from '../../cli/bench/tandem-run.ts';

const [folder = '', rounds = '8', name = 'resnet18-cifar:32:64:f32'] = process.argv.slice(2);
const [one] = chooseCases([], name);
if (folder === '' || one === undefined) throw new Error('say which folder of photographs');
const blockSteps = 4;
const signal = new AbortController().signal;
const common = { ...one, microBatch: one.batch / 2, workers: 2, env: process.env, signal };
const memory = await startTandemRun({ ...common, data: `synthetic:${one.batch}` });
const disk = await startTandemRun({ ...common, data: folder });
const rates: { disk: number[]; memory: number[] } = { disk: [], memory: [] };
try {
  for (let round = 0; round < Number(rounds); round++) {
    const turns = [
      async () => rates.memory.push(await memory.block(blockSteps)),
      async () => rates.disk.push(await disk.block(blockSteps)),
    ];
    if (round % 2 === 1) turns.reverse();
    for (const turn of turns) await turn();
    console.error(`round ${round + 1} of ${rounds}`);
  }
} finally {
  await memory.end();
  await disk.end();
}
const ratios = pairedRatios(rates.disk, rates.memory);
const figures = {
  case: name,
  disk: median(rates.disk),
  memory: median(rates.memory),
  ratio: median(ratios),
  interval: medianInterval(ratios),
};
console.log(JSON.stringify(figures));
