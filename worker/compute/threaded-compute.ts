/**
 * The compute port in a thread of its own, so that the caller's loop never waits for a leaf.
 *
 * One such thread a process: TensorFlow's addon cannot be loaded in a second one. Weights and
 * results cross as memory, not as messages: what lies in a SharedArrayBuffer is read and written in
 * place (a payload in memory of the thread's own is transferred back; weights and `into` have to be
 * shared). A thread that dies rejects what it owed with `compute-failed`.
 */
import { Worker } from 'node:worker_threads';
import { Failure } from '../../shared/core/failures.ts';
import type { Compute, DeviceDescription } from '../../shared/ports/compute.ts';
import type { ComputeOptions } from './compute.ts';
import type { Answer, Call, Request, Response } from './thread-messages.ts';

interface Pending {
  resolve: (answer: Answer) => void;
  reject: (failure: Failure) => void;
}

/** Only what can be sent to a thread: an objective is a function. */
export type ThreadedOptions = Omit<ComputeOptions, 'objective'>;

/** How long `close` waits for the thread to free its memory, ms. */
const closeTimeoutMs = 5000;

/** Starts the thread and loads the backend there. Rejects with `backend-missing`. */
export async function threadedCompute(options: ThreadedOptions): Promise<Compute> {
  const thread = new Worker(new URL('./thread.js', import.meta.url));
  const pending = new Map<number, Pending>();
  let requests = 0;
  let dead: Failure | undefined;

  const die = (reason: string): void => {
    dead ??= new Failure(
      'compute-failed',
      `Expected the compute thread to be alive, found that it ${reason}. Start the worker again.`,
    );
    for (const { reject } of pending.values()) reject(dead);
    pending.clear();
  };
  thread.on('error', (error) => die(`failed: ${error instanceof Error ? error.message : error}`));
  thread.on('exit', (code) => die(`ended with code ${code}`));
  thread.on('message', ({ id, answer }: Response) => {
    const waiting = pending.get(id);
    pending.delete(id);
    if (answer.kind !== 'failed') waiting?.resolve(answer);
    else waiting?.reject(new Failure(answer.code, answer.message));
  });

  function ask(call: Call): Promise<Answer> {
    if (dead !== undefined) return Promise.reject(dead);
    const request: Request = { id: requests++, call };
    return new Promise((resolve, reject) => {
      pending.set(request.id, { resolve, reject });
      thread.postMessage(request);
    });
  }

  const device = await described(ask({ kind: 'create', options }), thread);
  return {
    describe: () => device,
    async load(memory) {
      await ask({ kind: 'load', memory });
    },
    async leaf(input, into) {
      const answer = await ask({ kind: 'leaf', input, into });
      if (answer.kind !== 'leaf') throw unexpected(answer);
      return answer.output;
    },
    features: async (pixels, view) => valuesOf(await ask({ kind: 'features', pixels, view })),
    moments: async (pixels, view) => valuesOf(await ask({ kind: 'moments', pixels, view })),
    view: async (pixels, view) => valuesOf(await ask({ kind: 'view', pixels, view })),
    async close() {
      if (dead === undefined) await within(closeTimeoutMs, ask({ kind: 'close' }));
      await thread.terminate();
    },
  };
}

/** The device, or the reason why there is none; the thread does not outlive the latter. */
async function described(answer: Promise<Answer>, thread: Worker): Promise<DeviceDescription> {
  try {
    const first = await answer;
    if (first.kind !== 'described') throw unexpected(first);
    return first.device;
  } catch (error) {
    await thread.terminate();
    throw error;
  }
}

function valuesOf(answer: Answer): Float32Array {
  if (answer.kind !== 'values') throw unexpected(answer);
  return answer.values;
}

function unexpected(answer: Answer): Error {
  return new Error(`the compute thread answered another question: ${answer.kind}`);
}

/** Waits for a promise, its failure included, but no longer than that. */
async function within(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([promise.catch(() => undefined), timeout]);
  clearTimeout(timer);
}
