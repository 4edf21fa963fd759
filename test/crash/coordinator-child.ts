/**
 * A coordinator in a process of its own that waits until it is told to begin: everything is loaded
 * by then, so a restart costs milliseconds. It is the shipped `runCoordinator`, on the small model,
 * with a tap on its disk that may kill it.
 *
 *   → { values, run, aim }   begin          ← 'ready', then { address } and at the end { counts }
 */
import '../support/use-small-model.ts';
import type { Aim } from './disk-tap.ts';

const { tapDisk } = await import('./disk-tap.ts');
const { WorkerLink } = await import('../../coordinator/shell/worker-link.ts');
const { runCoordinator } = await import('../../coordinator/main.ts');
const { parseConfig } = await import('../../shared/core/config.ts');

export interface Task {
  values: Record<string, string | number>;
  run: string;
  aim: Aim | null;
}

export type Told =
  | 'ready'
  | { address: string }
  | { counts: [string, number][] }
  | { failure: string };

const tell = (told: Told): void => void process.send?.(told);

process.once('message', (task: Task) => {
  const { values, run, aim } = task;
  const tap = tapDisk(run, aim);
  const { send } = WorkerLink.prototype;
  WorkerLink.prototype.send = function (message) {
    if (message.stepCommitted) tap.effect('broadcast of a commit', () => send.call(this, message));
    else send.call(this, message);
  };
  const { config } = parseConfig([{ source: 'flag', values }]);
  runCoordinator({
    config: { ...config, run },
    signal: new AbortController().signal,
    say: () => undefined,
    onListening: (address) => tell({ address }),
  }).then(
    () => {
      tell({ counts: [...tap.counts] });
      process.disconnect();
    },
    (error: Error) => {
      tell({ failure: String(error.stack) });
      process.disconnect();
    },
  );
});
process.once('disconnect', () => process.exit());
tell('ready');
