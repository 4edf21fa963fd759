/**
 * `tandem verify RUN`: proves from the run folder alone that its checkpoints are what its method
 * says, or names the first step that does not hold and why.
 */
import { Failure } from '../../shared/core/failures.ts';
import { faultText } from '../../shared/core/verify-claims.ts';
import { type CommandSpec, runOf } from '../command.ts';
import { count, plural, printable, table } from '../../shared/core/format.ts';
import { type Io, terminalOf } from '../io.ts';
import { checkRunFolder } from '../run-folder.ts';
import type { VerifyReport } from '../verify-report.ts';
import { verifyRun } from '../verify-run.ts';

const redrawMs = 100;

/** A line that is redrawn in place, on a terminal only. */
function progressLine(io: Io): { step(done: number, of: number): void; clear(): void } {
  const { live } = terminalOf(io.stderr, io.env);
  let drawn = 0;
  return {
    step(done, of) {
      if (!live || performance.now() - drawn < redrawMs) return;
      drawn = performance.now();
      io.stderr.write(`\r\u001b[2Kverifying step ${count(done)}/${count(of)}`);
    },
    clear() {
      if (live) io.stderr.write('\r\u001b[2K');
    },
  };
}

/** The report for people: a row a claim, then what is worth knowing. */
export function reportText(report: VerifyReport): string {
  const { run, steps, totalSteps, first, notes, reproducible } = report;
  const rows = report.claims.map(({ claim, holds, text }) => [
    claim,
    holds === null ? '—' : holds ? 'holds' : 'BROKEN',
    text,
  ]);
  const verdict =
    first === null
      ? `every claim holds up to step ${count(steps)}`
      : `the first that does not hold: ${faultText(first)}`;
  const mixed = reproducible ? [] : ['not reproducible: several device classes computed this run'];
  return printable(
    [
      `run ${run}: ${plural(steps, 'step')} of ${count(totalSteps)}`,
      '',
      table([['CLAIM', '', 'WHAT WAS LOOKED AT'], ...rows]),
      '',
      ...[...mixed, ...notes].map((note) => `note: ${note}`),
      verdict,
      '',
    ].join('\n'),
    200_000,
  );
}

export const verifyCommand: CommandSpec = {
  name: 'verify',
  positional: 'RUN',
  summary: 'prove from the run folder alone that every step held what it must',
  examples: [
    ['a finished run', 'verify runs/a'],
    ['as JSON', 'verify runs/a --json'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io }) {
    const run = runOf(args, flags);
    if (run === undefined)
      throw new Failure('bad-option', 'say which run: tandem verify RUN, such as runs/0001.');
    return async (signal) => {
      checkRunFolder(run);
      const progress = progressLine(io);
      const report = await verifyRun(run, signal, progress.step).finally(progress.clear);
      io.stdout.write(flags['json'] === true ? `${JSON.stringify(report)}\n` : reportText(report));
      const { first } = report;
      if (first === null) return 0;
      throw new Failure(
        'not-verified',
        `${run} does not hold: ${faultText(first)}. Whoever needs this run restores the folder ` +
          'from a copy, or trains it again',
      );
    };
  },
};
