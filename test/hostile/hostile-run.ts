/**
 * A run whose coordinator is attacked while it trains: resident memory before, at most, and after
 * each attack; steps that were committed meanwhile; and at the end the bytes of a quiet run.
 *
 * Coordinator and worker are processes of their own on loopback. The worker computes exactly and is
 * let go a step at a time, so that training goes on within each attack and lasts through all.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { collectAtOnce } from '../../shared/adapters/grpc.ts';
import type { LedgerRecord } from '../../shared/core/ledger.ts';
import { differences, eventsOf, type Outcome, outcomeOf } from '../chaos/outcome.ts';
import { freePort } from '../support/nats-server.ts';
import { smallModelPreload } from '../support/use-small-model.ts';
import { attacks, type Sizes, type Target } from './attacks.ts';
import { residentBytes, watchMemory } from './memory.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const gatedWorker = fileURLToPath(new URL('./gated-worker.js', import.meta.url));

const leaves = 4;
/** Steps that are trained while an attack holds. */
const stepsEach = 2;
const host = '127.0.0.1';
/** Whatever is waited for comes within this, milliseconds. */
const patienceMs = 300_000;

export interface HostileOptions {
  folder: string;
  /** Null: the small model of the tests. */
  model: string | null;
  sizes: Sizes;
  /** Names of attacks; all of them if empty. */
  only: readonly string[];
  /** An attack holds at least so long, milliseconds. */
  holdMs: number;
  /** After it, before memory is looked at once more. */
  restMs: number;
  started: (child: ChildProcess) => void;
  onRow: (row: Row) => void;
}

export interface Row {
  attack: string;
  said: string;
  before: number;
  peak: number;
  after: number;
  /** Steps that were committed while it held. */
  steps: number;
}

export interface HostileEnded {
  rows: Row[];
  /** Empty where the run is the quiet one to the byte. */
  faults: string[];
}

/** Images of noise, one of them of some megabytes. */
async function photographs(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  let hash = '';
  for (let i = 0; i < 40; i += 1) {
    const side = i === 0 ? 2000 : 12;
    const pixels = Buffer.from(
      Uint8Array.from({ length: 3 * side * side }, (_, at) => Math.imul(at + i, 2654435761) >>> 24),
    );
    const raw = { width: side, height: side, channels: 3 as const };
    const png = await sharp(pixels, { raw }).png({ compressionLevel: 0 }).toBuffer();
    if (i === 0) hash = createHash('sha256').update(png).digest('hex');
    writeFileSync(join(folder, `${String(i).padStart(2, '0')}.png`), png);
  }
  return hash;
}

interface Crew {
  coordinator: ChildProcess;
  /** Exit code or signal. */
  ended: Promise<number | string | null>;
  allow(leaves: number): void;
  words(): string;
}

function crew(options: HostileOptions, run: string, data: string, steps: number, port: number) {
  const { model } = options;
  const preload = model === null ? ['--import', smallModelPreload] : [];
  const coordinator = spawn(
    process.execPath,
    [
      ...[...collectAtOnce, ...preload, bin, 'coordinator', '--data', data, '--run', run],
      ...['--listen', `${host}:${port}`, '--model', model ?? 'resnet18-cifar', '--size', '8'],
      ...['--batch', `${2 * leaves}`, '--micro-batch', '2', '--steps', `${steps}`, '--seed', '5'],
    ],
    { env: { ...process.env, NO_COLOR: '1' }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  options.started(coordinator);
  let words = '';
  coordinator.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-4000);
  });
  const ended = new Promise<number | string | null>((resolve) =>
    coordinator.once('exit', (code, signal) => resolve(code ?? signal)),
  );
  const worker = fork(gatedWorker, [`${host}:${port}`, 'honest'], {
    execArgv: preload,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  options.started(worker);
  const allow = (count: number) => void (worker.connected && worker.send({ leaves: count }));
  return { coordinator, ended, allow, words: () => words } satisfies Crew;
}

/** Resolves with what `look` finds; rejects where the coordinator ends before. */
async function until<T>(crew: Crew, look: () => T | null): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { coordinator } = crew;
    if (coordinator.exitCode !== null || coordinator.signalCode !== null)
      throw new Error(`the coordinator ended early: ${crew.words()}`);
    const found = look();
    if (found !== null) return found;
    if (performance.now() > deadline) throw new Error('what was waited for did not come');
    await sleep(50);
  }
}

const kindsIn = (run: string, kind: string): number => {
  try {
    return eventsOf(run).filter((event) => event.kind === kind).length;
  } catch {
    return 0;
  }
};

const committed = (run: string): number => kindsIn(run, 'step-committed');

const lastRecord = (run: string): LedgerRecord =>
  JSON.parse(
    readFileSync(join(run, 'ledger.jsonl'), 'utf8').trim().split('\n').at(-1) ?? '',
  ) as LedgerRecord;

async function ended(crew: Crew): Promise<void> {
  const end = await crew.ended;
  if (end !== 0) throw new Error(`the coordinator ended with ${end}: ${crew.words()}`);
}

export async function hostileRun(options: HostileOptions): Promise<HostileEnded> {
  const { folder, model, sizes, only, holdMs, restMs } = options;
  const played = attacks.filter(({ name }) => only.length === 0 || only.includes(name));
  const steps = 2 + stepsEach * played.length;
  const data = join(folder, 'data');
  const bigImage = await photographs(data);
  const small = model === null;

  const quietPort = await freePort();
  const quiet = crew(options, join(folder, 'quiet'), data, steps, quietPort);
  quiet.allow(1_000_000);
  await ended(quiet);
  const unfaulted: Outcome = await outcomeOf(join(folder, 'quiet'), steps, small);

  const run = join(folder, 'attacked');
  const port = await freePort();
  const attacked = crew(options, run, data, steps, port);
  const pid = attacked.coordinator.pid ?? 0;
  const target: Target = { host, port, bigImage, weightsHash: () => lastRecord(run).weights };
  await until(attacked, () => (kindsIn(run, 'worker-joined') > 0 ? true : null));
  attacked.allow(leaves);
  await until(attacked, () => (committed(run) >= 1 ? true : null));
  const rows: Row[] = [];
  for (const { name, begin } of played) {
    const before = residentBytes(pid);
    const memory = watchMemory(pid);
    const first = committed(run);
    const began = performance.now();
    const held = await begin(target, sizes);
    // Training goes on while the attack holds.
    attacked.allow(stepsEach * leaves);
    await until(attacked, () => (committed(run) >= first + stepsEach ? true : null));
    await sleep(Math.max(0, holdMs - (performance.now() - began)));
    held.letGo();
    const row: Row = {
      ...{ attack: name, said: held.said, before, peak: memory.peak(), after: 0 },
      steps: committed(run) - first,
    };
    memory.end();
    await sleep(restMs);
    row.after = residentBytes(pid);
    rows.push(row);
    options.onRow(row);
  }
  attacked.allow(1_000_000);
  await ended(attacked);
  return { rows, faults: differences(await outcomeOf(run, steps, small), unfaulted) };
}
