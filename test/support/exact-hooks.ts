/** Module hooks: whoever asks for the compute thread gets exact arithmetic in this process. */
import type { ResolveHook } from 'node:module';

export const resolve: ResolveHook = async (specifier, context, next) => {
  const found = await next(specifier, context);
  if (!found.url.endsWith('/worker/compute/threaded-compute.js')) return found;
  return { ...found, url: new URL('./exact-threads.js', import.meta.url).href };
};
