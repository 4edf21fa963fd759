/**
 * The evaluations that lie in a run folder, in the order of their time. What is none of this
 * version is passed over and said.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asEvaluation, type Evaluation, evaluationsFolder } from '../shared/core/evaluation.ts';

const evaluationsMax = 500;
const bytesMax = 16 * 1024 * 1024;

export async function evaluationsOf(
  run: string,
  say: (line: string) => void = () => undefined,
): Promise<Evaluation[]> {
  const folder = join(run, evaluationsFolder);
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'));
  const found: Evaluation[] = [];
  for (const name of names.sort().slice(-evaluationsMax)) {
    const path = join(folder, name);
    try {
      const { size } = await stat(path);
      if (size > bytesMax) throw new Error(`${size} bytes`);
      const evaluation = asEvaluation(JSON.parse(await readFile(path, 'utf8')));
      if (evaluation === null) throw new Error('another form');
      found.push(evaluation);
    } catch (error) {
      say(`${path} is no evaluation of this release (${(error as Error).message}): left out`);
    }
  }
  return found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}
