/** Module hooks: whoever asks for the architecture of a model gets the small one. */
import type { ResolveHook } from 'node:module';

export const resolve: ResolveHook = async (specifier, context, next) => {
  const found = await next(specifier, context);
  const asked = found.url.endsWith('/shared/core/architecture.js');
  if (!asked || context.parentURL?.endsWith('/support/small-model.js')) return found;
  return { ...found, url: new URL('./small-model.js', import.meta.url).href };
};
