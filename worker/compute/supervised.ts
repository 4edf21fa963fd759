/**
 * Training with labels, on the machinery of SimSiam: a linear layer on the pooled features.
 *
 *   L = CE(g(f(x1)), y)/2 + CE(g(f(x2)), y)/2
 *
 * Both views of an image count, each normalised by its own batch, so a step costs what one of SimSiam
 * does and sees the same augmentations. The std is that of the features, for watchers.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import { crossEntropy } from './cross-entropy.ts';
import { classifier } from './heads.ts';
import { outputStd } from './loss.ts';
import type { Network } from './network.ts';
import type { Objective } from './objective.ts';
import { resnet } from './resnet.ts';
import { type Scalar, tf } from './tfjs.ts';

export function supervised(plan: NetworkPlan): Objective {
  return {
    name: 'supervised',
    labelled: true,
    forward(parameters, [x1, x2], [moments1, moments2], labels) {
      if (labels === null) throw new Error('a supervised leaf came without labels');
      const view1: Network = { parameters, mode: { kind: 'training', moments: moments1 } };
      const view2: Network = { parameters, mode: { kind: 'training', moments: moments2 } };
      const features1 = resnet(view1, plan, x1); // [m, size, size, 3] → [m, featureWidth]
      const features2 = resnet(view2, plan, x2);
      const loss1 = crossEntropy(classifier(view1, features1), labels);
      const loss2 = crossEntropy(classifier(view2, features2), labels);
      const std: Scalar = tf.mul(tf.add(outputStd(features1), outputStd(features2)), 0.5);
      return { loss: tf.mul(tf.add(loss1, loss2), 0.5), std };
    },
  };
}
