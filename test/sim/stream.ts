/**
 * One end of a call, as grpc-js shows it to the shipped programs: what is written arrives in order
 * at the other end, or the call breaks. The network (`network.ts`) says when, and whether.
 */
import { EventEmitter } from 'node:events';
import type { ConverseRequest } from '../../shared/wire/messages.ts';
import { broken, type Connection, network, travel } from './network.ts';
import { effect, frozen, later, type Process, tell, violated, world } from './world.ts';

/** Messages on their way before `write` asks to wait, and before they count as not taken. */
const highWater = 16;
const window = 64;
/** A sender that does not wait for `drain` would end here; no part of ours may. */
const inflightMax = 4096;
const resultsMax = 64;

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
  private paused = false;
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
    if (frozen(() => this.write(message)) || !effect('write')) return true;
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
    this.remember(sent);
    return this.inflight < highWater;
  }

  private remember(message: unknown): void {
    const { nodeReady, ready } = message as ConverseRequest;
    if (ready && world.dice.network.chance(network.stale)) this.replayOld();
    if (nodeReady === undefined) return;
    network.results.push({ from: this.owner.name, message });
    if (network.results.length > resultsMax) network.results.shift();
    if (world.dice.network.chance(network.duplicates)) this.replay(message);
  }

  private replayOld(): void {
    const old = network.results.filter(({ from }) => from === this.owner.name).slice(-4);
    for (const { message } of old)
      later(null, world.dice.network.between(1, 100), () => this.replay(message));
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

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    for (const message of this.arrived.splice(0)) this.emit('data', message);
  }

  private take(message: unknown): void {
    tell('receive', () => `${this.method} ${brief(message)}`);
    if (this.paused || this.wake !== null || this.listenerCount('data') === 0) {
      this.arrived.push(message);
      this.wake?.();
      return;
    }
    this.emit('data', message);
  }

  end(): void {
    if (frozen(() => this.end())) return;
    if (this.ended.here || this.destroyed || !effect('end')) return;
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
    if (this.destroyed || !effect('destroy')) return;
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
