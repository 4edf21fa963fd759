/** A command of `tandem` in this process, with streams that collect. */
import type { Io } from '../../cli/io.ts';
import { run } from '../../cli/main.ts';

export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** Runs `tandem ARGV` to its end. */
export async function command(argv: readonly string[], env: Io['env'] = {}): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(argv, {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env,
  });
  return { code, out: out.join(''), err: err.join('') };
}
