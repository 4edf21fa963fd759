/**
 * What `tandem verify` reads of a run folder besides ledger, events and state: identity, sample
 * list, generations, side files. Nothing is written; what cannot be read is a fault, as text.
 */
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf } from '../coordinator/shell/commit.ts';
import { readLines } from '../coordinator/shell/jsonl-lines.ts';
import { eventNumber, readNumberedLines } from '../coordinator/shell/line-parts.ts';
import type { RunRecord } from '../coordinator/shell/run-folder.ts';
import { growingFingerprint } from '../shared/adapters/fingerprint.ts';
import type { LedgerRecord } from '../shared/core/ledger.ts';
import { modelNames, numericsVersion } from '../shared/core/method.ts';
import { parseSamples } from '../shared/wire/samples.ts';

const isWhole = (value: unknown, least: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= least;

/** Null where the method is one that this release can re-derive and gives the identity. */
export function identityFault(run: RunRecord): string | null {
  const { method, samples } = run;
  if (method?.numericsVersion !== numericsVersion)
    return (
      `its numerics version is ${method?.numericsVersion}, this release re-derives version ` +
      `${numericsVersion}: use the release that made it`
    );
  if (run.identity !== null && identityOf(run) !== run.identity)
    return `method, fingerprint and device class give ${identityOf(run)}, run.json says ${run.identity}`;
  const sound =
    modelNames.includes(method.model) &&
    isWhole(method.microBatch, 1) &&
    isWhole(method.batch, 1) &&
    method.batch % method.microBatch === 0 &&
    isWhole(samples, method.batch) &&
    isWhole(method.totalSteps, 1) &&
    isWhole(method.seed, 0) &&
    (method.validation === undefined || (method.validation > 0 && method.validation <= 0.9));
  return sound ? null : 'its method is none that this release could have written';
}

/** Lines of the sample list that are parsed at a time. */
const linesAtOnce = 4096;

/** 32 bytes a sample, in order; text where the list is not the one of the fingerprint. */
export async function sampleHashes(folder: string, run: RunRecord): Promise<Uint8Array | string> {
  const fingerprint = growingFingerprint();
  let hashes = Buffer.alloc(0);
  let found = 0;
  let lines: string[] = [];
  const take = (): void => {
    for (const sample of parseSamples(lines.map((line) => `${line}\n`).join(''))) {
      if (found === run.samples) throw new Error(`it lists more than ${run.samples} files`);
      fingerprint.add(sample);
      hashes.write(sample.sha256, 32 * found, 'hex');
      found += 1;
    }
    lines = [];
  };
  try {
    hashes = Buffer.alloc(32 * run.samples);
    for await (const line of readLines(join(folder, 'samples.jsonl'))) {
      lines.push(line);
      if (lines.length === linesAtOnce) take();
    }
    take();
  } catch (error) {
    return `samples.jsonl does not hold: ${(error as Error).message}`;
  }
  const digest = fingerprint.digest();
  return found === run.samples && digest === run.fingerprint
    ? hashes
    : `samples.jsonl lists ${found} files with fingerprint ${digest}, ` +
        `run.json says ${run.samples} and ${run.fingerprint}`;
}

/** Samples that some event calls undecodable. */
export async function graySamples(folder: string): Promise<Set<number>> {
  const found = new Set<number>();
  for await (const line of readNumberedLines(join(folder, 'events.jsonl'), eventNumber)) {
    if (!line.includes('"kind":"sample-undecodable"')) continue;
    try {
      found.add((JSON.parse(line) as { sample: number }).sample);
    } catch {
      // The check of the events says it.
    }
  }
  return found;
}

/** How many lives the folder had; text where their files have a gap. */
export async function generationsOf(folder: string): Promise<number | string> {
  const names = await readdir(join(folder, 'generations')).catch(() => []);
  const numbers = new Set(names.map(Number).filter(Number.isInteger));
  for (let life = 1; life <= numbers.size; life += 1)
    if (!numbers.has(life))
      return `generations/ has ${numbers.size} files and none of life ${life}`;
  return numbers.size;
}

/** Hashes of whole records in side files (`ledger.*.jsonl`), where a conviction moved them. */
export async function asideRecords(folder: string): Promise<Set<string>> {
  const found = new Set<string>();
  const names = (await readdir(folder)).filter((name) => /^ledger\..+\.jsonl$/.test(name));
  for (const name of names)
    for await (const line of readLines(join(folder, name))) {
      try {
        const { hash } = JSON.parse(line) as LedgerRecord;
        if (typeof hash === 'string') found.add(hash);
      } catch {
        // No record: nothing can name it.
      }
    }
  return found;
}

/** Null where the events name the digest of this checkpoint, or say nothing of it. */
export async function toldFault(
  folder: string,
  step: number,
  digests: ReadonlyMap<string, string>,
): Promise<string | null> {
  const path = join('checkpoints', `step-${String(step).padStart(8, '0')}`);
  const told = digests.get(path);
  if (told === undefined) return null;
  const text = await readFile(join(folder, path, 'manifest.json'), 'utf8');
  const { digest } = JSON.parse(text) as { digest: string };
  return digest === told ? null : `its digest is ${digest}, the events say ${told}`;
}

/** Does a file end within a line? */
export async function isTorn(path: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => null);
  if (handle === null) return false;
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    return size > 0 && last[0] !== 10;
  } finally {
    await handle.close();
  }
}
