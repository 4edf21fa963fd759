/**
 * The compute thread's own program: requests in, answers out, in the order they came.
 *
 * TensorFlow is loaded here and nowhere else in the process. The network's loop lives in the main
 * thread and keeps ticking while a leaf computes.
 */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { asFailure, Failure } from '../../shared/core/failures.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import { createCompute } from './compute.ts';
import type { Answer, Call, Request, Response } from './thread-messages.ts';

let compute: Compute | undefined;

/** One call at a time: a leaf is synchronous inside, so a queue is all there is to order. */
let last: Promise<void> = Promise.resolve();

if (parentPort === null) throw new Error('thread.ts is started by threadedCompute, in a thread');
const port: MessagePort = parentPort;
port.on('message', (request: Request) => {
  last = last.then(() => respond(request));
});

async function respond({ id, call }: Request): Promise<void> {
  const answer = await run(call).catch(failed);
  const response: Response = { id, answer };
  port.postMessage(response, buffersOf(answer));
  if (call.kind === 'close') port.close();
}

async function run(call: Call): Promise<Answer> {
  if (call.kind === 'create') {
    compute = await createCompute(call.options);
    return { kind: 'described', device: compute.describe() };
  }
  if (compute === undefined) throw new Failure('internal', `${call.kind} came before create`);
  switch (call.kind) {
    case 'load':
      await compute.load(call.memory);
      return { kind: 'done' };
    case 'leaf':
      return { kind: 'leaf', output: await compute.leaf(call.input, call.into) };
    case 'features':
      return { kind: 'values', values: await compute.features(call.pixels, call.view) };
    case 'moments':
      return { kind: 'values', values: await compute.moments(call.pixels, call.view) };
    case 'view':
      return { kind: 'values', values: await compute.view(call.pixels, call.view) };
    case 'close':
      await compute.close();
      return { kind: 'done' };
    default:
      return unreachable(call);
  }
}

/** An error that is no Failure came out of a backend: the worker should start over. */
function failed(error: unknown): Answer {
  const { code, message } = asFailure(error);
  if (error instanceof Failure) return { kind: 'failed', code, message };
  const told = `Expected the backend to finish the computation, it failed: ${message}`;
  return { kind: 'failed', code: 'compute-failed', message: told };
}

function buffersOf(answer: Answer): ArrayBuffer[] {
  const values = answer.kind === 'leaf' ? answer.output.payload : null;
  const { buffer } = answer.kind === 'values' ? answer.values : (values ?? { buffer: null });
  // Shared memory is seen by both sides as it is.
  return buffer instanceof ArrayBuffer ? [buffer] : [];
}
