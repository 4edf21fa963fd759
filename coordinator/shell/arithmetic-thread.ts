/**
 * The step's arithmetic in a thread of its own: while the main thread receives buckets and sends
 * weights, this one sums, updates and hashes. Memory is shared; only commands and answers travel.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { StartPerformer } from './arithmetic.ts';
import type { Answer, Command, Shared } from './arithmetic-messages.ts';
import { stepArithmetic } from './step-arithmetic.ts';

export const inThread: StartPerformer = (shared, answer, failed) => {
  const thread = new Worker(new URL(import.meta.url), { workerData: shared });
  // A coordinator that has nothing else to do may end.
  thread.unref();
  thread.on('message', (message: Answer) => answer(message));
  thread.on('error', (error) => failed(error instanceof Error ? error : new Error(String(error))));
  thread.on('exit', (code) => failed(new Error(`the arithmetic thread ended with code ${code}`)));
  return {
    post: (command) => thread.postMessage(command),
    async close() {
      thread.removeAllListeners('exit');
      await thread.terminate();
    },
  };
};

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const perform = stepArithmetic(workerData as Shared, (message) => port.postMessage(message));
  port.on('message', (command: Command) => perform(command));
}
