/**
 * The process that computes a preview. TensorFlow reads its environment when its process begins, and
 * writes to stderr whatever it likes: so the command starts this one, with the environment of a
 * worker, and passes on what people should read.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { asFailure, Failure, type FailureCode } from '../shared/core/failures.ts';
import { computeEnvironment } from '../worker/compute/environment.ts';
import type { PreviewOptions } from './preview.ts';
import { isChatter } from './tensorflow-lines.ts';

const self = fileURLToPath(import.meta.url);

type Told = { say: string } | { pairs: number } | { failure: { code: string; message: string } };

/** Writes the contact sheet in a process of its own; resolves to the number of pairs on it. */
export async function previewInChild(options: PreviewOptions): Promise<number> {
  const { signal, say, ...task } = options;
  const child = fork(self, [JSON.stringify(task)], {
    env: computeEnvironment(process.env, { precision: 'f32' }),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const stop = (): unknown => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const said: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said.push(...text.split('\n').filter((line) => line !== '' && !isChatter(line)));
    said.splice(0, said.length - 20);
  });
  let pairs: number | null = null;
  let failure: Failure | null = null;
  child.on('message', (told: Told) => {
    if ('say' in told) say(told.say);
    else if ('pairs' in told) pairs = told.pairs;
    else failure = new Failure(told.failure.code as FailureCode, told.failure.message);
  });
  await ended;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (failure !== null) throw failure;
  for (const line of said) say(line);
  if (pairs === null)
    throw new Failure('compute-failed', `no picture was made: ${said.at(-1) ?? ''}`);
  return pairs;
}

async function computeHere(task: Omit<PreviewOptions, 'say' | 'signal'>): Promise<void> {
  const tell = (told: Told): void => void process.send?.(told);
  const over = new AbortController();
  process.once('disconnect', () => process.exit(1));
  try {
    const { writePreview } = await import('./preview.ts');
    const say = (line: string): void => tell({ say: line });
    tell({ pairs: await writePreview({ ...task, say, signal: over.signal }) });
  } catch (error) {
    const { code, message } = asFailure(error);
    tell({ failure: { code, message } });
  }
  process.removeAllListeners('disconnect');
  process.disconnect?.();
}

if (process.argv[1] === self && process.send !== undefined) {
  await computeHere(JSON.parse(process.argv[2] ?? '{}'));
}
