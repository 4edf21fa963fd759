/**
 * The device class is proven: a worker whose machine computes other bits is refused and told why.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  addressOf,
  eventsUntil,
  rogueWorker,
  scratch,
  startNode,
  startTandem,
} from '../support/processes.ts';

/** A coordinator whose first, honest worker is live and busy. */
async function runningCoordinator(t: TestContext): Promise<{ run: string; address: string }> {
  const run = join(scratch(t), 'run');
  const method = ['--data', 'synthetic:64', '--model', 'resnet18', '--size', '32'];
  const sizes = ['--batch', '16', '--micro-batch', '8', '--steps', '10000'];
  const coordinator = startTandem(t, ['coordinator', ...method, ...sizes, '--run', run]);
  const address = await addressOf(coordinator);
  startTandem(t, [
    'worker',
    '--coordinator',
    address,
    '--data',
    'synthetic:64',
    '--name',
    'honest',
  ]);
  await eventsUntil(run, (event) => event.kind === 'worker-joined');
  return { run, address };
}

describe('the canary refuses other bits', { concurrency: 1, timeout: 600_000 }, () => {
  const cases: [string, string[], string][] = [
    ['two intra-op threads', ['environment', 'TF_NUM_INTRAOP_THREADS=2'], 'step'],
    ['another instruction set', ['environment', 'ONEDNN_MAX_CPU_ISA=SSE41'], 'step'],
    ['another backend', ['wasm'], 'step'],
  ];
  for (const [what, args, stage] of cases)
    it(`${what}: refused, naming the stage`, async (t) => {
      const { run, address } = await runningCoordinator(t);
      const worker = startNode(t, [rogueWorker, address, ...args]);
      assert.equal(await worker.ended, 1, 'a refused worker fails');
      assert.match(worker.err(), /^other-device-class: /m);
      assert.match(worker.err(), new RegExp(`stage "${stage}" differs`));
      assert.match(worker.err(), /--mixed-devices/);
      const events = await eventsUntil(run, (event) => event.kind === 'worker-refused');
      const refused = events.at(-1);
      assert.equal(refused?.kind === 'worker-refused' && refused.code, 'other-device-class');
    });
});
