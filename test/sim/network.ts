/**
 * The simulated network: connections between processes, and the streams on them.
 *
 * As TCP and gRPC have it, a stream keeps its order and delivers each message once or breaks; two
 * connections overtake each other. A connection can be slow, broken (both ends hear of it soon),
 * held by a partition (what was sent arrives when it heals), or half-open: everything vanishes and
 * neither end hears of it until somebody's patience ends.
 */
import { EventEmitter } from 'node:events';
import { effect, frozen, later, type Process, tell, violated, world } from './world.ts';

/** As in grpc-js: a client asks for a sign of life after so long, and waits so long for it. */
const keepaliveMs = 30_000;
const keepaliveTimeoutMs = 20_000;
/** A connection attempt into nothing ends so. */
const connectMs = 20_000;
/** Messages on their way before `write` asks to wait, and before they count as not taken. */
const highWater = 16;
const window = 64;
/** A sender that does not wait for `drain` would end here; no part of ours may. */
const inflightMax = 4096;

export type Handlers = Record<string, (call: Stream, reply?: unknown) => unknown>;

export interface Server {
  process: Process;
  handlers: Handlers;
  listening: boolean;
  connections: Set<Connection>;
}

export interface Connection {
  client: Process;
  server: Server;
  state: 'open' | 'held' | 'vanished' | 'broken';
  /** Latency one way: at least, and at most beyond it. */
  least: number;
  spread: number;
  /** When the message before arrives, each way: none overtakes it. */
  last: { up: number; down: number };
  held: (() => void)[];
  streams: Set<Stream>;
}

export interface Network {
  servers: Server[];
  connections: Set<Connection>;
  /** Processes that no packet reaches, and for how it ends for those that were open. */
  cut: Set<Process>;
  /** Messages seen on their way, for the checkers. */
  onMessage: ((stream: Stream, message: unknown) => void) | null;
  latency: { least: number; spread: number };
  /** The latest results of workers, for a relay that delivers them again. */
  results: { from: string; message: unknown }[];
  /** Share of results that arrive twice. */
  duplicates: number;
}

const resultsMax = 64;

export const network: Network = {
  servers: [],
  connections: new Set(),
  cut: new Set(),
  onMessage: null,
  latency: { least: 0.1, spread: 2 },
  results: [],
  duplicates: 0,
};

export function beginNetwork(): void {
  Object.assign(network, {
    servers: [],
    connections: new Set(),
    cut: new Set(),
    onMessage: null,
    latency: { least: 0.1, spread: 2 },
    results: [],
    duplicates: 0,
  });
}

const broken = (details: string): Error => Object.assign(new Error(details), { code: 14, details });

/** One end of a call, as grpc-js shows it to the shipped programs. */
export class Stream extends EventEmitter {
  destroyed = false;
  writable = true;
  cancelled = false;
  request: unknown;
  metadata: unknown;
  readonly method: string;
  readonly owner: Process;
  readonly side: 'client' | 'server';
  connection: Connection | null = null;
  peer: Stream | null = null;
  private inflight = 0;
  private ended = { here: false, there: false };
  private readonly arrived: unknown[] = [];
  private over: { error: Error | null } | null = null;
  private wake: (() => void) | null = null;

  constructor(method: string, owner: Process, side: 'client' | 'server') {
    super();
    this.method = method;
    this.owner = owner;
    this.side = side;
    if (side === 'server') this.on('error', (error: Error) => this.refuse(error));
  }

  get writableLength(): number {
    return Math.max(0, this.inflight - window);
  }

  write(message: unknown): boolean {
    if (frozen(() => this.write(message)) || !effect()) return true;
    if (this.destroyed || !this.writable) return false;
    this.inflight += 1;
    if (this.inflight > inflightMax)
      violated(`${this.owner.name} has ${this.inflight} unread messages on ${this.method}`);
    const sent = copied(message);
    tell('send', () => `${this.method} ${brief(sent)}`);
    network.onMessage?.(this, sent);
    this.deliver(
      (peer) => peer.take(sent),
      () => this.taken(),
    );
    if ((message as { nodeReady?: object }).nodeReady) this.remember(sent);
    return this.inflight < highWater;
  }

  private remember(message: unknown): void {
    network.results.push({ from: this.owner.name, message });
    if (network.results.length > resultsMax) network.results.shift();
    if (world.dice.network.chance(network.duplicates)) this.replay(message);
  }

