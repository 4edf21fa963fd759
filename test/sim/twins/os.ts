/** `node:os`: each worker has a machine of its own, also under another name. */
import { world } from '../world.ts';

export const hostname = (): string => `host-${world.current?.name.split('.')[0]}`;
export const endianness = () => 'LE';
