/** Simulated clusters under faults: kept seeds, new ones, known bugs, and what a fault costs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const main = fileURLToPath(new URL('./main.js', import.meta.url));

/** Runs the simulator's command; on failure what it said is in the message. */
function sim(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  assert.equal(status, 0, `sim ${words.join(' ')}\n${stdout.slice(-4000)}${stderr.slice(-4000)}`);
  return stdout;
}

test('whatever befalls processes, network and disk, the run is the unfaulted one to the byte', (t) => {
  // As many as fit; the kept seeds are played first, whatever the time.
  const said = sim('--seeds', '100000', '--seconds', '35', '--processes', '1');
  t.diagnostic(said.trim().split('\n').at(-1) ?? '');
  assert.match(said, /: 0 failed\n$/);
});

test('a seed has one history', () => {
  const history = () => sim('--seed', '7', '--trace').split('\n').slice(0, -2).join('\n');
  const first = history();
  assert.ok(first.split('\n').length > 500);
  assert.equal(history(), first);
});

test('every known bug that is put back is found', (t) => {
  for (const line of sim('--mutations').trim().split('\n')) t.diagnostic(line);
});

test('a coordinator that dies at one of its effects costs nothing but time', () => {
  // Every 40th of them; `npm run sim -- --crash-points` takes them all.
  sim('--crash-points', '--every', '40', '--processes', '1');
});

test('an audit finds a worker that lies as soon as predicted, and nothing of its lies stays', (t) => {
  // Lies and audits are frequent here; `npm run sim -- --audits` takes them rare, as they are.
  for (const line of sim(...'--audits --lies 0.1 --audit 0.2 --honest 1000'.split(' '))
    .trim()
    .split('\n'))
    t.diagnostic(line);
});

test('the cost in time of a lost or slow worker is bounded', (t) => {
  for (const line of sim('--pace').trim().split('\n')) t.diagnostic(line);
});
