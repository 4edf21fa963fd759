/**
 * What a server keeps for calls whose peers stand still, bounded for all peers together.
 *
 * Two things grow while a peer does nothing: responses that it does not read, and messages (or calls)
 * that it begins and does not end. Both are counted where they lie, at the HTTP/2 stream, for every
 * service alike, and beyond a bound the call that stood still for longest is reset
 * (`byte-budget.ts`). A call costs some memory by itself and is counted with it. Compression is
 * refused: nobody of ours uses it, and a message of two kilobytes could hold two megabytes.
 */
import { constants, type Http2Server, type IncomingHttpHeaders } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { Metadata } from '@grpc/grpc-js';
import {
  callBytes,
  foreignCallsMax,
  messageHeadBytes,
  unfinishedBytesMax,
  unreadBytesMax,
} from '../wire/limits.ts';
import { byteBudget, type ByteBudget, type Hold } from './byte-budget.ts';

/** A header of our own, set here on each call and never believed from a peer. */
const numberHeader = 'x-tandem-call';

interface Call {
  unread: Hold;
  unfinished: Hold;
  /** Kept by a service for this call besides what waits in its stream. */
  extra: number;
  /** Its peer has said all that it will, or may say nothing. */
  known: boolean;
}

const calls = new Map<string, Call>();
let numbered = 0;

const ofCall = (call: { metadata: Metadata }): Call | undefined =>
  calls.get(String(call.metadata.get(numberHeader)[0] ?? ''));

/** So many bytes are read for a call and kept until it has ended. */
export function keepsBytes(call: { metadata: Metadata }, bytes: number): void {
  const found = ofCall(call);
  if (found === undefined) return;
  found.extra = bytes;
  found.unread.set(bytes + callBytes);
}

/** The peer of this call may be silent for as long as it likes. */
export function maySayNothing(call: { metadata: Metadata }): void {
  const found = ofCall(call);
  if (found === undefined) return;
  found.known = true;
  found.unfinished.release();
}

/** Counts the bytes of the message that has begun and not ended, as chunks come. */
function messageMeter(): (chunk: Uint8Array) => { begun: number; ended: boolean } {
  const head = new DataView(new ArrayBuffer(messageHeadBytes));
  let inHead = 0;
  let length = 0;
  let left = 0;
  return (chunk) => {
    let ended = false;
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const part = Math.min(left, chunk.length - at);
        left -= part;
        at += part;
      } else {
        head.setUint8(inHead, chunk[at] as number);
        inHead += 1;
        at += 1;
        if (inHead < messageHeadBytes) continue;
        inHead = 0;
        length = head.getUint32(1);
        left = length;
      }
      ended ||= inHead === 0 && left === 0;
    }
    return { begun: left > 0 ? length - left + messageHeadBytes : inHead, ended };
  };
}

/** A queue of so many calls, of which the oldest goes for the newest. */
function foreignCalls(): (stream: ServerHttp2Stream) => void {
  const open = new Set<ServerHttp2Stream>();
  return (stream) => {
    open.add(stream);
    stream.once('close', () => open.delete(stream));
    const [oldest] = open;
    if (open.size > foreignCallsMax && oldest !== undefined) reset(oldest);
  };
}

/** Afterwards: within the event of another stream it crashes Node 22 (a reset inside nghttp2's callback). */
function reset(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
  });
}

function limit(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  unread: ByteBudget,
  unfinished: ByteBudget,
): void {
  numbered += 1;
  const number = String(numbered);
  headers[numberHeader] = number;
  // gRPC answers an encoding that it does not know with UNIMPLEMENTED and its name.
  const encoding = headers['grpc-encoding'] ?? 'identity';
  if (encoding !== 'identity') headers['grpc-encoding'] = `${String(encoding)}, not spoken here`;
  const giveUp = () => reset(stream);
  const call: Call = {
    unread: unread.hold(giveUp),
    unfinished: unfinished.hold(() => reset(stream)),
    extra: 0,
    known: false,
  };
  calls.set(number, call);
  stream.once('close', () => {
    calls.delete(number);
    call.unread.release();
    call.unfinished.release();
  });

  const meter = messageMeter();
  const own = () => (call.known ? 0 : callBytes);
  call.unfinished.set(own());
  let open = 0;
  stream.on('data', (chunk: Uint8Array) => {
    const { begun, ended } = meter(chunk);
    if (open === 0 || ended) call.unfinished.set(begun + own());
    else call.unfinished.grow(begun + own());
    open = begun;
  });
  stream.once('end', () => {
    call.known = true;
    call.unfinished.release();
  });

  const waiting = () => {
    const bytes = stream.writableLength + call.extra;
    return bytes > 0 ? bytes + callBytes : 0;
  };
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((...args: unknown[]) => {
    const told = typeof args.at(-1) === 'function' ? (args.pop() as (e?: Error) => void) : null;
    const more = write(...args, (error?: Error) => {
      if (!stream.destroyed) call.unread.set(waiting());
      told?.(error);
    });
    call.unread.grow(waiting());
    return more;
  }) as typeof stream.write;
}

/** Bounds all calls of a server. */
export function limitStreams(server: Http2Server): void {
  const unread = byteBudget(unreadBytesMax);
  const unfinished = byteBudget(unfinishedBytesMax);
  const foreign = foreignCalls();
  // Before gRPC's own, which reads the headers and begins to read the stream.
  server.prependListener('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    limit(stream, headers, unread, unfinished);
    if (!String(headers[':path']).startsWith('/tandem.')) foreign(stream);
  });
}
