/**
 * `npm run sim`: plays seeds in as many processes as there are cores, kept seeds first.
 *
 *   --seeds N --from K    so many seeds (1000) from the K-th on (1)
 *   --seed K [--trace]    one seed, with every line of its history
 *   --seconds S           begin no more seeds after so many seconds
 *   --processes N         instead of one a core
 *   --crash-points        the coordinator dies at every effect of a run of 20 steps, three ways,
 *                         and its machine with it; --every N: only at each N-th
 *   --pace                what a lost or slow worker costs in time
 *   --audits              20 liars (--lies 0.005: shares) under --audit 0.05, --honest 10000 audits
 *   --mutations           known bugs put back one at a time: each must be found
 *
 * A seed that fails is said with the command that plays it again, and the exit status is 1.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Outcome } from './cluster.ts';
import { mutations } from './mutations.ts';
import { Players } from './players.ts';
import { tellAudits } from './tell-audits.ts';

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
    seconds: { type: 'string', default: '1000000' },
    'crash-points': { type: 'boolean', default: false },
    every: { type: 'string', default: '1' },
    pace: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    audits: { type: 'boolean', default: false },
    lies: { type: 'string', default: '0.005' },
    audit: { type: 'string', default: '0.05' },
    honest: { type: 'string', default: '10000' },
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
  const seconds = whole(values.seconds, 'seconds');
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
    if (now - began > 1000 * seconds) return false;
    if (now - said < 5000) return;
    said = now;
    const rate = Math.round((60_000 * played) / (now - began));
    console.log(`${played} of ${seeds.length} seeds, ${rate} a minute, ${failures} failed`);
    return true;
  });
  players.close();
  const took = (performance.now() - began) / 1000;
  console.log(
    `${played} seeds in ${took.toFixed(1)} s with ${processes} processes, ` +
      `${Math.round((60 * played) / took)} a minute: ${failures} failed`,
  );
  return failures === 0 ? 0 : 1;
}

/** Seeds within which a mutation must be found. */
const mutationSeedsMax = 600;

async function tryMutations(): Promise<number> {
  let missed = 0;
  for (const { name, likely } of mutations) {
    const players = new Players(1, name);
    const seeds = Array.from({ length: mutationSeedsMax }, (_, i) => 1 + i);
    let finding: Outcome | undefined;
    const look = (outcomes: Outcome[]) => {
      finding = outcomes.find(({ violation }) => violation !== null);
      return finding === undefined;
    };
    await players.each([likely], 1, look);
    if (finding === undefined) await players.each(seeds, chunk, look);
    players.close();
    if (finding === undefined) missed += 1;
    const how =
      finding === undefined
        ? `MISSED in ${mutationSeedsMax} seeds`
        : `seed ${finding.seed}: ${finding.violation?.split('\n')[0]}`;
    console.log(`${name.padEnd(52)} ${how}`);
  }
  console.log(`${mutations.length} mutations, ${missed} missed`);
  return missed === 0 ? 0 : 1;
}

async function tellPace(): Promise<number> {
  const players = new Players(1, null, values.trace);
  const { lost, share } = await players.pace();
  players.close();
  for (const { what, step, ideal, noticed, added } of lost)
    console.log(
      `${what}: the step took ${step.toFixed(2)} leaf times; noticed after ${noticed.toFixed(2)}, and ` +
        `${added.toFixed(2)} beyond the ideal ${ideal.toFixed(2)} (claim: at most 1.5)`,
    );
  const wanted = (0.9 * 3.1) / 4;
  console.log(
    `one worker 10 times slower: ${share.toFixed(3)} of the throughput ` +
      `(claim: at least ${wanted.toFixed(3)})`,
  );
  return lost.every(({ added }) => added <= 1.5) && share >= wanted ? 0 : 1;
}

async function audits(): Promise<number> {
  const players = new Players(whole(values.processes, 'processes'), null);
  const [audit, share] = [Number(values.audit), Number(values.lies)];
  const honest = whole(values.honest, 'honest');
  const said = await tellAudits(players, { audit, share, honest }, whole(values.from, 'from'));
  players.close();
  for (const outcome of said.failed) failed(outcome);
  return said.holds ? 0 : 1;
}

async function crashPoints(): Promise<number> {
  const players = new Players(whole(values.processes, 'processes'), null);
  const every = Math.max(1, whole(values.every, 'every'));
  let failures = 0;
  let points = 0;
  for (const when of ['before', 'during', 'after'] as const)
    for (const powerCut of [false, true]) {
      players.order = { crash: { when, powerCut } };
      let effects = 0;
      await players.each([0], 1, ([quiet]) => void (effects = quiet?.effects ?? 0));
      const all = Array.from({ length: Math.floor(effects / every) }, (_, i) => (i + 1) * every);
      await players.each(all, chunk, (outcomes) => {
        for (const { seed, violation } of outcomes)
          if (violation !== null) {
            failures += 1;
            console.log(
              `killed ${when} effect ${seed}${powerCut ? ', power cut' : ''}: ${violation}`,
            );
          }
      });
      points += all.length;
    }
  players.close();
  console.log(`${points} crash points: ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

const command = values['crash-points']
  ? crashPoints
  : values.mutations
    ? tryMutations
    : values.audits
      ? audits
      : values.pace
        ? tellPace
        : main;
process.exitCode = await command();
