/**
 * Health in plain text on a port of its own, for probes that know no TLS (Kubernetes' gRPC probe
 * is one). It answers `grpc.health.v1.Health` and nothing else, so it may be reached from other
 * machines without a password: it tells whether a process lives and works, never what it works on.
 *
 * Two services: the empty name is the process itself (it answers, so it is not stuck) and `ready`
 * is whether it takes part: a coordinator that listens, a worker that a coordinator has admitted.
 */
import * as grpc from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { parseAddress } from '../core/config.ts';
import { Failure } from '../core/failures.ts';

/** What a probe asks for beside the empty name. */
export const readyService = 'ready';

/** Streams that a connection may hold: a probe needs one. */
const streamsMax = 4;
/** Largest message either way: the name of a service. */
const messageBytes = 4096;

export interface HealthServer {
  /** HOST:PORT, the port as chosen. */
  address: string;
  setReady(ready: boolean): void;
  close(): void;
}

/** Serves health at HOST:PORT. Rejects with `address-in-use`. */
export async function serveHealth(at: string): Promise<HealthServer> {
  const { host, port: wanted } = parseAddress(at) ?? { host: '', port: 0 };
  const health = new HealthImplementation({ '': 'SERVING', [readyService]: 'NOT_SERVING' });
  const server = new grpc.Server({
    'grpc.max_concurrent_streams': streamsMax,
    'grpc.max_receive_message_length': messageBytes,
    'grpc.max_send_message_length': messageBytes,
  });
  health.addToServer(server);
  const where = host.includes(':') ? `[${host}]` : host;
  const port = await new Promise<number>((resolve, reject) => {
    const plain = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`${where}:${wanted}`, plain, (cause, bound) => {
      if (cause === null) return resolve(bound);
      const message = `health cannot listen on ${at}: ${cause.message}. Choose another --health`;
      reject(new Failure('address-in-use', message, { cause }));
    });
  });
  return {
    address: `${where}:${port}`,
    setReady: (ready) => health.setStatus(readyService, ready ? 'SERVING' : 'NOT_SERVING'),
    close: () => server.forceShutdown(),
  };
}
