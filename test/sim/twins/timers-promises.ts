/** `node:timers/promises` on the world's clock. */
export { sleep as setTimeout, soon as setImmediate } from '../machine.ts';
