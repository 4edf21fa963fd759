/**
 * A real nats-server on a free loopback port. `npm test` finds or builds it and names it in
 * TANDEM_NATS_SERVER; under CI a missing one is a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsTarget, type NatsTarget } from '../../shared/adapters/nats-connection.ts';

export const natsBinary: string | undefined = process.env['TANDEM_NATS_SERVER'];

if (natsBinary === undefined && process.env['CI'] === 'true')
  throw new Error('CI needs a nats-server: TANDEM_NATS_SERVER is not set');

export const natsSkip: string | false =
  natsBinary === undefined ? 'no nats-server (npm test brings one)' : false;

/** A server without any secret. */
export const targetAt = (port: number): NatsTarget =>
  natsTarget({ nats: `nats://127.0.0.1:${port}` }, 'a test', {});

/** A port that nobody has at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export interface NatsOptions {
  /** Folder of a JetStream store; without it the server has no JetStream. */
  store?: string;
  /** More lines of its configuration; `store` is needed to write them. */
  config?: string;
}

/** Starts the server and waits until it answers; killed when the test ends. */
export async function startNats(
  t: TestContext,
  port: number,
  { store, config }: NatsOptions = {},
): Promise<ChildProcess> {
  const args = ['-a', '127.0.0.1', '-p', String(port)];
  if (store !== undefined) {
    const file = join(store, 'nats.conf');
    const own = config?.includes('jetstream') ? '' : `jetstream { store_dir: "${store}/store" }\n`;
    writeFileSync(file, `${own}${config ?? ''}\n`);
    args.push('-c', file);
  }
  const server = spawn(natsBinary ?? '', args, { stdio: 'ignore' });
  t.after(() => server.kill('SIGKILL'));
  for (let tries = 0; tries < 400; tries += 1) {
    if (await answers(port)) return server;
    await sleep(25);
  }
  throw new Error(`nats-server does not answer on port ${port}`);
}

/** Waits until something holds; the bound is only there to end a test that has failed. */
export async function until(holds: () => boolean, what: string, ms = 30_000): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
    if (waited > ms) throw new Error(`waited ${ms / 1000} s for: ${what}`);
    await sleep(10);
  }
}
