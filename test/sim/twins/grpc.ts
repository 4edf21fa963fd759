/**
 * `shared/adapters/grpc.ts` on the simulated network: the calls of TrainingService between the
 * shipped worker and the shipped coordinator, without sockets and without encoding.
 *
 * Reflection and health stand here too, as nothing: the programs only announce themselves there.
 */
import {
  breakFrom,
  type Connection,
  call,
  connect,
  type Handlers,
  network,
  type Server,
} from '../network.ts';
import type { Stream } from '../stream.ts';
import { later, type Process, world } from '../world.ts';

export { writeTo } from '../../../shared/adapters/grpc.ts';
export const packageDefinition = {};
export const channelOptions = {};
export const collectAtOnce: readonly string[] = [];
export const framed = (parts: unknown): unknown => parts;

const self = (): Process => {
  if (world.current === null) throw new Error('nobody runs who could open a connection');
  return world.current;
};

/** A client of either service: one connection, made with the first call and again when it broke. */
class Client {
  private connection: Connection | null = null;
  private readonly owner = self();

  private start(method: string, request: unknown, metadata: unknown) {
    let { connection } = this;
    if (connection === null || connection.state === 'broken' || connection.givenUp) {
      const made = connect(this.owner);
      if (made instanceof Error) return call(this.owner, made, method, request, metadata);
      connection = made;
      this.connection = made;
    }
    return call(this.owner, connection, method, request, metadata);
  }

  private within({ deadline }: { deadline: number }, stream: Stream): Stream {
    const late = Object.assign(new Error('deadline exceeded'), { code: 4 });
    later(this.owner, deadline - Date.now(), () => stream.fall(late));
    return stream;
  }

  converse(metadata: unknown) {
    return this.start('converse', null, metadata);
  }
  pushGradients(metadata: unknown) {
    return this.start('pushGradients', null, metadata);
  }
  pullWeights(request: unknown, options: { deadline: number }) {
    return this.within(options, this.start('pullWeights', request, null));
  }
  listSamples(request: unknown, options: { deadline: number }) {
    return this.within(options, this.start('listSamples', request, null));
  }
  fetchSample(request: unknown, options: { deadline: number }) {
    return this.within(options, this.start('fetchSample', request, null));
  }
  close(): void {
    // Calls that are under way end by themselves; nothing new begins here.
    this.connection = null;
  }
}

export class TrainingService extends Client {
  static service = 'training';
}
export class RunService extends Client {
  static service = 'run';
}

class SimServer {
  private readonly server: Server = {
    process: self(),
    handlers: {},
    listening: false,
    connections: new Set(),
  };

  addService(name: string, handlers: Handlers): void {
    if (name === 'training' || name === 'run') Object.assign(this.server.handlers, handlers);
  }

  bindAsync(address: string, _credentials: unknown, done: (e: null, port: number) => void): void {
    this.server.listening = true;
    network.servers.push(this.server);
    this.server.process.onDeath.push(() => this.stop());
    queueMicrotask(() => done(null, Number(address.split(':').at(-1)) || 7000));
  }

  private stop(): void {
    this.server.listening = false;
    for (const connection of [...this.server.connections])
      breakFrom(connection, this.server.process);
  }

  tryShutdown(_done: () => void): void {
    this.server.listening = false;
  }

  forceShutdown(): void {
    this.stop();
  }
}

export const tunedServer = (): SimServer => new SimServer();

export class ReflectionService {
  addToServer(): void {}
}
export class HealthImplementation {
  addToServer(): void {}
  setStatus(): void {}
}
