/**
 * What encryption costs: the step rate of a coordinator and two workers over mutual TLS beside the same
 * over plain connections, in turn. Everything is on loopback, where nothing hides the cipher's time.
 *
 *   node dist/test/bench/tls-cost.js [--case resnet18:64:64:f32] [--micro-batch 16] [--rounds 5] [--steps 3]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startTandemRun } from '../../cli/bench/tandem-run.ts';
import type { BenchCase } from '../../cli/bench/cases.ts';
import { median, medianInterval } from '../../cli/bench/statistics.ts';
import { authority } from '../support/authority.ts';

const { values } = parseArgs({
  options: {
    case: { type: 'string', default: 'resnet18:64:64:f32' },
    'micro-batch': { type: 'string', default: '16' },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '3' },
    data: { type: 'string', default: 'synthetic:256' },
  },
});
const [model = '', size, batch, precision = 'f32'] = values.case.split(':');
const rounds = Number(values.rounds);
const steps = Number(values.steps);

const folder = mkdtempSync(join(tmpdir(), 'tandem-tls-'));
const { cert, key, ca } = authority(folder).files('coordinator', 'coordinator');
const shared = {
  ...({ model, size: Number(size), batch: Number(batch), precision } as BenchCase),
  microBatch: Number(values['micro-batch']),
  workers: 2,
  data: values.data,
  env: process.env,
  signal: new AbortController().signal,
};
const plain = await startTandemRun(shared);
const more = { 'tls-cert': cert, 'tls-key': key, 'tls-ca': ca };
const secure = await startTandemRun({ ...shared, more });
try {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // The order changes, so that neither is always the one that comes after a rest.
    const first = round % 2 === 0 ? plain : secure;
    const one = await first.block(steps);
    const other = await (first === plain ? secure : plain).block(steps);
    const [open, closed] = first === plain ? [one, other] : [other, one];
    ratios.push(closed / open);
    const figures = `plain ${open.toFixed(2)}, TLS ${closed.toFixed(2)} images/s`;
    process.stdout.write(`round ${round + 1}: ${figures}, ratio ${(closed / open).toFixed(3)}\n`);
  }
  const { low, high, coverage } = medianInterval(ratios);
  const range = `${low.toFixed(2)} to ${high.toFixed(2)}, ${(100 * coverage).toFixed(0)} %`;
  process.stdout.write(`TLS keeps ${median(ratios).toFixed(3)} of the step rate (${range})\n`);
} finally {
  await plain.end();
  await secure.end();
  rmSync(folder, { recursive: true, force: true });
}
