/**
 * `tandem digest RUN`: the SHA-256 of the newest whole checkpoint's `model.safetensors`.
 *
 * The file is hashed here, so the digest is of the bytes on the disk and equals `sha256sum`. A
 * checkpoint whose bytes and manifest disagree is damaged; the one before is taken, and said.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../../shared/core/failures.ts';
import { type CommandSpec, runOf } from '../command.ts';
import { checkRunFolder } from '../run-folder.ts';

async function sha256Of(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash, { signal });
  return hash.digest('hex');
}

/** The digest of a whole checkpoint, or the reason why it is not whole. */
export async function readCheckpoint(
  folder: string,
  signal: AbortSignal,
): Promise<{ digest: string } | { damage: string }> {
  let promised: unknown;
  try {
    promised = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')).digest;
  } catch (error) {
    return { damage: `its manifest.json cannot be read (${(error as Error).message})` };
  }
  const file = join(folder, 'model.safetensors');
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) {
    return { damage: 'its model.safetensors is missing' };
  }
  const digest = await sha256Of(file, signal);
  return digest === promised
    ? { digest }
    : { damage: `its bytes hash to ${digest}, its manifest says ${String(promised)}` };
}

/** The newest whole checkpoint of a run. Throws `checkpoint-damaged` where none is whole. */
export async function newestCheckpoint(
  run: string,
  signal: AbortSignal,
  onDamage: (checkpoint: string, damage: string) => void,
): Promise<{ checkpoint: string; digest: string; step: number }> {
  const base = join(run, 'checkpoints');
  const exists = statSync(base, { throwIfNoEntry: false });
  const names = (exists ? readdirSync(base) : []).filter((name) => /^step-\d{8,}$/.test(name));
  const steps = names.map((name) => ({ name, step: Number(name.slice(5)) }));
  steps.sort((a, b) => b.step - a.step);
  for (const { name, step } of steps) {
    const checkpoint = join(base, name);
    const read = await readCheckpoint(checkpoint, signal);
    if ('digest' in read) return { checkpoint, digest: read.digest, step };
    onDamage(checkpoint, read.damage);
  }
  const message =
    steps.length === 0
      ? `${run} has no checkpoint yet: wait for one, or train first.`
      : `no checkpoint of ${run} is whole (${steps.length} looked at): restore one from a copy.`;
  throw new Failure(steps.length === 0 ? 'run-missing' : 'checkpoint-damaged', message);
}

/** Did devices of several classes compute this run? Then its digest is nobody else's. */
function isMixed(run: string): boolean {
  try {
    return JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).reproducible === false;
  } catch {
    return false;
  }
}

export const digestCommand: CommandSpec = {
  name: 'digest',
  positional: 'RUN',
  summary: 'the SHA-256 of the newest whole checkpoint of a run',
  examples: [
    ['the digest alone', 'digest runs/a'],
    ['with its checkpoint, as JSON', 'digest runs/a --json'],
  ],
  declare(command) {
    command.option('--run <DIR>', 'run folder');
    command.option('--json', 'as one JSON object');
  },
  prepare(args, flags, { io }) {
    const run = runOf(args, flags);
    if (run === undefined) {
      throw new Failure('bad-option', 'say which run: tandem digest RUN, such as runs/0001.');
    }
    return async (signal) => {
      checkRunFolder(run);
      const found = await newestCheckpoint(run, signal, (checkpoint, damage) => {
        io.stderr.write(`tandem: ${checkpoint} is damaged: ${damage}. Taking the one before.\n`);
      });
      const reproducible = !isMixed(run);
      if (!reproducible) {
        io.stderr.write('tandem: not reproducible: several device classes computed this run.\n');
      }
      const line =
        flags['json'] === true ? JSON.stringify({ ...found, reproducible }) : found.digest;
      io.stdout.write(`${line}\n`);
      return 0;
    };
  },
};
