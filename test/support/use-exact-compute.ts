/**
 * Whole programs on a small model with exact arithmetic, as a preload (`node --import`): processes,
 * sockets, files and events are the real ones, only the gradient is cheap and means nothing.
 */
import { register } from 'node:module';
import './use-small-model.ts';

register('./exact-hooks.js', import.meta.url);

/** For `node --import`. */
export const exactComputePreload: string = import.meta.url;
