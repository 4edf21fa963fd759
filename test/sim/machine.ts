/**
 * What a program finds on its machine besides files and sockets: clock, timers, dice.
 *
 * The shipped programs use the globals of Node; in a simulator's process these are twins that read
 * the world's clock and stand in its agenda. `node:timers/promises` is redirected here as well.
 */
import { type Happening, later, type Process, world } from './world.ts';

class Timer {
  happening: Happening | null = null;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return true;
  }
}

function startTimeout(act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Timer {
  const timer = new Timer();
  timer.happening = later(world.current, Math.max(1, ms), () => act(...args));
  return timer;
}

function startInterval(act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Timer {
  const timer = new Timer();
  const { current } = world;
  const next = () => {
    timer.happening = later(current, Math.max(1, ms), () => {
      next();
      act(...args);
    });
  };
  next();
  return timer;
}

function cancel(timer: Timer | null | undefined): void {
  if (timer?.happening) timer.happening.cancelled = true;
}

/** The promised timeout of `node:timers/promises`. */
export function sleep<T>(
  ms = 0,
  value?: T,
  options: { signal?: AbortSignal } = {},
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const { signal } = options;
    const aborted = () => {
      cancel(timer);
      reject(signal?.reason as Error);
    };
    const timer = startTimeout(() => {
      signal?.removeEventListener('abort', aborted);
      resolve(value);
    }, ms);
    if (signal?.aborted) aborted();
    else signal?.addEventListener('abort', aborted, { once: true });
  });
}

/** The promised immediate of `node:timers/promises`. */
export const soon = <T>(value?: T): Promise<T | undefined> =>
  new Promise((resolve) => {
    later(world.current, 0, () => resolve(value));
  });

/** The run began at this moment of the calendar, in every seed. */
export const epochMs = Date.UTC(2030, 0, 1);
const RealDate = Date;

class WorldDate extends RealDate {
  constructor(...given: [number | string | Date] | []) {
    if (given.length === 0) super(WorldDate.now());
    else super(given[0]);
  }
  static override now(): number {
    return epochMs + Math.floor(world.now);
  }
}

/** Puts the twins in the place of this process's globals. */
export function installMachine(): void {
  const globals: Record<string, unknown> = {
    setTimeout: startTimeout,
    setInterval: startInterval,
    setImmediate: (act: (...args: unknown[]) => void, ...args: unknown[]) =>
      startTimeout(act, 0, ...args),
    clearImmediate: cancel,
    clearTimeout: cancel,
    clearInterval: cancel,
    Date: WorldDate,
    performance: { now: () => world.now, timeOrigin: epochMs },
  };
  for (const [name, value] of Object.entries(globals))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  // It is in names of files and in messages, and two histories of a seed are to be the same text.
  Object.defineProperty(process, 'pid', { value: 1 });
  Math.random = () => world.dice.network.draw();
}

/** Resolves after so much of the machine's own time, longer where the process is slow. */
export function busy(process: Process, ms: number): Promise<void> {
  return new Promise((resolve) => {
    later(process, ms * process.slow, resolve);
  });
}
