/**
 * `tandem train` as a supervisor: one coordinator and N workers as processes of this machine.
 *
 * Children that die are started again (`children.ts`); a coordinator comes back on the port that its
 * workers know.
 */
import { type Config, configFlags } from '../shared/core/config.ts';
import { coordinatorOptionNames } from '../shared/core/option-table.ts';
import { type ChildMessage, openChildren } from './children.ts';
import { keepWorkers } from './worker-children.ts';

export interface SuperviseOptions {
  config: Config & { run: string };
  /** Aborted for an orderly stop. */
  signal: AbortSignal;
  verbose: boolean;
  /** Variables that the coordinator gets beyond our own. */
  coordinatorEnv?: Record<string, string>;
  /** Lines that children print. */
  note: (line: string) => void;
  /** How far the coordinator's first look at the data is. */
  onIndexing?: (done: number, total: number) => void;
}

/** Runs to the end of the run. Rejects with the failure that a child cannot recover from. */
export async function superviseTrain(options: SuperviseOptions): Promise<void> {
  const { config, signal } = options;
  const children = openChildren(signal, options.note);
  let address = config.listen;

  const verbose = options.verbose ? ['--verbose'] : [];
  let listening: (() => void) | null = null;
  const firstListening = new Promise<void>((resolve) => {
    listening = resolve;
  });
  const launchCoordinator = () => {
    const flags = configFlags({ ...config, listen: address, json: false }, coordinatorOptionNames);
    const env = { ...process.env, ...options.coordinatorEnv };
    const child = children.start(['coordinator', ...flags, ...verbose], env);
    child.on('message', (message: ChildMessage) => {
      if (message.indexing !== undefined) {
        options.onIndexing?.(message.indexing.done, message.indexing.total);
      }
      if (typeof message.address !== 'string') return;
      address = message.address;
      listening?.();
    });
    return child;
  };
  const coordinator = children.keep('the coordinator', launchCoordinator);
  try {
    await Promise.race([firstListening, coordinator]);
    const workers = keepWorkers(children, config, () => address, verbose);
    const broken = workers.then(() => coordinator);
    await Promise.race([coordinator, broken]);
  } finally {
    await children.end();
  }
}
