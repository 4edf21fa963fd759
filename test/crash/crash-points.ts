/**
 * Every point at which a coordinator can die in a run of 20 steps, as a list, and the sweep over it.
 *
 * The points are those that an unfaulted run passes. At each the process is killed right before the
 * work, at a write also with half of the bytes written, and right behind what others may have seen
 * (an fsync, a rename, an exclusive create, an append, a broadcast). Before each fsync and broadcast
 * once more with a power cut that drops all that was not synced (between two fsyncs nothing else is
 * durable), and at each ledger append, fsync, rename and broadcast with one that drops some of it.
 * Each commit with the warm slots gone. In a warm slot, "before a write" would be the tear of the
 * write before it.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CrashTask, crashRun, differenceOf, type Outcome, Standbys } from './crash-run.ts';
import { type Aim, draws, type When } from './disk-tap.ts';

export interface CrashPoint {
  /** One line; `--only NAME` runs it alone. */
  name: string;
  aim: Aim;
  between?: (run: string) => void;
}

type Plain = Omit<Aim, 'powerCut'>;

const othersSee = /^(?:write ledger|datasync|sync|rename|create|broadcast)/;
const losesAll = /^(?:datasync|sync|broadcast) /;
const mayReorder = /^(?:write ledger|datasync|rename|broadcast)/;

function timesOf(label: string): When[] {
  if (label.startsWith('write warm')) return ['torn'];
  const times: When[] = ['before'];
  if (label.startsWith('write ')) times.push('torn');
  if (othersSee.test(label)) times.push('after');
  return times;
}

const removeWarmSlots = (run: string): void =>
  rmSync(join(run, 'warm'), { recursive: true, force: true });

/** All of them, from the counts of an unfaulted run. `folder`: a place for images of power cuts. */
export function crashPoints(counts: ReadonlyMap<string, number>, folder: string): CrashPoint[] {
  const points: CrashPoint[] = [];
  const add = (name: string, aim: Plain, more: Partial<CrashPoint> = {}): void => {
    points.push({ name, aim: { ...aim, powerCut: null }, ...more });
  };
  const cut = (name: string, aim: Plain, loss: 'lost' | 'mixed'): void => {
    const seed = points.length;
    const powerCut = { loss, seed, image: join(folder, `image-${seed}`) };
    points.push({ name: `${name}, power cut: ${loss}`, aim: { ...aim, powerCut } });
  };
  for (const [label, count] of counts)
    for (let occurrence = 1; occurrence <= count; occurrence += 1) {
      for (const when of timesOf(label)) {
        const name = `${when} ${label} #${occurrence}`;
        add(name, { label, occurrence, when });
        if (when !== 'before') continue;
        if (losesAll.test(label)) cut(name, { label, occurrence, when }, 'lost');
        if (mayReorder.test(label)) cut(name, { label, occurrence, when }, 'mixed');
      }
      if (label !== 'datasync ledger.jsonl') continue;
      const name = `after ${label} #${occurrence}, warm slots gone`;
      add(name, { label, occurrence, when: 'after' }, { between: removeWarmSlots });
    }
  return points;
}

/** A seeded share of a list, and at least one of each kind of operation on each file. */
export function seededShare(
  points: readonly CrashPoint[],
  share: number,
  seed: number,
): CrashPoint[] {
  const draw = draws(seed);
  const seen = new Set<string>();
  const ranked = points.map((point, place) => ({ point, place, rank: draw() }));
  const wanted = Math.ceil(points.length * share);
  const first = [...ranked]
    .sort((a, b) => a.rank - b.rank)
    .map((entry) => {
      const kind = entry.point.name.replaceAll(/#?\d+/g, '');
      const isNew = !seen.has(kind);
      seen.add(kind);
      return { ...entry, rank: isNew ? entry.rank - 1 : entry.rank };
    })
    .sort((a, b) => a.rank - b.rank)
    .slice(0, wanted);
  return first.sort((a, b) => a.place - b.place).map(({ point }) => point);
}

export interface Sweep {
  run: number;
  failures: { name: string; why: string }[];
}

export interface SweepTask {
  points: readonly CrashPoint[];
  quiet: Outcome;
  data: string;
  folder: string;
  standbys: Standbys;
  /** Runs at a time. */
  atOnce: number;
  onPoint: (point: CrashPoint, failure: string | null) => void;
}

/** Kills at each point, restarts, and compares with the quiet run. */
export async function sweep(task: SweepTask): Promise<Sweep> {
  const { points, quiet, data, folder, standbys, atOnce, onPoint } = task;
  const failures: Sweep['failures'] = [];
  const queue = [...points.entries()];
  const one = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [number, point] = next;
      const own = join(folder, String(number));
      const { aim, between } = point;
      const crash: CrashTask = { standbys, data, folder: own, aim, ...(between && { between }) };
      const why = await crashRun(crash).then(
        (found) => differenceOf(found, quiet),
        (error: Error) => error.message,
      );
      if (why !== null) failures.push({ name: point.name, why });
      onPoint(point, why);
      if (why === null) rmSync(own, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return { run: points.length, failures };
}
