/**
 * A real nats-server on a free loopback port. `npm test` finds or builds it and names it in
 * TANDEM_NATS_SERVER; under CI a missing one is a failure.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect as connectSocket, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

export const natsBinary: string | undefined = process.env['TANDEM_NATS_SERVER'];

if (natsBinary === undefined && process.env['CI'] === 'true')
  throw new Error('CI needs a nats-server: TANDEM_NATS_SERVER is not set');

export const natsSkip: string | false =
  natsBinary === undefined ? 'no nats-server (npm test brings one)' : false;

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

/** Starts the server and waits until it answers; killed when the test ends. */
export async function startNats(t: TestContext, port: number): Promise<ChildProcess> {
  const server = spawn(natsBinary ?? '', ['-a', '127.0.0.1', '-p', String(port)], {
    stdio: 'ignore',
  });
  t.after(() => server.kill('SIGKILL'));
  for (let tries = 0; tries < 200; tries += 1) {
    if (await answers(port)) return server;
    await sleep(50);
  }
  throw new Error(`nats-server does not answer on port ${port}`);
}
