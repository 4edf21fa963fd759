/** The doctor, on machines made up here (values, not mocks of parts) and on this one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { examine } from '../../cli/doctor.ts';
import { type Surroundings, surroundingsOf } from '../../cli/doctor-surroundings.ts';
import type { Finding } from '../../cli/finding.ts';
import { parseConfig } from '../../shared/core/config.ts';
import { command } from '../support/command.ts';

const { config } = parseConfig([]);
const here = surroundingsOf(config, process.env);
/** A machine on which everything is well. */
const well: Surroundings = {
  ...here,
  nodeVersion: '22.20.0',
  compiler: '/usr/bin/g++',
  addonStands: true,
  record: { build: 'cpu', reason: null },
  driver: false,
  gpus: [],
  nats: null,
  natsServer: '/usr/bin/nats-server',
  unknownVariables: [],
  totalMemory: 64e9,
  probe: async () => ({ version: '2.21.0', device: 'cpu' }),
  wasmProblem: async () => null,
  bindProblem: async () => null,
  writeProblem: async () => null,
  freeBytes: async () => 1e12,
  fileClockSkewMs: async () => 1,
};

const states = async (s: Surroundings): Promise<Record<string, Finding>> =>
  Object.fromEntries((await examine(s)).map((one) => [one.name, one]));

test('a machine on which everything is well has no failure and no cure', async () => {
  for (const one of await examine(well)) {
    assert.ok(['ok', 'note'].includes(one.state), `${one.name}: ${one.found}`);
    assert.equal(one.cure, '');
  }
});

test('the doctor knows every variable that the reference tells of, and warns of others', () => {
  const reference = readFileSync(new URL('../../../docs/reference.md', import.meta.url), 'utf8');
  const [, environment = ''] = reference.split('## Environment');
  const told = [...environment.matchAll(/TANDEM_[A-Z_]+/g)].map(([name]) => name);
  assert.ok(told.length >= 8);
  const set = Object.fromEntries([...told, 'TANDEM_GPU'].map((name) => [name, 'x']));
  assert.deepEqual(surroundingsOf(config, set).unknownVariables, ['TANDEM_GPU']);
});

const ills: [what: string, change: Partial<Surroundings>, name: string, state: string][] = [
  ['an old Node', { nodeVersion: '18.2.0' }, 'Node', 'failed'],
  ['a Node that nobody tried', { nodeVersion: '23.1.0' }, 'Node', 'warning'],
  ['no compiler before the build', { compiler: null, addonStands: false }, 'compiler', 'failed'],
  ['no compiler after the build', { compiler: null }, 'compiler', 'note'],
  ['no addon', { addonStands: false }, 'TensorFlow', 'failed'],
  [
    'no addon, and wasm was asked for',
    { addonStands: false, wasmAsked: true },
    'TensorFlow',
    'note',
  ],
  [
    'an addon that does not load',
    { probe: async () => ({ problem: 'it does not load: SIGILL' }) },
    'TensorFlow',
    'failed',
  ],
  ['a driver that TensorFlow does not use', { driver: true }, 'GPU', 'warning'],
  ['no wasm file', { wasmProblem: async () => 'no .wasm file' }, 'WebAssembly', 'failed'],
  ['no nats-server', { natsServer: null }, 'NATS', 'note'],
  [
    'a NATS server that is not there',
    { nats: 'nats://127.0.0.1:1', connects: async () => 'connect ECONNREFUSED' },
    'NATS',
    'failed',
  ],
  ['a port in use', { bindProblem: async () => 'EADDRINUSE' }, 'port', 'failed'],
  [
    'a folder that cannot be written',
    { writeProblem: async () => 'EACCES' },
    'run folder',
    'failed',
  ],
  ['a cache that cannot be written', { writeProblem: async () => 'EACCES' }, 'cache', 'warning'],
  ['a full disk', { freeBytes: async () => 1e6 }, 'disk', 'failed'],
  [
    'a disk that is nearly full',
    { freeBytes: async () => 1.5 * well.diskNeeded },
    'disk',
    'warning',
  ],
  ['little memory', { totalMemory: 1e8 }, 'memory', 'warning'],
  ['a clock in the past', { now: () => 0 }, 'clock', 'warning'],
  ['files of another time', { fileClockSkewMs: async () => -60_000 }, 'clock', 'warning'],
  ['a variable that means nothing', { unknownVariables: ['TANDEM_GPU'] }, 'environment', 'warning'],
];
for (const [what, change, name, state] of ills) {
  test(`${what} is seen, with its cure`, async () => {
    const found = (await states({ ...well, ...change }))[name];
    assert.equal(found?.state, state);
    if (state !== 'note') assert.ok((found?.cure ?? '').length > 10);
  });
}

test('a check that breaks is a failure of its own, and the others go on', async () => {
  const freeBytes = (): Promise<number> => Promise.reject(new Error('the disk is gone'));
  const findings = await examine({ ...well, freeBytes });
  assert.match(findings.find((one) => one.name === 'disk')?.found ?? '', /the disk is gone/);
  assert.equal(findings.at(-1)?.name, 'environment');
});

test('a port is really tried, a NATS server really asked', async (t) => {
  const server = createServer((socket) => socket.end('INFO {}\r\n')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const taken = surroundingsOf({ ...config, listen: `127.0.0.1:${port}` }, {});
  assert.match((await taken.bindProblem()) ?? '', /EADDRINUSE/);
  assert.equal(await here.bindProblem(), null);
  assert.equal(await here.connects(`nats://127.0.0.1:${port}`), null);
  assert.match((await here.connects('127.0.0.1:1')) ?? '', /ECONNREFUSED/);
  assert.equal(await here.writeProblem('.'), null);
  assert.match((await here.writeProblem('package.json')) ?? '', /ENOTDIR/);
  assert.ok(((await here.freeBytes('not/there/yet')) ?? 0) > 0);
});

test('tandem doctor on this machine: JSON, and the exit code says whether all is well', async () => {
  const { code, out } = await command(['doctor', '--backend', 'wasm', '--json'], process.env);
  const { ready, findings } = JSON.parse(out) as { ready: boolean; findings: Finding[] };
  assert.equal(code, ready ? 0 : 69);
  assert.ok(findings.length >= 12);
  assert.equal(findings.find((one) => one.name === 'WebAssembly')?.state, 'ok');
});
