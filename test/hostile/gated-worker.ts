/**
 * A worker that computes exactly and only as many micro-batches as it is allowed: its parent sends
 * `{ leaves: N }` for N more.
 *
 *   gated-worker.js HOST:PORT NAME
 */
import { architecture } from '../../shared/core/architecture.ts';
import { runSession } from '../../worker/shell/session.ts';
import { exactCompute } from '../support/exact-compute.ts';

const [coordinator = '', name = ''] = process.argv.slice(2);
/** The canary computes one. */
let allowed = 1;
let wake: () => void = () => undefined;
process.on('message', (message: { leaves: number }) => {
  allowed += message.leaves;
  wake();
});
process.on('disconnect', () => process.exit(1));

async function before(): Promise<void> {
  while (allowed === 0)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  allowed -= 1;
}

await runSession({
  coordinator,
  name,
  dataset: null,
  compute: async (method) => exactCompute(method, architecture(method.model), { before }),
  describe: () => 'exact compute',
  signal: new AbortController().signal,
  say: (line) => void process.stderr.write(`${line}\n`),
  graceMs: 1000,
});
process.exit(0);
