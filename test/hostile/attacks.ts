/**
 * What hostile peers do to a coordinator's port. Each attack begins, holds what it has taken until it
 * is told to let go, and never needs an answer: refused is as good as served.
 */
import * as http2 from 'node:http2';
import type { EventEmitter } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Dice, diceOf } from '../support/draws.ts';
import {
  fuzzed,
  garbageFrame,
  grpcFrame,
  type Method,
  methods,
  preface,
  settingsFrame,
} from './frames.ts';

export interface Target {
  host: string;
  port: number;
  /** Hash of an image of some megabytes. */
  bigImage: string;
  /** Of the weights that are current now. */
  weightsHash(): string;
}

export interface Sizes {
  /** HTTP/2 connections of the attacks that open many calls on each. */
  sessions: number;
  /** Calls on each of them. */
  calls: number;
  /** Idle connections, and as many again that have said hello. */
  connections: number;
  /** Fuzzed frames: a quarter HTTP/2 garbage, the rest messages of the protocol. */
  frames: number;
  /** Heartbeats of a worker that does nothing else. */
  heartbeats: number;
}

export interface Held {
  /** What was done, for people. */
  said: string;
  letGo(): void;
}

export interface Attack {
  name: string;
  begin(target: Target, sizes: Sizes): Promise<Held>;
}

const pathOf = (name: string): string => {
  const method = methods.find(({ path }) => path.endsWith(`/${name}`));
  if (method === undefined) throw new Error(`no method ${name}`);
  return method.path;
};

/** A client that lives with whatever the server does to it. */
function session(target: Target, settings: http2.Settings = {}): http2.ClientHttp2Session {
  const opened = http2.connect(`http://${target.host}:${target.port}`, {
    settings,
    maxSessionMemory: 1000,
  });
  opened.on('error', () => undefined);
  return opened;
}

const connected = (opened: http2.ClientHttp2Session): Promise<void> =>
  new Promise((resolve) => {
    opened.once('connect', () => resolve());
    opened.once('close', () => resolve());
    opened.once('error', () => resolve());
  });

function request(
  opened: http2.ClientHttp2Session,
  path: string,
  more: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream | null {
  if (opened.destroyed || opened.closed) return null;
  try {
    const stream = opened.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...more,
    });
    stream.on('error', () => undefined);
    return stream;
  } catch {
    return null;
  }
}

/** Resolves when the stream takes more, or is over, or after so long. */
function drained(stream: EventEmitter, ms: number): Promise<void> {
  const events = ['drain', 'close', 'error', 'end'];
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const event of events) stream.off(event, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const event of events) stream.once(event, done);
  });
}

/** So many calls of one kind on many connections, of which nothing is ever read. */
async function unread(
  target: Target,
  { sessions, calls }: Sizes,
  path: string,
  message: () => Buffer,
): Promise<Held> {
  const opened: http2.ClientHttp2Session[] = [];
  let asked = 0;
  for (let i = 0; i < sessions; i += 1) {
    // No byte of a response may be sent before this client allows it, and it never does.
    const one = session(target, { initialWindowSize: 0 });
    opened.push(one);
    await connected(one);
    for (let j = 0; j < calls; j += 1) {
      const stream = request(one, path);
      if (stream === null) break;
      stream.end(grpcFrame(message()));
      asked += 1;
    }
  }
  return {
    said: `${asked} calls on ${sessions} connections, nothing read`,
    letGo: () => opened.forEach((one) => one.destroy()),
  };
}

const text = (field: number, value: string): Buffer =>
  Buffer.concat([Buffer.from([8 * field + 2, value.length]), Buffer.from(value)]);

