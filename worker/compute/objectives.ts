/**
 * From a method to its objective: the one place that knows them all.
 */
import type { NetworkPlan } from '../../shared/core/architecture.ts';
import type { Method } from '../../shared/core/method.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import { simSiam } from './model.ts';
import type { Objective } from './objective.ts';
import { supervised } from './supervised.ts';

export function objectiveOf(
  { objective }: Pick<Method, 'objective'>,
  plan: NetworkPlan,
): Objective {
  switch (objective) {
    case 'simsiam':
      return simSiam(plan);
    case 'supervised':
      return supervised(plan);
    default:
      return unreachable(objective);
  }
}
