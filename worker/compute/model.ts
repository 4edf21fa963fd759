/**
 * SimSiam, as in the paper's algorithm 1:
 *
 *   x1, x2 = augment(x), augment(x)
 *   z1, z2 = f(x1), f(x2)               # projections, [m, d]
 *   p1, p2 = h(z1), h(z2)               # predictions, [m, d]
 *   L = D(p1, z2)/2 + D(p2, z1)/2       # z held fixed
 *
 * The views are two encoder calls, so each is normalised by its own batch (NUMERICS 4).
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import { predictor, projector } from './heads.ts';
import { outputStd, simSiamLoss, stopGradient } from './loss.ts';
import type { Network } from './network.ts';
import type { Objective } from './objective.ts';
import { resnet } from './resnet.ts';
import { type Scalar, type Tensor2D, type Tensor4D, tf } from './tfjs.ts';

/**
 * The objective for one network. `target` is what a prediction is compared with: the paper's
 * stop-gradient, or in a test of why it is needed, z itself.
 */
export function simSiam(plan: NetworkPlan, target = stopGradient): Objective {
  return {
    name: 'simsiam',
    labelled: false,
    forward(parameters, [x1, x2], [moments1, moments2]) {
      const view1: Network = { parameters, mode: { kind: 'training', moments: moments1 } };
      const view2: Network = { parameters, mode: { kind: 'training', moments: moments2 } };
      const z1 = encoder(view1, plan, x1); // [m, size, size, 3] → [m, d]
      const z2 = encoder(view2, plan, x2);
      const p1 = predictor(view1, z1); // [m, d]
      const p2 = predictor(view2, z2);
      const loss = simSiamLoss(p1, p2, z1, z2, target);
      const std: Scalar = tf.mul(tf.add(outputStd(z1), outputStd(z2)), 0.5);
      return { loss, std };
    },
  };
}

/** f: backbone and projector. */
function encoder(network: Network, plan: NetworkPlan, x: Tensor4D): Tensor2D {
  return projector(network, plan, resnet(network, plan, x));
}