async function unfinished(target: Target, { sessions, calls }: Sizes): Promise<Held> {
  const claimed = 2 * 1024 * 1024;
  const part = Buffer.alloc(64 * 1024, 7);
  const opened: http2.ClientHttp2Session[] = [];
  let sent = 0;
  const paths = ['Converse', 'PushGradients', 'WatchEvents', 'PullWeights'].map(pathOf);
  for (let i = 0; i < sessions; i += 1) {
    const one = session(target);
    opened.push(one);
    await connected(one);
    await Promise.all(
      Array.from({ length: calls }, async (_, j) => {
        const stream = request(one, paths[j % paths.length] as string);
        if (stream === null) return;
        stream.write(grpcFrame(Buffer.alloc(0), 0, claimed));
        for (let at = 0; at < claimed - part.length; at += part.length) {
          if (stream.destroyed || stream.closed) return;
          sent += part.length;
          if (!stream.write(part)) await drained(stream, 500);
        }
      }),
    );
  }
  const megabytes = Math.round(sent / 1e6);
  return {
    said: `${sessions * calls} messages begun and none ended, ${megabytes} MB sent`,
    letGo: () => opened.forEach((one) => one.destroy()),
  };
}

async function flood(target: Target, { connections }: Sizes): Promise<Held> {
  const sockets: Socket[] = [];
  const open = (hello: boolean): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(target.port, target.host, () => {
        if (hello) socket.write(Buffer.concat([preface, settingsFrame]));
        resolve();
      });
      socket.on('error', () => resolve());
      socket.on('data', () => undefined);
      sockets.push(socket);
    });
  for (const hello of [false, true])
    for (let i = 0; i < connections; i += 50)
      await Promise.race([
        Promise.all(Array.from({ length: Math.min(50, connections - i) }, () => open(hello))),
        sleep(2000),
      ]);
  const alive = sockets.filter(
    (socket) => !socket.destroyed && socket.readyState === 'open',
  ).length;
  return {
    said: `${sockets.length} connections opened, ${alive} of them kept by the coordinator`,
    letGo: () => sockets.forEach((socket) => socket.destroy()),
  };
}

/** Frames that are no HTTP/2, many on a connection, until the coordinator hangs up. */
async function garbage(target: Target, frames: number, dice: Dice): Promise<number> {
  let sent = 0;
  while (sent < frames) {
    const socket = connect(target.port, target.host);
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(Buffer.concat([preface, settingsFrame]));
    for (let i = 0; i < 20 && sent < frames && !socket.destroyed; i += 1) {
      const some = Array.from({ length: Math.min(50, frames - sent) }, () => garbageFrame(dice));
      sent += some.length;
      if (!socket.write(Buffer.concat(some))) await drained(socket, 200);
    }
    socket.end();
    await Promise.race([over, sleep(20)]);
    socket.destroy();
  }
  return sent;
}

/** Fuzzed messages on well-formed calls; most of the calls of a worker begin with a real join. */
async function messages(target: Target, frames: number, dice: Dice): Promise<number> {
  let sent = 0;
  const joins = (method: Method) => method.path === pathOf('Converse') && dice.chance(0.8);
  while (sent < frames) {
    const one = session(target);
    await connected(one);
    for (let j = 0; j < 16 && sent < frames; j += 1) {
      const method = dice.chance(0.4)
        ? (methods.find(({ path }) => path === pathOf('Converse')) as Method)
        : dice.oneOf(methods);
      const stream = request(one, method.path, { worker: 'fuzz', generation: '1' });
      if (stream === null) break;
      stream.on('data', () => undefined);
      if (joins(method)) stream.write(grpcFrame(method.messages[0] as Buffer));
      for (let i = 0; i < 25 && sent < frames; i += 1) {
        if (stream.destroyed || stream.closed) break;
        const flag = dice.chance(0.02) ? dice.whole(0, 255) : 0;
        const message = fuzzed(dice, method);
        const claimed = dice.chance(0.02) ? dice.whole(0, 0xffffffff) : message.length;
        sent += 1;
        if (!stream.write(grpcFrame(message, flag, claimed))) await drained(stream, 200);
      }
      stream.end();
    }
    await Promise.race([new Promise<void>((resolve) => one.close(() => resolve())), sleep(100)]);
    one.destroy();
  }
  return sent;
}

