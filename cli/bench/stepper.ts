/**
 * A process that does one timed step for each line on its stdin, so that several can be measured in
 * turn and compared step by step.
 *
 * Ours (tandem-step.ts) and the PyTorch peer (test/bench/torch_peer.py) speak the same JSON lines:
 * `{ready}` once warm, `step` answered by `{ms}`, `end` answered by `{peakBytes}`. A process that
 * waits for a line leaves its cores to the other.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Failure } from '../../shared/core/failures.ts';

export interface Stepper {
  /** What it said when it was ready. */
  ready: Answer;
  /** One step; milliseconds under `ms`. */
  step(): Promise<Answer>;
  /** Any other request. */
  ask(request: string): Promise<Answer>;
  /** Its last words, with `peakBytes`; resolves when the process is gone. */
  end(): Promise<Answer>;
  kill(): void;
}

export type Answer = Readonly<Record<string, unknown>>;

export interface StepperOptions {
  /** As people call it, for messages. */
  name: string;
  command: string;
  args: readonly string[];
  env: Record<string, string | undefined>;
  signal: AbortSignal;
}

/** Until the process is warm, and for one answer, milliseconds. */
const startMs = 300_000;
const answerMs = 120_000;
/** What of its stderr is quoted when it dies, characters. */
const quotedMax = 2000;

/** Rejects with `compute-failed` where the process dies, or says nothing in time. */
export async function startStepper(options: StepperOptions): Promise<Stepper> {
  const { name, command, args, env, signal } = options;
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'], signal });
  const answers: Answer[] = [];
  let said = '';
  let dead: string | null = null;
  let wake = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    const die = (reason: string): void => {
      dead ??= reason;
      wake();
      resolve();
    };
    child.on('error', (error) => die(error.message));
    child.on('close', (code, by) => die(by === null ? `it ended with code ${code}` : by));
  });
  child.stdin.on('error', () => undefined); // its death is told by `close`
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-quotedMax);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    answers.push(JSON.parse(line) as Answer);
    wake();
  });

  async function answer(withinMs: number): Promise<Answer> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      wake();
    }, withinMs);
    try {
      while (answers.length === 0) {
        if (dead !== null || late) {
          child.kill('SIGKILL');
          const found = dead ?? `no answer within ${withinMs / 1000} s`;
          const quoted = said.trim() === '' ? '' : `\n${said.trim()}`;
          throw new Failure(
            'compute-failed',
            `Expected a step of ${name}, found: ${found}.${quoted}`,
          );
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return answers.shift() as Answer;
    } finally {
      clearTimeout(timer);
    }
  }
  async function ask(request: string): Promise<Answer> {
    child.stdin.write(`${request}\n`);
    return await answer(answerMs);
  }

  return {
    ready: await answer(startMs),
    step: () => ask('step'),
    ask,
    async end() {
      const last = await ask('end');
      child.stdin.end();
      await gone;
      return last;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** A number of an answer. */
export function numberOf(answer: Answer, key: string): number {
  const value = answer[key];
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new Failure(
    'compute-failed',
    `Expected a number as ${key}, found ${JSON.stringify(value)}.`,
  );
}
