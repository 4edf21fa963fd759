/**
 * A worker of a chaos run that is not quite the shipped one: one whose compute takes a declared
 * time, or one that computes exactly, without TensorFlow (with `use-small-model.js` preloaded).
 * Conversation, images, sums and everything else are the shipped worker's.
 *
 *   chaos-worker.js --coordinator HOST:PORT --name NAME [--pace MS] [--exact] [--data DIR]
 *                   [--lies SHARE --seed N]   so many of its leaves are wrong by one bit
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Compute } from '../../shared/ports/compute.ts';
import { lying } from '../support/lies.ts';

const { values } = parseArgs({
  options: {
    coordinator: { type: 'string', default: '' },
    name: { type: 'string', default: '' },
    pace: { type: 'string', default: '0' },
    exact: { type: 'boolean', default: false },
    data: { type: 'string' },
    lies: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
  },
});
const { coordinator, name } = values;
const paceMs = Number(values.pace);
const graceMs = 5000;

const share = Number(values.lies);
const honest = (compute: Compute): Compute =>
  share > 0 ? lying(compute, { share, seed: Number(values.seed) }) : compute;

/** A leaf is handed out no sooner than `paceMs` after it was asked for, and one at a time. */
function paced(compute: Compute): Compute {
  if (paceMs === 0) return compute;
  let last: Promise<unknown> = Promise.resolve();
  return {
    ...compute,
    leaf(input, into) {
      const output = last.then(async () => {
        const [made] = await Promise.all([compute.leaf(input, into), sleep(paceMs)]);
        return made;
      });
      last = output.catch(() => undefined);
      return output;
    },
  };
}

const leave = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => leave.abort(new Error(`asked to leave by ${signal}`)));

const common = { coordinator, name, signal: leave.signal, graceMs };
const say = (line: string) => void process.stderr.write(`${line}\n`);

if (values.exact) {
  const { architecture } = await import('../../shared/core/architecture.ts');
  const { openDataset } = await import('../../shared/adapters/open-dataset.ts');
  const { runSession } = await import('../../worker/shell/session.ts');
  const { exactCompute } = await import('../support/exact-compute.ts');
  await runSession({
    ...common,
    dataset: values.data === undefined ? null : openDataset(values.data),
    compute: async (method) => paced(honest(exactCompute(method, architecture(method.model)))),
    describe: () => 'exact compute',
    say,
  });
} else {
  const { runWorker } = await import('../../worker/main.ts');
  await runWorker({
    ...common,
    data: values.data ?? null,
    backend: 'auto',
    requireGpu: false,
    through: (compute) => paced(honest(compute)),
    say,
  });
}
process.exit();