async function fuzz(target: Target, { frames }: Sizes): Promise<Held> {
  const quarter = Math.ceil(frames / 4);
  const lanes = 4;
  const counts = await Promise.all(
    Array.from({ length: lanes }, async (_, i) => {
      const dice = diceOf(i, 7);
      return [
        await garbage(target, Math.ceil(quarter / lanes), dice),
        await messages(target, Math.ceil((frames - quarter) / lanes), dice),
      ] as const;
    }),
  );
  const sum = (which: 0 | 1) => counts.reduce((all, count) => all + count[which], 0);
  return { said: `${sum(0)} frames of garbage, ${sum(1)} fuzzed messages`, letGo: () => undefined };
}

/** Small messages that would grow a thousandfold when they are inflated. */
async function bombs(target: Target, { sessions, calls }: Sizes): Promise<Held> {
  const bomb = grpcFrame(gzipSync(Buffer.alloc(2 * 1024 * 1024 - 1), { level: 9 }), 1);
  const many = Buffer.concat(Array.from({ length: 8 }, () => bomb));
  const opened: http2.ClientHttp2Session[] = [];
  for (let i = 0; i < sessions; i += 1) {
    const one = session(target);
    opened.push(one);
    await connected(one);
    for (let j = 0; j < calls; j += 1)
      request(one, pathOf('Converse'), { 'grpc-encoding': 'gzip' })?.write(many);
  }
  const inflated = (sessions * calls * 16) / 1000;
  return {
    said: `${sessions * calls * 8} compressed messages of ${inflated.toFixed(1)} GB`,
    letGo: () => opened.forEach((one) => one.destroy()),
  };
}

/** A worker that joins, reads nothing, and sends heartbeats as fast as it can. */
async function heartbeats(target: Target, { heartbeats: count }: Sizes): Promise<Held> {
  const converse = methods.find(({ path }) => path === pathOf('Converse')) as Method;
  const [join, , , beat] = converse.messages.map((message) => grpcFrame(message));
  const one = session(target, { initialWindowSize: 0 });
  await connected(one);
  const stream = request(one, converse.path);
  stream?.write(join as Buffer);
  const many = Buffer.concat(Array.from({ length: 500 }, () => beat as Buffer));
  let sent = 0;
  while (stream !== null && sent < count && !stream.destroyed && !stream.closed) {
    sent += 500;
    if (!stream.write(many)) await drained(stream, 1000);
  }
  return { said: `${sent} heartbeats, nothing read`, letGo: () => one.destroy() };
}

/** Calls that are taken back as soon as they are made. */
async function resets(target: Target, { sessions, calls }: Sizes): Promise<Held> {
  let made = 0;
  for (let i = 0; i < sessions; i += 1) {
    const one = session(target);
    await connected(one);
    for (let j = 0; j < 10 * calls; j += 1) {
      const stream = request(one, methods[j % methods.length]?.path ?? '/');
      if (stream === null) break;
      stream.close(http2.constants.NGHTTP2_CANCEL);
      made += 1;
    }
    await sleep(20);
    one.destroy();
  }
  return { said: `${made} calls made and taken back`, letGo: () => undefined };
}

export const attacks: readonly Attack[] = [
  {
    name: 'events unread',
    begin: (target, sizes) => unread(target, sizes, pathOf('WatchEvents'), () => Buffer.alloc(0)),
  },
  {
    name: 'weights unread',
    begin: (target, sizes) =>
      unread(target, sizes, pathOf('PullWeights'), () =>
        Buffer.concat([Buffer.from([8, 1]), text(2, target.weightsHash())]),
      ),
  },
  {
    name: 'images unread',
    begin: (target, sizes) =>
      unread(target, sizes, pathOf('FetchSample'), () => text(1, target.bigImage)),
  },
  { name: 'messages unfinished', begin: unfinished },
  { name: 'compressed messages', begin: bombs },
  { name: 'connections', begin: flood },
  { name: 'heartbeats', begin: heartbeats },
  { name: 'calls taken back', begin: resets },
  { name: 'fuzzed frames', begin: fuzz },
];
