/**
 * `npm run chaos -- --lies`: workers that lie rarely, in real processes.
 *
 *   --seeds N --from K   so many liars (3), the first with seed K (1)
 *   --share Q            of the liar's leaves are wrong by one bit (0.005)
 *   --audit P            of all leaves are computed twice (0.05)
 *   --steps N --leaves S --workers W   (900, 32, 4)
 *   --out DIR            where the runs are kept; else they are removed
 *
 * Each run must end with the bytes of a quiet run of one worker, or with its liar not met by an
 * audit, which is said. Exit status 1 where a liar was found and something of it is left.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type LiesOptions, liesRun, tale } from './lies.ts';
import { differences } from './outcome.ts';

const { values } = parseArgs({
  options: {
    lies: { type: 'boolean' },
    seeds: { type: 'string', default: '3' },
    from: { type: 'string', default: '1' },
    share: { type: 'string', default: '0.005' },
    audit: { type: 'string', default: '0.05' },
    steps: { type: 'string', default: '900' },
    leaves: { type: 'string', default: '32' },
    workers: { type: 'string', default: '4' },
    out: { type: 'string' },
  },
});
const [steps, leaves, workers] = [values.steps, values.leaves, values.workers].map(Number);
const [share, audit] = [Number(values.share), Number(values.audit)];

if (values.out !== undefined) mkdirSync(values.out, { recursive: true });
const folder = values.out ?? mkdtempSync(join(tmpdir(), 'tandem-lies-'));
const living = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of living) child.kill('SIGKILL');
    process.exit(130);
  });

const run = (name: string, some: Partial<LiesOptions>) =>
  liesRun({
    ...{ run: join(folder, name), data: 'synthetic:320', steps: steps ?? 0, leaves: leaves ?? 0 },
    ...{ workers: workers ?? 0, audit, share, seed: 0 },
    started: (child) => {
      living.add(child);
      child.once('exit', () => living.delete(child));
    },
    ...some,
  });

const quiet = await run('quiet', { workers: 1, audit: 0, share: 0 });
process.stdout.write(`quiet run: digest ${quiet.outcome.digest}\n`);
let failed = 0;
for (let i = 0; i < Number(values.seeds); i += 1) {
  const seed = Number(values.from) + i;
  const { outcome, events } = await run(`seed-${seed}`, { seed });
  const told = tale(events);
  const faults = differences(outcome, quiet.outcome);
  const found = told.convicted.length > 0;
  const lines = told.convicted.map(({ step, leaf, because }) => {
    return `convicted in step ${step} for micro-batch ${leaf}: ${because}`;
  });
  for (const { from, to } of told.rewound) lines.push(`rewound from step ${from} to ${to}`);
  for (const { first, count, file, because } of told.aside)
    lines.push(`records ${first} to ${first + count - 1} moved to ${file}: ${because}`);
  if (!found) lines.push(`not found in ${told.leaves} of its leaves; nothing is claimed of it`);
  else if (faults.length === 0) lines.push('digest and ledger are the quiet run\u2019s; verified');
  else lines.push(...faults.map((fault) => `FAILED: ${fault}`));
  if (found && faults.length > 0) failed += 1;
  process.stdout.write(`seed ${seed}:\n${lines.map((line) => `  ${line}\n`).join('')}`);
}
if (values.out === undefined && failed === 0) rmSync(folder, { recursive: true, force: true });
else process.stdout.write(`runs are kept in ${folder}\n`);
process.exitCode = failed === 0 ? 0 : 1;
