/**
 * Hosts of their own: coordinator, NATS and four workers, each in a network namespace, over links that
 * delay every packet, with certificates and tokens. One worker's host is cut off from all others until
 * it counts as lost, and healed. Digest and ledger must be those of a run of one worker on loopback,
 * and a watcher over TLS and one over NATS must each have seen every event.
 *
 *   npm run chaos -- --hosts [--steps 200] [--delay 2] [--pace 60] [--cut 18] [--out DIR]
 *
 * Takes Linux, root, `ip`, Python 3, /dev/net/tun and a nats-server (hosts.ts). Exit status 1 where a
 * claim does not hold.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findNatsServer } from '../../cli/nats-broker.ts';
import { writeSecret } from '../../shared/adapters/secret-files.ts';
import { mintToken } from '../../shared/adapters/tokens.ts';
import { authority } from '../support/authority.ts';
import { eventsUntil } from '../support/processes.ts';
import { smallModelPreload } from '../support/use-small-model.ts';
import { namespaces } from './hosts.ts';
import { differences, eventsOf, outcomeOf } from './outcome.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const workerProgram = fileURLToPath(new URL('./guarded-worker.js', import.meta.url));
const { values } = parseArgs({
  options: {
    hosts: { type: 'boolean' },
    steps: { type: 'string', default: '200' },
    delay: { type: 'string', default: '2' },
    pace: { type: 'string', default: '60' },
    cut: { type: 'string', default: '18' },
    out: { type: 'string' },
  },
});
const steps = Number(values.steps);
const natsHost = 5;
const eventMs = 300_000;
const folder = values.out ?? mkdtempSync(join(tmpdir(), 'tandem-hosts-'));
mkdirSync(folder, { recursive: true });
const method = [
  ...['--data', 'synthetic:160', '--model', 'resnet18-cifar', '--size', '8', '--seed', '3'],
  ...['--batch', '16', '--micro-batch', '2', '--steps', `${steps}`, '--checkpoint-every', '50'],
];

const began = performance.now();
const say = (line: string) =>
  process.stdout.write(
    `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${line}\n`,
  );
const children = new Set<ChildProcess>();

/** Starts a program; its words go to a file. */
function start(name: string, [program, args]: [string, string[]], env = {}): Promise<number> {
  const child = spawn(program, args, {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  for (const [stream, ending] of [
    [child.stdout, 'out'],
    [child.stderr, 'err'],
  ] as const)
    stream?.pipe(createWriteStream(join(folder, `${name}.${ending}`)));
  return new Promise((resolve) =>
    child.once('close', (code) => {
      children.delete(child);
      resolve(code ?? 1);
    }),
  );
}

const ca = authority(folder);
const address = '10.77.0.1';
const server = ca.files('coordinator', 'coordinator', { hosts: [address], called: 'coordinator' });
const tokens = join(folder, 'tokens.json');
const tokenFor = (role: 'worker' | 'watcher', name: string): string => {
  const expires = new Date(Date.now() + 3_600_000);
  const path = join(folder, `${role}-${name === '*' ? 'any' : name}.token`);
  writeSecret(path, `${mintToken(tokens, { role, name, expires }).token}\n`);
  return path;
};

/** The same method with one worker on loopback, without any of it. */
async function quietRun() {
  const run = join(folder, 'quiet');
  const args = ['--import', smallModelPreload, bin, 'coordinator', ...method, '--run', run];
  const coordinator = start('quiet', [process.execPath, [...args, '--listen', '127.0.0.1:0']]);
  await eventsUntil(run, (event) => event.kind === 'run-opened', eventMs);
  let at = '';
  while (at === '') {
    await sleep(100);
    at = /listening on (\S+?),/.exec(readFileSync(join(folder, 'quiet.out'), 'utf8'))?.[1] ?? '';
  }
  const worker = [workerProgram, at, 'w', '', '', '', '', '0'];
  void start('quiet-w', [process.execPath, ['--import', smallModelPreload, ...worker]]);
  if ((await coordinator) !== 0) throw new Error('the quiet run failed');
  return outcomeOf(run, steps, true);
}

async function hostsRun(nats: string) {
  const run = join(folder, 'run');
  const hosts = await namespaces({
    ...{ workers: natsHost, delayMs: Number(values.delay), loss: 0, seed: 1, congestion: null },
  });
  try {
    const secret = randomBytes(16).toString('hex');
    const url = `nats://10.77.0.${natsHost + 1}:4222`;
    const conf = join(folder, 'nats.conf');
    const store = join(folder, 'nats');
    writeSecret(
      conf,
      `listen: "10.77.0.${natsHost + 1}:4222"\nauthorization { token: "${secret}" }\n` +
        `jetstream { store_dir: "${store}" }\n`,
    );
    const inNats = hosts.command(natsHost, []);
    const natsWords = [...inNats[1].filter((word) => word !== process.execPath), nats, '-c', conf];
    void start('nats', [inNats[0], natsWords]);
    const env = { TANDEM_NATS_TOKEN: secret };
    const { cert, key, ca: trust } = server;
    const guard = ['--tls-cert', cert, '--tls-key', key, '--tls-ca', trust, '--tokens', tokens];
    const workers = [1, 2, 3, 4].map((host) => {
      const name = `worker-${host}`;
      const files = ca.files(name, 'worker', { called: name });
      const shown = [files.cert, files.key, files.ca, tokenFor('worker', name)];
      const words = [workerProgram, hosts.listen, name, ...shown, values.pace];
      return () => start(name, hosts.command(host, ['--import', smallModelPreload, ...words]));
    });
    const watcher = ca.files('watcher', 'watcher');
    const shown = ['--tls-cert', watcher.cert, '--tls-key', watcher.key, '--tls-ca', watcher.ca];
    const token = ['--token-file', tokenFor('watcher', '*')];
    const words = ['coordinator', ...method, '--run', run, '--listen', hosts.listen];
    const coordinator = start(
      'coordinator',
      hosts.command(0, ['--import', smallModelPreload, bin, ...words, ...guard, '--nats', url]),
      env,
    );
    await eventsUntil(run, (event) => event.kind === 'run-opened', eventMs);
    const ends = workers.map((worker) => worker());
    const watch = ['watch', '--json', '--coordinator', hosts.listen, ...shown, ...token];
    const overTls = start('watch-tls', hosts.command(1, [bin, ...watch]));
    const overNats = start(
      'watch-nats',
      hosts.command(2, [bin, 'watch', '--json', '--nats', url, '--run', 'run']),
      env,
    );
    await eventsUntil(
      run,
      (event) => event.kind === 'step-committed' && event.step === 10,
      eventMs,
    );
    say('step 10: the host of worker-3 is cut off');
    hosts.cut([3]);
    await eventsUntil(run, (e) => e.kind === 'worker-left' && e.worker === 'worker-3', eventMs);
    say('it counts as lost');
    await sleep(Math.max(0, 1000 * (Number(values.cut) - 15)));
    hosts.cut([]);
    say('healed');
    const code = await coordinator;
    say(`the coordinator ended with ${code}`);
    const codes = await Promise.all([...ends, overTls, overNats]);
    say(`workers and watchers ended with ${codes.join(', ')}`);
    if (code !== 0) throw new Error(readFileSync(join(folder, 'coordinator.err'), 'utf8'));
    const packets = await hosts.packets();
    return { outcome: await outcomeOf(run, steps, true), events: eventsOf(run), packets };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await hosts.close();
  }
}

const nats = process.env['TANDEM_NATS_SERVER'] ?? findNatsServer(process.env);
if (nats === null) throw new Error('this needs a nats-server on PATH');
try {
  const quiet = await quietRun();
  say(`quiet run: digest ${quiet.digest}`);
  const { outcome, events, packets } = await hostsRun(nats);
  say(`six hosts: digest ${outcome.digest}; packets ${JSON.stringify(packets)}`);
  const faults = differences(outcome, quiet);
  const back = events.filter((e) => e.kind === 'worker-joined' && e.worker === 'worker-3').length;
  say(`worker-3 joined ${back} times; ${events.length} events`);
  if (back < 2) faults.push('worker-3 did not come back');
  for (const name of ['watch-tls', 'watch-nats']) {
    const lines = readFileSync(join(folder, `${name}.out`), 'utf8')
      .trim()
      .split('\n');
    const seqs = lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
    const whole = seqs.length === events.length && seqs.every((seq, i) => seq === i + 1);
    say(`${name}: ${seqs.length} events${whole ? ', all in order' : ''}`);
    if (!whole) faults.push(`${name} has not seen every event once and in order`);
  }
  for (const fault of faults) say(`FAULT: ${fault}`);
  say(faults.length === 0 ? 'every claim holds' : 'a claim does not hold');
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  if (values.out === undefined) rmSync(folder, { recursive: true, force: true });
}