  private taken(): void {
    this.inflight -= 1;
    if (this.inflight === highWater - 1 && this.owner.alive)
      later(this.owner, 0, () => this.emit('drain'));
  }

  /** Does something at the other end when the message gets there, if it does. */
  private deliver(act: (peer: Stream) => void, taken?: () => void): void {
    const { connection, peer } = this;
    if (connection === null || peer === null) return;
    travel(connection, this.side === 'client' ? 'up' : 'down', () => {
      later(peer.owner, 0, () => {
        taken?.();
        if (!peer.destroyed) act(peer);
      });
    });
  }

  /** A message is delivered again, long after: a relay that retries. */
  replay(message: unknown): void {
    this.deliver((peer) => peer.take(copied(message)));
  }

  private take(message: unknown): void {
    tell('receive', () => `${this.method} ${brief(message)}`);
    if (this.wake !== null || this.listenerCount('data') === 0) {
      this.arrived.push(message);
      this.wake?.();
      return;
    }
    this.emit('data', message);
  }

  end(): void {
    if (frozen(() => this.end())) return;
    if (this.ended.here || this.destroyed || !effect()) return;
    this.ended.here = true;
    this.writable = false;
    this.deliver((peer) => peer.closedThere(null));
    this.settle();
  }

  /** The other end has said its last word, or (as a server) refused with an error. */
  private closedThere(error: Error | null): void {
    if (this.ended.there) return;
    this.ended.there = true;
    if (error !== null) {
      this.fall(error);
      return;
    }
    if (this.side === 'client') this.writable = false;
    this.over ??= { error: null };
    this.wake?.();
    this.emit('end');
    this.settle();
  }

  private refuse(error: Error): void {
    if (this.destroyed) return;
    this.deliver((peer) => peer.closedThere(error));
    this.fall(null);
  }

  private settle(): void {
    if (!this.ended.there || !(this.ended.here || this.side === 'client')) return;
    this.leave();
  }

  private leave(): void {
    this.destroyed = true;
    this.writable = false;
    this.connection?.streams.delete(this);
  }

