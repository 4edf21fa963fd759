/**
 * What a run ended in, and whether two runs ended in the same: digest, ledger bytes, the proof of
 * `tandem verify` in a process of its own, and the events of its file.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEventLine } from '../../cli/run-folder.ts';
import type { RunEvent } from '../../shared/core/events.ts';
import { smallModelPreload } from '../support/use-small-model.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const verifyMs = 600_000;

export interface Outcome {
  digest: string;
  ledger: Buffer;
  /** Records in it. */
  steps: number;
  /** What `tandem verify` found first, or null. */
  fault: string | null;
}

export function eventsOf(run: string): RunEvent[] {
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').split('\n');
  return lines.flatMap((line) => parseEventLine(line) ?? []);
}

function verify(run: string, small: boolean): Promise<string | null> {
  const preload = small ? ['--import', smallModelPreload] : [];
  const args = [...preload, bin, 'verify', run];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: verifyMs }, (error, _, stderr) =>
      resolve(error === null ? null : stderr.trim() || error.message),
    );
  });
}

export async function outcomeOf(run: string, steps: number, small: boolean): Promise<Outcome> {
  const last = `step-${String(steps).padStart(8, '0')}`;
  const model = readFileSync(join(run, 'checkpoints', last, 'model.safetensors'));
  const ledger = readFileSync(join(run, 'ledger.jsonl'));
  return {
    digest: createHash('sha256').update(model).digest('hex'),
    ledger,
    steps: ledger.toString().split('\n').length - 1,
    fault: await verify(run, small),
  };
}

/** Why the promise does not hold, one sentence each; empty where it holds. */
export function differences(found: Outcome, quiet: Outcome): string[] {
  const faults: string[] = [];
  if (found.digest !== quiet.digest)
    faults.push(`digest ${found.digest}, the quiet run's is ${quiet.digest}`);
  if (!found.ledger.equals(quiet.ledger)) faults.push('the ledger has other bytes');
  if (quiet.fault !== null) faults.push(`verify of the quiet run: ${quiet.fault}`);
  if (found.fault !== null) faults.push(`verify: ${found.fault}`);
  return faults;
}
