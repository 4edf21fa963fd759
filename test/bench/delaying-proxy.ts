/**
 * A TCP proxy that holds every chunk for a fixed time in each direction, and has no other limit:
 * distance without its bandwidth. Runs in a process of its own.
 *
 * A Node timer rounds to whole milliseconds, which would double a delay of one; so while chunks
 * wait the loop turns by itself and sleeps at most a tenth of a millisecond at a time.
 */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

const turnMs = 0.1;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

interface Held {
  due: number;
  deliver: () => void;
}

/** Listens on loopback and forwards to `port`, `delayMs` later each way; resolves with its port. */
export function delayingProxy(port: number, delayMs: number): Promise<number> {
  const held: Held[] = [];
  let turning = false;
  const turn = () => {
    for (; held[0] !== undefined && held[0].due <= performance.now(); held.shift())
      held[0].deliver();
    const next = held[0];
    turning = next !== undefined;
    if (next === undefined) return;
    Atomics.wait(sleeper, 0, 0, Math.max(0, Math.min(turnMs, next.due - performance.now())));
    setImmediate(turn);
  };
  const hold = (deliver: () => void) => {
    held.push({ due: performance.now() + delayMs, deliver });
    if (!turning) setImmediate(turn);
    turning = true;
  };
  const pipe = (from: Socket, to: Socket) => {
    from.setNoDelay(true);
    from.on('data', (chunk) => hold(() => to.write(chunk)));
    from.on('end', () => hold(() => to.end()));
    from.on('error', () => to.destroy());
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    pipe(near, far);
    pipe(far, near);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
