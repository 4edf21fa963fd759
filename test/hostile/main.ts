/**
 * `npm run chaos -- --hostile`: a coordinator under attack, its memory before, at most and after.
 *
 *   --frames N           fuzzed frames (1000000)
 *   --connections N      idle connections, and as many that have said hello (4000)
 *   --sessions N --calls N   HTTP/2 connections with so many calls each (32, 60)
 *   --heartbeats N       of one worker (200000)
 *   --hold S             seconds that an attack holds at least (10)
 *   --model NAME         a real architecture instead of the small one; without TensorFlow either
 *   --only NAME,NAME     attacks by name
 *
 * Exit status 1 where the run did not end as the quiet one, byte for byte, or memory rose beyond
 * `bytesMost` of bound.ts.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { growthMost } from './bound.ts';
import { hostileRun, type Row } from './hostile-run.ts';

const { values } = parseArgs({
  options: {
    hostile: { type: 'boolean' },
    frames: { type: 'string', default: '1000000' },
    connections: { type: 'string', default: '4000' },
    sessions: { type: 'string', default: '32' },
    calls: { type: 'string', default: '60' },
    heartbeats: { type: 'string', default: '200000' },
    hold: { type: 'string', default: '10' },
    model: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'tandem-hostile-'));
const living = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of living) child.kill('SIGKILL');
    process.exit(130);
  });

const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)}`.padStart(6);
const line = ({ attack, said, before, peak, after, steps }: Row) =>
  `${attack.padEnd(22)}${megabytes(before)}${megabytes(peak)}${megabytes(after)}  ${said}; ${steps} steps`;

process.stdout.write(`${'resident MB:'.padEnd(22)}before  peak after\n`);
const { rows, faults } = await hostileRun({
  folder,
  model: values.model ?? null,
  sizes: {
    sessions: Number(values.sessions),
    calls: Number(values.calls),
    connections: Number(values.connections),
    frames: Number(values.frames),
    heartbeats: Number(values.heartbeats),
  },
  only: values.only === '' ? [] : values.only.split(','),
  holdMs: 1000 * Number(values.hold),
  restMs: 3000,
  started: (child) => {
    living.add(child);
    child.once('exit', () => living.delete(child));
  },
  onRow: (row) => process.stdout.write(`${line(row)}\n`),
});
const first = rows[0]?.before ?? 0;
for (const { attack, peak } of rows)
  if (peak - first > growthMost) faults.push(`${attack}: grew by ${megabytes(peak - first)} MB`);
process.stdout.write(
  faults.length === 0
    ? `memory stayed within ${megabytes(growthMost).trim()} MB of ${megabytes(first).trim()} MB; ` +
        'digest and ledger are the quiet run’s\n'
    : `${faults.join('\n')}\n`,
);
if (faults.length === 0) rmSync(folder, { recursive: true, force: true });
process.exitCode = faults.length === 0 ? 0 : 1;
