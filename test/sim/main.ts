/**
 * `npm run sim`: plays seeds in as many processes as there are cores, kept seeds first.
 *
 *   --seeds N --from K    so many seeds (1000) from the K-th on (1)
 *   --seed K [--trace]    one seed, with every line of its history
 *   --processes N         instead of one a core
 *
 * A seed that fails is said at once with its history's end and the command that plays it again,
 * and the exit status is 1.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Outcome } from './cluster.ts';
import { Players } from './players.ts';

const chunk = 25;
const keptPath = fileURLToPath(new URL('../../../test/sim/kept-seeds.json', import.meta.url));

export interface KeptSeed {
  seed: number;
  /** What it found, and when. */
  found: string;
}

export const keptSeeds = (): number[] =>
  (JSON.parse(readFileSync(keptPath, 'utf8')) as KeptSeed[]).map(({ seed }) => seed);

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    processes: { type: 'string', default: String(availableParallelism()) },
  },
});

const whole = (text: string, name: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} takes a whole number; found ${text}`);
};

function failed({ seed, violation, ms }: Outcome): void {
  const at = (ms / 1000).toFixed(1);
  console.log(`seed ${seed} FAILS at ${at} virtual seconds: ${violation}`);
  console.log(`  again, with its history: npm run sim -- --seed ${seed} --trace`);
}

async function main(): Promise<number> {
  const first = whole(values.from, 'from');
  const count = whole(values.seeds, 'seeds');
  const seeds =
    values.seed === undefined
      ? [...keptSeeds(), ...Array.from({ length: count }, (_, i) => first + i)]
      : [whole(values.seed, 'seed')];
  const processes = values.seed === undefined ? whole(values.processes, 'processes') : 1;
  const players = new Players(processes, null, values.trace);
  const began = performance.now();
  let played = 0;
  let failures = 0;
  let said = began;
  await players.each(seeds, chunk, (outcomes) => {
    played += outcomes.length;
    for (const outcome of outcomes)
      if (outcome.violation !== null) {
        failures += 1;
        failed(outcome);
      }
    const now = performance.now();
    if (now - said < 5000) return;
    said = now;
    const rate = Math.round((60_000 * played) / (now - began));
    console.log(`${played} of ${seeds.length} seeds, ${rate} a minute, ${failures} failed`);
  });
  players.close();
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${played} seeds in ${seconds.toFixed(1)} s with ${processes} processes, ` +
      `${Math.round((60 * played) / seconds)} a minute: ${failures} failed`,
  );
  return failures === 0 ? 0 : 1;
}

process.exitCode = await main();
