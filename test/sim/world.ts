/**
 * The simulated world: one clock, one agenda, and the processes that live in it.
 *
 * Everything that will happen stands in the agenda with its time and its process. One happening is
 * taken at a time, and the next one only when every promise that it settled has been heard of, so
 * a whole cluster in one thread has one history a seed. `world.current` is the process that runs
 * now: what it asks of the twins of clock, disk and network is done in its name, and nothing more
 * comes of it once it is dead or while it is stopped.
 */
import { type Dice, diceOf } from '../support/draws.ts';

/** The real ones, from before the twins were put in their place (`machine.ts`). */
export const real = {
  nextTick: process.nextTick.bind(process),
  setImmediate,
  setTimeout,
  now: performance.now.bind(performance),
};

export interface Trap {
  /** At so many effects from now, of those whose description holds `of`. */
  left: number;
  of?: string;
  when: 'before' | 'during' | 'after' | 'stopped';
  /** Once it is stopped. */
  caught?: () => void;
}

export interface Process {
  name: string;
  alive: boolean;
  stopped: boolean;
  /** Milliseconds of compute take so many times as long. */
  slow: number;
  /** What came while it was stopped. */
  deferred: (() => void)[];
  /** Effects on the world so far: file operations and messages. */
  effects: number;
  /** Dies at an effect, before it, half-way through it or after it; or is stopped at it. */
  trap: Trap | null;
  onDeath: (() => void)[];
}

export interface Happening {
  at: number;
  order: number;
  process: Process | null;
  act: () => void;
  cancelled: boolean;
}

/** Something that must never be: the seed has failed. */
export class Violation extends Error {}

export interface World {
  now: number;
  current: Process | null;
  dice: { network: Dice; disk: Dice; faults: Dice; compute: Dice };
  agenda: Happening[];
  order: number;
  happened: number;
  processes: Process[];
  violation: Violation | null;
  /** Lines of the history, where they are asked for. */
  trace: ((line: string) => void) | null;
}

export const world: World = newWorld(0);

function newWorld(seed: number): World {
  return {
    now: 0,
    current: null,
    dice: {
      network: diceOf(seed, 1),
      disk: diceOf(seed, 2),
      faults: diceOf(seed, 3),
      compute: diceOf(seed, 4),
    },
    agenda: [],
    order: 0,
    happened: 0,
    processes: [],
    violation: null,
    trace: null,
  };
}

/** Begins anew; nothing of the world before is left. */
export function beginWorld(seed: number, trace: World['trace']): void {
  Object.assign(world, newWorld(seed), { trace });
}

/** A violation ends the seed; the first one counts. */
export function violated(what: string): Violation {
  world.violation ??= new Violation(what);
  tell('checker', what);
  return world.violation;
}

export function tell(kind: string, what: string | (() => string)): void {
  if (world.trace === null) return;
  const text = typeof what === 'string' ? what : what();
  const who = (world.current?.name ?? '-').padEnd(8);
  world.trace(`${world.now.toFixed(2).padStart(11)} ms  ${who} ${kind.padEnd(9)} ${text}`);
}

export function spawn(name: string): Process {
  const process: Process = {
    name,
    alive: true,
    stopped: false,
    slow: 1,
    deferred: [],
    effects: 0,
    trap: null,
    onDeath: [],
  };
  world.processes.push(process);
  return process;
}

/** The process ends at once: nothing that it meant to do happens any more. */
export function kill(process: Process, how: string): void {
  if (!process.alive) return;
  tell('process', `${process.name} ${how}`);
  process.alive = false;
  process.deferred = [];
  for (const act of process.onDeath.splice(0)) act();
}

export function stop(process: Process): void {
  if (process.alive && !process.stopped) tell('process', `${process.name} is stopped`);
  process.stopped = true;
}

export function resume(process: Process): void {
  if (!process.stopped) return;
  tell('process', `${process.name} goes on`);
  process.stopped = false;
  for (const act of process.deferred.splice(0)) later(process, 0, act);
}

/** Runs `act` in the name of a process (null: of nobody) after so many milliseconds. */
export function later(process: Process | null, delay: number, act: () => void): Happening {
  const happening: Happening = {
    at: world.now + Math.max(0, delay),
    order: world.order,
    process,
    act,
    cancelled: false,
  };
  world.order += 1;
  push(world.agenda, happening);
  return happening;
}

/**
 * Counts an effect of the current process; false where the process is dead, or dies of it. A
 * death `during` an effect is for the effect to play out: `half` is called for it.
 */
export function effect(what: string, half: () => void = () => undefined): boolean {
  const process = world.current;
  if (process === null) return true;
  if (!process.alive) return false;
  process.effects += 1;
  const { trap } = process;
  if (trap === null || (trap.of !== undefined && !what.includes(trap.of))) return true;
  trap.left -= 1;
  if (trap.left !== 0) return true;
  const how = `at effect ${process.effects} (${trap.when})`;
  if (trap.when === 'stopped') {
    stop(process);
    later(null, 0, () => trap.caught?.());
    return true;
  }
  if (trap.when === 'during') half();
  if (trap.when === 'after') {
    // The effect is played out first; nothing after it is.
    queueMicrotask(() => kill(process, `is killed ${how}`));
    return true;
  }
  kill(process, `is killed ${how}`);
  return false;
}

/** True where the current process was stopped within this turn: `act` follows when it goes on. */
export function frozen(act: () => void): boolean {
  const process = world.current;
  if (process === null || !process.stopped || !process.alive) return false;
  process.deferred.push(act);
  return true;
}

const before = (a: Happening, b: Happening) => a.at < b.at || (a.at === b.at && a.order < b.order);

function push(heap: Happening[], item: Happening): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const up = (at - 1) >> 1;
    const parent = heap[up] as Happening;
    if (!before(item, parent)) break;
    heap[at] = parent;
    at = up;
  }
  heap[at] = item;
}

function pop(heap: Happening[]): Happening | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right !== undefined && before(right, heap[child] as Happening)) child += 1;
    const smaller = heap[child] as Happening;
    if (!before(smaller, last)) break;
    heap[at] = smaller;
    at = child;
  }
  heap[at] = last;
  return top;
}

function take(happening: Happening): void {
  const { process, act } = happening;
  world.now = Math.max(world.now, happening.at);
  world.happened += 1;
  if (process !== null) {
    if (!process.alive) return;
    if (process.stopped) {
      process.deferred.push(act);
      return;
    }
  }
  world.current = process;
  act();
}

/**
 * Lets things happen until `done`. Between two happenings every promise is heard of: Node runs a
 * tick only when no microtask is left.
 */
export function runWorld(done: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      world.current = null;
      if (world.violation !== null) return reject(world.violation);
      if (done()) return resolve();
      if (world.violation !== null) return reject(world.violation);
      let happening = pop(world.agenda);
      while (happening?.cancelled) happening = pop(world.agenda);
      if (happening === undefined) return reject(violated('nothing is left to happen'));
      try {
        take(happening);
      } catch (error) {
        const stack = (error as Error).stack ?? String(error);
        return reject(violated(`uncaught in ${happening.process?.name ?? 'the world'}: ${stack}`));
      }
      queueMicrotask(() => real.nextTick(next));
    };
    real.nextTick(next);
  });
}
