/**
 * One worker as the coordinator's shell holds it: its control stream, its gradient stream, and the
 * buckets that were asked for and have not come.
 */
import { crc32 } from 'node:zlib';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { key, type NodeId } from '../../shared/core/tree.ts';
import { bucketCredit, bucketMs } from '../../shared/wire/limits.ts';
import type {
  BucketMessage,
  BucketWish,
  ConverseRequest,
  ConverseResponse,
} from '../../shared/wire/messages.ts';
import { type Caller, anybody } from './door.ts';
import { WorkerGone } from './reducer.ts';

export type ControlStream = ServerDuplexStream<ConverseRequest, ConverseResponse>;
export type GradientStream = ServerDuplexStream<BucketMessage, BucketWish>;

interface Pending {
  wish: BucketWish;
  bytes: number;
  resolve(data: Uint8Array): void;
  reject(error: WorkerGone): void;
}

/** Control messages that may wait for a worker that does not read, before it is given up. */
const controlBacklogMax = 1024;

export class WorkerLink {
  readonly id: string;
  /** Drawn for this connection: who shows it is the worker that was welcomed on it. */
  readonly session: string;
  /** Who its calls are from. */
  readonly caller: Caller;
  /** Hears why this worker must go: it sends what nobody asked for. */
  onHostile: (reason: string) => void = () => undefined;
  private readonly control: ControlStream;
  private gradients: GradientStream | null = null;
  /** It had a gradient stream once. */
  private attached = false;
  private readonly pending: Pending[] = [];
  /** Wishes that were given up; their answers may still come, and are dropped. */
  private givenUp = 0;
  private gone: string | null = null;
  private patience: NodeJS.Timeout | undefined;

  constructor(id: string, control: ControlStream, session = '', caller = anybody) {
    this.id = id;
    this.session = session;
    this.caller = caller;
    this.control = control;
  }

  send(message: ConverseResponse): void {
    if (this.gone !== null || this.control.destroyed) return;
    if (this.control.writableLength > controlBacklogMax) {
      this.close('it does not read its control stream');
      return;
    }
    this.control.write(message);
  }

  attachGradients(stream: GradientStream): void {
    this.gradients?.end();
    this.gradients = stream;
    if (this.attached) this.rejectAll('it opened its gradient stream anew', false);
    this.attached = true;
    this.givenUp = 0;
    for (const { wish } of this.pending) stream.write(wish);
    stream.on('data', (message: BucketMessage) => {
      if (this.gradients === stream) this.take(message);
    });
    const ended = () => {
      if (this.gradients !== stream) return;
      this.gradients = null;
      this.rejectAll('its gradient stream ended', false);
    };
    stream.on('end', () => {
      stream.end();
      ended();
    });
    stream.on('error', ended);
    stream.on('close', ended);
    stream.on('cancelled', ended);
  }

  /**
   * One bucket of a finished node that this worker holds. A worker that comes back offers its nodes
   * on its control stream, and its gradient stream is another connection: until that one is there
   * for the first time a wish waits, as long as for a bucket.
   */
  pull(step: number, node: NodeId, bucket: number, elements: number): Promise<Uint8Array> {
    const wish: BucketWish = { step, level: node.level, index: node.index, bucket };
    return new Promise((resolve, reject) => {
      if (this.gone !== null || (this.gradients === null && this.attached)) {
        reject(new WorkerGone(this.id, this.gone ?? 'it has no gradient stream', false));
        return;
      }
      if (this.pending.length > 2 * bucketCredit) {
        reject(new WorkerGone(this.id, 'it does not send the buckets that were asked for', false));
        return;
      }
      this.pending.push({ wish, bytes: 4 * elements, resolve, reject });
      if (this.pending.length === 1) this.expectBucket();
      this.gradients?.write(wish);
    });
  }

  /** The oldest wish is answered within `bucketMs`, or the gradient is looked for elsewhere. */
  private expectBucket(): void {
    clearTimeout(this.patience);
    if (this.pending.length === 0) return;
    const late = () =>
      this.rejectAll(`no bucket of its gradient came within ${bucketMs / 1000} s`, false);
    this.patience = setTimeout(late, bucketMs).unref();
  }

  private take(message: BucketMessage): void {
    // Answers come in the order of the wishes, so those to wishes that were given up come first.
    if (this.givenUp > 0) {
      this.givenUp -= 1;
      this.expectBucket();
      return;
    }
    const head = this.pending.shift();
    const fault =
      head === undefined ? 'it sent a bucket that nobody asked for' : faultOf(message, head);
    if (head === undefined || fault !== null) {
      head?.reject(new WorkerGone(this.id, fault ?? '', true));
      this.rejectAll(fault ?? '', true);
      // Nobody waits who could say so: without this it could go on for ever.
      if (head === undefined) this.onHostile(fault ?? '');
      return;
    }
    head.resolve(message.data);
    this.expectBucket();
  }

  private rejectAll(reason: string, hostile: boolean): void {
    clearTimeout(this.patience);
    this.givenUp += this.pending.length;
    for (const { reject } of this.pending.splice(0))
      reject(new WorkerGone(this.id, reason, hostile));
  }

  /** Ends both streams; nothing is sent afterwards. */
  close(reason: string): void {
    if (this.gone !== null) return;
    this.gone = reason;
    this.rejectAll(reason, false);
    this.gradients?.end();
    this.control.end();
    // A peer that does not read would keep the stream for ever.
    setTimeout(() => this.control.destroy(), 2000).unref();
  }
}

/** Null where the message is the bucket that was wished, whole. */
function faultOf(message: BucketMessage, { wish, bytes }: Pending): string | null {
  const node = { level: message.level, index: message.index };
  const same =
    message.step === wish.step && key(node) === key(wish) && message.bucket === wish.bucket;
  if (!same)
    return `it sent bucket ${message.bucket} of node ${key(node)} where bucket ${wish.bucket} of ${key(wish)} was due`;
  if (message.data.length !== bytes)
    return `bucket ${wish.bucket} of its gradient has ${message.data.length} bytes where this model has ${bytes}`;
  if (crc32(message.data) !== message.crc32)
    return `bucket ${wish.bucket} of its gradient was damaged on the way (checksum)`;
  return null;
}
