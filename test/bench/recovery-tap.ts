/**
 * Preload of a coordinator for `recovery.ts`: tells its parent when it listened and when each lease
 * was sent, in milliseconds of the wall clock. The coordinator itself is the shipped one.
 */
import { WorkerLink } from '../../coordinator/shell/worker-link.ts';

const wall = (): number => performance.timeOrigin + performance.now();
const told = process.send?.bind(process);
const tell = (message: object): void => void told?.({ ...message, at: wall() });
// What the coordinator itself tells (its address) gets its time too: the parent may be busy.
if (told !== undefined) process.send = (message: object) => told({ ...message, at: wall() });

const { send } = WorkerLink.prototype;
WorkerLink.prototype.send = function (message) {
  send.call(this, message);
  if (message.lease) tell({ lease: message.lease.step });
};
