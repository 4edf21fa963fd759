/**
 * What a command may touch of the process: two streams, the environment, an interrupt.
 *
 * Commands get it as a value, so tests give them streams that collect. `Job` is a command whose
 * input was parsed and found good; nothing was started or written before it runs.
 */

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** For `--quiet`: takes everything, shows nothing. */
export const silent: Output = { write: () => true };

/** Where the coordinator listens, how far it has looked at the data, or why this process ends. */
export type ParentMessage =
  | { address: string }
  | { indexing: { done: number; total: number } }
  | { failure: { code: string; message: string } };

export interface Io {
  stdout: Output;
  stderr: Output;
  env: Record<string, string | undefined>;
  /** Where a supervisor started this process: what it is told. */
  toParent?: ((message: ParentMessage) => void) | undefined;
}

/** Runs until done or until `signal` fires; resolves to the exit code. Failures are thrown. */
export type Job = (signal: AbortSignal) => Promise<number>;

/** May this stream be redrawn and coloured? */
export function terminalOf(output: Output, env: Io['env']): { live: boolean; colour: boolean } {
  const live = output.isTTY === true && env['TERM'] !== 'dumb';
  const plain = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return { live, colour: live && !plain };
}
