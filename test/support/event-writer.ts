/**
 * A coordinator as far as events go, for tests that kill it often: the real log, fence and NATS
 * publisher on a run folder, and steps that take a few milliseconds instead of a network's time.
 *
 *   event-writer.js RUN PORT STEPS
 *
 * A next life goes on after the last step in the file, as the coordinator does.
 */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEventLog } from '../../coordinator/shell/event-log.ts';
import { prepareRunFolder, takeGeneration } from '../../coordinator/shell/run-folder.ts';
import { natsPublisher } from '../../shared/adapters/nats-publisher.ts';
import type { EventBody } from '../../shared/core/events.ts';
import { targetAt } from './nats-server.ts';

const [folder = '', port = '0', steps = '0'] = process.argv.slice(2);
const totalSteps = Number(steps);
const run = basename(folder);
await prepareRunFolder(folder);
const generation = await takeGeneration(folder);
let step = 0;
const events = await openEventLog(folder, generation, (event) => {
  if (event.kind === 'step-committed') step = event.step;
});
const publisher = natsPublisher({
  target: targetAt(Number(port)),
  run,
  source: events,
  beat: () => ({ run, generation, seq: events.seq, step, time: new Date().toISOString() }),
  say: (state, message) => {
    const body = { kind: 'warning', code: 'nats', message } as const;
    if (state === 'away') void events.append(body, step, 'said by the publisher');
  },
});
const opened: EventBody = {
  kind: 'run-opened',
  version: 1,
  run,
  generation,
  totalSteps,
  stopAt: null,
  images: 64,
  batch: 8,
  microBatch: 4,
  model: 'resnet18-cifar',
  outputWidth: 2048,
  data: 'synthetic:64',
};
await events.append(opened, step, 'a life begins');
for (; step < totalSteps; ) {
  await sleep(5 + 20 * Math.random());
  step += 1;
  const body: EventBody = {
    kind: 'step-committed',
    epoch: step / 8,
    loss: -1 + 1 / step,
    std: 0.02,
    learningRate: 0.05,
    imagesPerSecond: 400,
    workers: 2,
    record: String(step).padStart(64, '0'),
  };
  await events.append(body, step, 'all its micro-batches are summed');
}
const checkpoint = 'checkpoints/step';
const last: EventBody = {
  kind: 'run-done',
  stopped: false,
  loss: -0.9,
  std: 0.02,
  digest: 'd'.repeat(64),
  checkpoint,
};
await events.append(last, step, 'the last step is committed');
await events.close();
await publisher.close();
