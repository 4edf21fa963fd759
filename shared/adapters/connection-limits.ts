/**
 * Limits for peers that have not said yet who they are.
 *
 * A connection is *new* until a call on it was permitted. New ones have little time, small windows
 * and few places; where there are more, the oldest new one goes: a peer that means it needs
 * milliseconds, so it gets through a flood of connections that only stand there. The rest has one
 * bound, and none of it depends on what a peer claims.
 */
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { windowBytes } from '../wire/limits.ts';

export interface ConnectionLimits {
  /** Connections that are new. */
  newMax: number;
  /** Connections of one address that are new. */
  newPerAddressMax: number;
  /** All connections. */
  connectionsMax: number;
  /** How long a connection may be new, milliseconds. */
  introductionMs: number;
}

export const connectionLimits: ConnectionLimits = {
  newMax: 512,
  newPerAddressMax: 128,
  connectionsMax: 4096,
  introductionMs: 10_000,
};

export interface ConnectionGuard {
  /** Watches the connections of a server. */
  attach(server: Http2Server): void;
  /** A call of this peer (`ADDRESS:PORT`) was permitted. */
  permitted(peer: string): void;
  /** Connections that are new, and all: for tests and metrics. */
  counts(): { fresh: number; all: number };
}

interface Fresh {
  socket: Socket;
  address: string;
  timer: NodeJS.Timeout;
}

const peerOf = (socket: Socket) => `${socket.remoteAddress}:${socket.remotePort}`;

export function connectionGuard(limits: ConnectionLimits = connectionLimits): ConnectionGuard {
  /** By peer, the oldest first. */
  const fresh = new Map<string, Fresh>();
  const perAddress = new Map<string, number>();
  const sessions = new Map<string, ServerHttp2Session>();
  let all = 0;

  function forget(peer: string): void {
    const found = fresh.get(peer);
    if (found === undefined) return;
    clearTimeout(found.timer);
    fresh.delete(peer);
    const left = (perAddress.get(found.address) ?? 1) - 1;
    if (left > 0) perAddress.set(found.address, left);
    else perAddress.delete(found.address);
  }

  function drop(peer: string): void {
    const found = fresh.get(peer);
    forget(peer);
    found?.socket.destroy();
  }

  function arrive(socket: Socket): void {
    const peer = peerOf(socket);
    const address = socket.remoteAddress ?? '';
    if (all >= limits.connectionsMax) {
      socket.destroy();
      return;
    }
    all += 1;
    socket.once('close', () => {
      all -= 1;
      forget(peer);
      sessions.delete(peer);
    });
    // Without a listener an error of a connection would end the process.
    socket.on('error', () => socket.destroy());
    const ofAddress = (perAddress.get(address) ?? 0) + 1;
    perAddress.set(address, ofAddress);
    const timer = setTimeout(() => drop(peer), limits.introductionMs);
    timer.unref();
    fresh.set(peer, { socket, address, timer });
    const crowded = fresh.size > limits.newMax;
    if (!crowded && ofAddress <= limits.newPerAddressMax) return;
    const oldest = [...fresh].find(([, other]) => crowded || other.address === address);
    if (oldest !== undefined) drop(oldest[0]);
  }

  return {
    attach(server) {
      server.on('connection', arrive);
      server.on('session', (session: ServerHttp2Session) => {
        const { remoteAddress, remotePort } = session.socket;
        sessions.set(`${remoteAddress}:${remotePort}`, session);
      });
    },
    permitted(peer) {
      if (!fresh.has(peer)) return;
      forget(peer);
      const session = sessions.get(peer);
      sessions.delete(peer);
      if (session === undefined || session.destroyed) return;
      session.setLocalWindowSize(windowBytes);
      session.settings({ initialWindowSize: windowBytes });
    },
    counts: () => ({ fresh: fresh.size, all }),
  };
}
