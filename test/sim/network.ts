/**
 * The simulated network: connections between processes, and the streams on them.
 *
 * As TCP and gRPC have it, a stream keeps its order and delivers each message once or breaks; two
 * connections overtake each other. A connection can be slow, broken (both ends hear of it soon),
 * held by a partition (what was sent arrives when it heals), or half-open: everything vanishes and
 * neither end hears of it until somebody's patience ends.
 */
import { Stream } from './stream.ts';
import { later, type Process, tell, world } from './world.ts';

/** As in grpc-js: a client asks for a sign of life after so long, and waits so long for it. */
const keepaliveMs = 30_000;
const keepaliveTimeoutMs = 20_000;
/** A connection attempt into nothing ends so. */
const connectMs = 20_000;

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
  /** Its client has lost patience: the next call opens another one. */
  givenUp: boolean;
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
  /** Share of joins after which the worker's results of before arrive once more. */
  stale: number;
}

export const network: Network = {
  servers: [],
  connections: new Set(),
  cut: new Set(),
  onMessage: null,
  latency: { least: 0.1, spread: 2 },
  results: [],
  duplicates: 0,
  stale: 0,
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
    stale: 0,
  });
}

export const broken = (details: string): Error =>
  Object.assign(new Error(details), { code: 14, details });

export function travel(connection: Connection, way: 'up' | 'down', act: () => void): void {
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
    givenUp: false,
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
  tell('network', () => `${end.name} loses ${mine.map(({ method }) => method).join(' ')}`);
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
    connection.givenUp = true;
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
