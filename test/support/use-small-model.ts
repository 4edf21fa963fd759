/**
 * Puts the small model in the place of all models, for what is loaded after this: as a preload of a
 * process (`node --import`), or as the first import of a test that loads the rest with `import()`.
 */
import { register } from 'node:module';

register('./small-model-hooks.js', import.meta.url);

/** For `node --import`. */
export const smallModelPreload: string = import.meta.url;