  /** This end is over, by an error or not. */
  fall(error: Error | null): void {
    if (this.destroyed) return;
    this.leave();
    this.over ??= { error };
    this.wake?.();
    if (this.side === 'server') {
      this.cancelled = true;
      this.emit('cancelled');
    } else if (error !== null && this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('close');
  }

  destroy(): void {
    if (frozen(() => this.destroy())) return;
    if (this.destroyed || !effect()) return;
    const reason = broken(`${this.method} was cancelled`);
    this.deliver((peer) => peer.fall(reason));
    this.leave();
    this.over ??= { error: reason };
    this.wake?.();
    later(this.owner, 0, () => this.emit('close'));
  }

  cancel(): void {
    this.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      const next = this.arrived.shift();
      if (next !== undefined) {
        yield next;
        continue;
      }
      if (this.over !== null) {
        if (this.over.error !== null) throw this.over.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = null;
    }
  }
}

/** What the wire would have made of it: bytes are the receiver's own. */
function copied(message: unknown): unknown {
  if (typeof message !== 'object' || message === null) return message;
  const data = (message as { data?: unknown }).data;
  return data instanceof Uint8Array ? { ...message, data: Buffer.from(data) } : message;
}

const brief = (message: unknown): string =>
  JSON.stringify(message, (key, value: unknown) =>
    key === 'data'
      ? 'bytes'
      : typeof value === 'string' && value.length > 16
        ? `${value.slice(0, 10)}…`
        : value,
  ).slice(0, 200);

function travel(connection: Connection, way: 'up' | 'down', act: () => void): void {
  const { state } = connection;
  if (state === 'broken' || state === 'vanished') return;
  if (state === 'held') {
    connection.held.push(() => travel(connection, way, act));
    return;
  }
  const { network: dice } = world.dice;
  const at = world.now + connection.least + dice.draw() * connection.spread;
  connection.last[way] = Math.max(connection.last[way], at);
  later(null, connection.last[way] - world.now, () => {
    if (connection.state === 'held') connection.held.push(act);
    else if (connection.state === 'open') act();
  });
}

/** Opens a call; the handler runs at the other end when the first packet arrives there. */
export function call(
  client: Process,
  connection: Connection | Error,
  method: string,
  request: unknown,
  metadata: unknown,
): Stream {
  const near = new Stream(method, client, 'client');
  if (connection instanceof Error) {
    later(client, world.dice.network.between(1, 20), () => near.fall(connection));
    return near;
  }
  const { server } = connection;
  const far = new Stream(method, server.process, 'server');
  Object.assign(far, { request, metadata, peer: near, connection });
  Object.assign(near, { peer: far, connection });
  connection.streams.add(near).add(far);
  travel(connection, 'up', () => {
    later(server.process, 0, () => {
      const handler = server.handlers[method];
      if (handler === undefined) throw new Error(`no handler for ${method}`);
      tell('call', `${method} of ${client.name}`);
      handler(far);
    });
  });
  return near;
}

/**
 * Where a client's other connections lead, else the newest server that listens, and now and then
 * an older one (a name that still stands for it).
 */
function serverFor(client: Process): Server | undefined {
  const listening = network.servers.filter((server) => server.listening && server.process.alive);
  for (const connection of network.connections)
    if (connection.client === client && listening.includes(connection.server))
      return connection.server;
  const older = listening.length > 1 && world.dice.network.chance(0.2);
  return listening.at(older ? -2 : -1);
}

export function connect(client: Process): Connection | Error {
  const server = serverFor(client);
  if (server === undefined) return broken('connection refused');
  const { latency } = network;
  const connection: Connection = {
    client,
    server,
    state: 'open',
    least: latency.least * world.dice.network.between(0.5, 2),
    spread: latency.spread * world.dice.network.between(0.2, 2),
    last: { up: 0, down: 0 },
    held: [],
    streams: new Set(),
  };
  network.connections.add(connection);
  server.connections.add(connection);
  client.onDeath.push(() => breakFrom(connection, client));
  if (network.cut.has(client) || network.cut.has(server.process)) hold(connection, connectMs);
  return connection;
}

/** Both ends hear that it is broken, each after its own while. */
export function breakConnection(connection: Connection): void {
  for (const end of [connection.client, connection.server.process]) tellBroken(connection, end);
  drop(connection);
}

/** One end is gone; its system tells the other one. */
export function breakFrom(connection: Connection, dead: Process): void {
  if (connection.state === 'broken') return;
  const reachable = connection.state === 'open';
  const { client, server } = connection;
  if (reachable) tellBroken(connection, dead === client ? server.process : client);
  else if (connection.state === 'vanished') return;
  drop(connection, !reachable);
}

function tellBroken(connection: Connection, end: Process): void {
  const side = end === connection.client ? 'client' : 'server';
  const mine = [...connection.streams].filter((stream) => stream.side === side);
  later(end, world.dice.network.between(0, 5), () => {
    for (const stream of mine) stream.fall(broken('connection lost'));
  });
}

function drop(connection: Connection, silently = false): void {
  connection.state = silently ? 'vanished' : 'broken';
  connection.held = [];
  if (silently) impatience(connection);
  network.connections.delete(connection);
  connection.server.connections.delete(connection);
}

/** The client's keepalive finds out; the server's end is for the coordinator to find silent. */
function impatience(connection: Connection, ms = keepaliveMs + keepaliveTimeoutMs): void {
  const wait = world.dice.network.between(Math.min(ms, keepaliveTimeoutMs), ms);
  later(null, wait, () => {
    if (connection.state === 'open' || connection.state === 'broken') return;
    tellBroken(connection, connection.client);
    if (connection.state === 'held') breakWhenHealed(connection);
  });
}

function breakWhenHealed(connection: Connection): void {
  connection.held = [() => breakFrom(connection, connection.client)];
}

/** Half-open: from now on nothing arrives. */
export function vanish(connection: Connection): void {
  if (connection.state === 'broken') return;
  tell('network', `the connection of ${connection.client.name} is half-open`);
  connection.state = 'vanished';
  impatience(connection);
}

/** A partition: nothing arrives until it heals. */
export function hold(connection: Connection, patience?: number): void {
  if (connection.state !== 'open') return;
  connection.state = 'held';
  impatience(connection, patience);
}

export function release(connection: Connection): void {
  if (connection.state !== 'held') return;
  connection.state = 'open';
  for (const act of connection.held.splice(0)) act();
}
