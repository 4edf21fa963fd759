/** In the place of `worker/compute/threaded-compute.ts`: exact arithmetic, no TensorFlow. */
import type { Architecture } from '../../shared/core/architecture-types.ts';
import type { Method } from '../../shared/core/method.ts';
import type { Compute } from '../../shared/ports/compute.ts';
import { exactCompute } from './exact-compute.ts';

/** As the real one, whose backend and thread it does without. */
export async function threadedCompute(wish: {
  method: Method;
  architecture: Architecture;
}): Promise<Compute> {
  return exactCompute(wish.method, wish.architecture);
}
