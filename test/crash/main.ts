/**
 * `npm run chaos -- --crash-points`: kills a coordinator at every point of a 20-step run.
 *
 *   --share X    only this share of the points, drawn by --seed N
 *   --only TEXT  only the points whose name holds TEXT
 *   --from A, --to B  only the points from number A to before B
 *   --at-once N  runs at a time (2)
 *   --list       names them and ends
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import '../support/use-small-model.ts';

const { crashPoints, seededShare, sweep } = await import('./crash-points.ts');
const { crashRun, Standbys } = await import('./crash-run.ts');
const { tinyPhotographs } = await import('../support/small-run.ts');

const { values } = parseArgs({
  options: {
    'crash-points': { type: 'boolean' },
    share: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    from: { type: 'string', default: '0' },
    to: { type: 'string', default: '1000000' },
    'at-once': { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'tandem-crash-'));
const standbys = new Standbys();
const began = performance.now();
try {
  const data = await tinyPhotographs(join(folder, 'data'), 30);
  const quiet = await crashRun({ standbys, data, folder: join(folder, 'quiet'), aim: null });
  const all = crashPoints(quiet.counts, folder);
  const drawn = seededShare(all, Number(values.share), Number(values.seed));
  const points = drawn
    .filter(({ name }) => name.includes(values.only))
    .slice(Number(values.from), Number(values.to));
  const seconds = () => ((performance.now() - began) / 1000).toFixed(0);
  process.stdout.write(`${points.length} of ${all.length} crash points\n`);
  if (values.list) process.stdout.write(`${points.map(({ name }) => name).join('\n')}\n`);
  else {
    let done = 0;
    const { failures } = await sweep({
      points,
      quiet,
      data,
      folder,
      standbys,
      atOnce: Number(values['at-once']),
      onPoint({ name }, failure) {
        done += 1;
        if (failure !== null) process.stdout.write(`FAILED  ${name}\n        ${failure}\n`);
        if (done % 50 === 0) process.stdout.write(`${done} killed, ${seconds()} s\n`);
      },
    });
    process.stdout.write(
      `${points.length} points, ${failures.length} failed, ${seconds()} s, digest ${quiet.digest}\n`,
    );
    process.exitCode = failures.length === 0 ? 0 : 1;
  }
} finally {
  standbys.close();
  if (process.exitCode !== 1) rmSync(folder, { recursive: true, force: true });
}
