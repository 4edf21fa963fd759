/** The worker's connections: gradients and weights travel at the same time and never hold each other. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { arithmetic, inLine } from '../../../coordinator/shell/arithmetic.ts';
import { earlyWeights } from '../../../coordinator/shell/early-weights.ts';
import { emptyCopy, modelState } from '../../../coordinator/shell/model-state.ts';
import { reduceStep } from '../../../coordinator/shell/reducer.ts';
import type { RunContext } from '../../../coordinator/shell/run-context.ts';
import { stepMeter } from '../../../coordinator/shell/step-meter.ts';
import { trainingService } from '../../../coordinator/shell/training-service.ts';
import { type ControlStream, WorkerLink } from '../../../coordinator/shell/worker-link.ts';
import { dial } from '../../../shared/adapters/dial.ts';
import { TrainingService, tunedServer } from '../../../shared/adapters/grpc.ts';
import type { Architecture } from '../../../shared/core/architecture-types.ts';
import { weightLayout } from '../../../shared/core/weight-layout.ts';
import { weightMemory } from '../../../shared/core/weight-memory.ts';
import type { ConverseRequest } from '../../../shared/wire/messages.ts';
import { openTransport } from '../../../worker/shell/transport.ts';

const parameterCount = 12_000_000;
const large: Architecture = {
  parameters: [{ name: 'w', shape: [parameterCount], offset: 0, length: parameterCount }],
  statistics: [{ name: 's', shape: [64], offset: 0, length: 64 }],
  parameterCount,
  statisticCount: 64,
} as unknown as Architecture;

test('48 MB go up while the next weights come down, on connections of their own', async (t) => {
  const model = modelState(large, emptyCopy(large), 0);
  const early = earlyWeights();
  const numbers = arithmetic(model, early, inLine);
  const links = new Map<string, WorkerLink>();
  const parts = { plan: { generation: 1 }, links, model, early, meter: stepMeter(), samples: [] };
  const server = tunedServer();
  const listing = new EventEmitter();
  const service = {
    ...trainingService(parts as unknown as RunContext, () => {
      throw new Error('no run loop here');
    }),
    // It never answers.
    listSamples: () => listing.emit('asked'),
    converse: (call: ControlStream) =>
      call.on('data', ({ join }: ConverseRequest) => {
        const link = new WorkerLink(join?.worker ?? '', call);
        links.set(join?.worker ?? '', link);
        link.send({ admitted: { identity: '' } });
      }),
  };
  server.addService(TrainingService.service, service as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync('127.0.0.1:0', credentials, (e, p) => (e ? reject(e) : resolve(p)));
  });
  const transport = openTransport(dial(`127.0.0.1:${port}`));
  t.after(() => {
    transport.close();
    server.forceShutdown();
  });
  const control = transport.converse();
  control.on('error', () => undefined);
  const admitted = new Promise((resolve) => control.once('data', resolve));
  const join = { worker: 'w', pid: 1, host: '', protoVersion: 1, description: '', identity: '' };
  control.write({ join: { ...join, session: '', protoOldest: 1 } });
  await admitted;
  const payload = new Float32Array(parameterCount + 128).fill(0.5);
  transport.serveGradients({ worker: 'w', generation: 1, session: '' }, () => payload);
  const link = links.get('w');
  assert.ok(link);
  const layout = weightLayout(large, 'f32');
  const into = { layout, memory: weightMemory(layout) };
  for (let round = 0; round < 2; round += 1) {
    const rates = { base: 0.5, predictor: 0.5 };
    numbers.begin(0, { leaves: 1, rates, momentumFactor: 0, weightDecay: 0 });
    const ahead = transport.followWeights(1, 0, into);
    const node = { level: 0, index: 0 };
    const reduced = await reduceStep({
      model,
      arithmetic: numbers,
      leaves: 1,
      sources: [{ node, worker: 'w', pull: (bucket, size) => link.pull(0, node, bucket, size) }],
      progress: { step: 0, bucket: 0 },
      signal: new AbortController().signal,
    });
    assert.equal((await ahead.hashes)?.weights, reduced?.weights);
  }
  const failing = (code: string) => (error: unknown) => (error as { code?: unknown }).code === code;
  const nowhere = transport.fetchSample('0'.repeat(64), 10);
  await assert.rejects(nowhere, failing('sample-unavailable'));
  // A connection that is hung up keeps nobody waiting for what is still on its way.
  const list = transport.listSamples();
  await once(listing, 'asked');
  transport.close();
  await assert.rejects(list, failing('coordinator-unreachable'));
});
