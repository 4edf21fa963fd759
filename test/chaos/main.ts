/**
 * `npm run chaos`: real processes under a seeded schedule of kills, stops, drains, joins and cut
 * links; at the end digest and ledger are compared with a quiet run of one worker, `tandem verify`
 * must pass, and a table tells where the time went. Options stand in options.ts, and in
 * docs/chaos.md. Exit status 1 where the promise does not hold; the folder is kept then.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { terminalOf } from '../../cli/io.ts';
import { bar } from '../../cli/progress.ts';
import { type ChaosReport, chaosRun, scheduleOf } from './chaos-run.ts';
import type { Cluster } from './cluster.ts';
import type { Deed } from './drive.ts';
import { goodputText } from './goodput.ts';
import type { Hosts } from './hosts.ts';
import { type ChaosOptions, chaosOptions } from './options.ts';
import { measurePace, paceText } from './pace.ts';
import { faultText } from './schedule.ts';

const plainEvery = 10;

/** One live line on a terminal; else a line a fault, and one every few steps. */
function progress(options: ChaosOptions) {
  const { live } = terminalOf(process.stderr, process.env);
  const began = performance.now();
  let phase = '';
  let deeds = 0;
  const clock = () => `${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s`;
  const line = (text: string) =>
    process.stderr.write(`${live ? '\r\u001b[2K' : ''}${clock()}  ${text}\n`);
  const draw = (step: number) => {
    const share = bar(step / options.steps, 20);
    process.stderr.write(
      `\r\u001b[2K${clock()}  ${phase} ${share} step ${step} of ${options.steps}, ${deeds} faults`,
    );
  };
  return {
    line,
    phase(text: string) {
      phase = text;
      line(text);
    },
    step(step: number) {
      if (live) draw(step);
      else if (step % plainEvery === 0) line(`${phase}: step ${step} of ${options.steps}`);
    },
    deed(text: string) {
      deeds += 1;
      line(text);
    },
    end: () => live && process.stderr.write('\r\u001b[2K'),
  };
}

function counted(deeds: readonly Deed[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of deeds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function reportObject({ quiet, fired, faults }: ChaosReport) {
  const { outcome, goodput, wallMs, packets, deeds, events } = fired;
  return {
    holds: faults.length === 0,
    faults,
    steps: outcome.steps,
    digest: outcome.digest,
    quietDigest: quiet.outcome.digest,
    deeds: counted(deeds),
    lives: events.filter(({ kind }) => kind === 'run-opened').length,
    joins: events.filter(({ kind }) => kind === 'worker-joined').length,
    movedLeases: events.filter(({ kind }) => kind === 'lease-moved').length,
    wallSeconds: wallMs / 1000,
    accountedSeconds: goodput.totalMs / 1000,
    accountedShare: goodput.totalMs / wallMs,
    goodput: goodput.goodput,
    parts: goodput.parts,
    usualStepSeconds: goodput.usualMs / 1000,
    packets,
  };
}

function reportText(report: ChaosReport): string {
  const told = reportObject(report);
  const deeds = Object.entries(told.deeds).map(([kind, n]) => `${kind} ${n}`);
  const { packets } = told;
  return [
    `${told.steps} steps; ${deeds.join(', ')}`,
    `${told.lives} lives of the coordinator, ${told.joins} joins of workers, ` +
      `${told.movedLeases} leases moved`,
    ...(packets === null
      ? []
      : [
          `packets: ${packets.passed} passed (${(packets.bytes / 1e6).toFixed(0)} MB), ` +
            `${packets.lost} lost, ${packets.cut} cut off, ${packets.overflow} too many`,
        ]),
    `wall ${told.wallSeconds.toFixed(1)} s, of which ${(100 * told.accountedShare).toFixed(1)} % ` +
      `accounted for; goodput ${(100 * told.goodput).toFixed(1)} %`,
    goodputText(report.fired.goodput),
    `digest ${told.digest}, quiet run ${told.quietDigest}`,
    ...told.faults.map((fault) => `FAILED  ${fault}`),
    told.holds ? 'same digest, same ledger, verified' : 'the promise does NOT hold',
  ].join('\n');
}

async function chaos(options: ChaosOptions, folder: string): Promise<number> {
  const shown = progress(options);
  let living: { cluster: Cluster | null; hosts: Hosts | null } = { cluster: null, hosts: null };
  const abort = () => {
    living.cluster?.killAll();
    void (living.hosts?.close() ?? Promise.resolve()).finally(() => process.exit(130));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, abort);
  const report = await chaosRun(options, folder, {
    onPhase: (what) => shown.phase(what === 'quiet' ? 'the quiet run' : 'the run under fire'),
    onEvent: (event, { step }) => event.kind === 'step-committed' && shown.step(step),
    onDeed: ({ kind, who, step }, fault) =>
      shown.deed(
        `step ${String(step).padStart(3)}  ${kind.padEnd(16)} ${who.padEnd(10)} ` +
          (fault === undefined ? '' : faultText(fault)),
      ),
    onCluster: (cluster, hosts) => {
      living = { cluster, hosts };
    },
  });
  shown.end();
  const text = options.json ? JSON.stringify(reportObject(report)) : reportText(report);
  process.stdout.write(`${text}\n`);
  return report.faults.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = chaosOptions(process.argv.slice(2));
  if (options.onlySchedule) {
    for (const timed of scheduleOf(options)) {
      const at = `${timed.step} + ${timed.share.toFixed(2)}`.padStart(10);
      process.stdout.write(`step ${at}  ${timed.fault.kind.padEnd(16)} ${faultText(timed)}\n`);
    }
    return 0;
  }
  const folder = options.out ?? mkdtempSync(join(tmpdir(), 'tandem-chaos-'));
  mkdirSync(folder, { recursive: true });
  let status = 1;
  try {
    if (options.pace) {
      const found = await measurePace(folder, (line) => process.stderr.write(`${line}\n`));
      process.stdout.write(`${options.json ? JSON.stringify(found) : paceText(found)}\n`);
      status = 0;
    } else status = await chaos(options, folder);
  } finally {
    if (options.out === null && status === 0) rmSync(folder, { recursive: true, force: true });
    else process.stderr.write(`runs and logs: ${folder}\n`);
  }
  return status;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
