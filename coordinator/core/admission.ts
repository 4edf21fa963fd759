/**
 * What a worker proves before it takes part: by its canary that it computes the run's bits, and by
 * the hash of its compiled step that it runs the same program.
 */
import { isWhole } from './leases.ts';
import { refuse } from './membership.ts';
import type { CanaryStage, CoreEvent, DeviceClass, Effect, State } from './state.ts';

type Of<K extends CoreEvent['kind']> = Extract<CoreEvent, { kind: K }>;

/** The first stage that differs, or null where all are equal. */
function firstDifference(mine: CanaryStage[], theirs: CanaryStage[]): string | null {
  for (const stage of mine) {
    const other = theirs.find((s) => s.name === stage.name);
    if (other?.sha256 !== stage.sha256) return stage.name;
  }
  return mine.length === theirs.length ? null : 'number of stages';
}

/** Equal bits on a canary do not make two programs one: the graph says what is computed. */
const otherGraph = ({ graph }: DeviceClass, theirs: string): boolean =>
  graph !== undefined && graph !== theirs;

/** A worker's canary arrived: the first one defines the class, later ones must equal it. */
export function admit(
  state: State,
  event: Of<'worker-ready'>,
  effects: Effect[],
  because: string[],
): void {
  const worker = state.workers[event.worker];
  if (worker === undefined || worker.phase === 'live') return;
  worker.description = event.description || worker.description;
  if (state.deviceClass === null) {
    const { stages, graph = '' } = event;
    state.deviceClass = { stages, graph, description: worker.description };
    effects.push({ kind: 'adopt-class', deviceClass: state.deviceClass });
    because.push(`${worker.id} is the first worker: its canary is the run's device class`);
  } else {
    const stage = firstDifference(state.deviceClass.stages, event.stages);
    if (stage !== null && !state.plan.mixedDevices) {
      const message =
        `this machine computes other bits than the run's device class: the canary's stage ` +
        `"${stage}" differs. The run was begun on: ${state.deviceClass.description}. ` +
        `This worker: ${worker.description}. Use machines of one class, or start the run with ` +
        `--mixed-devices and give up its reproducibility`;
      const why = `the canary's stage "${stage}" has another hash`;
      refuse(worker.id, 'other-device-class', message, why, effects);
      because.push(`refused ${worker.id}: canary stage ${stage} differs`);
      delete state.workers[worker.id];
      return;
    }
    if (stage !== null) {
      worker.sameClass = false;
      effects.push({ kind: 'mark-mixed', worker: worker.id });
    }
  }
  if (otherGraph(state.deviceClass, event.graph ?? '') && worker.sameClass) {
    if (!state.plan.mixedDevices) {
      const message =
        'this worker compiles the step to another graph than the run was begun with: install the ' +
        'same release of Tandem everywhere, or finish the run with the one that began it';
      refuse(worker.id, 'other-graph', message, 'the hash of its compiled step differs', effects);
      because.push(`refused ${worker.id}: another graph`);
      delete state.workers[worker.id];
      return;
    }
    worker.sameClass = false;
    effects.push({ kind: 'mark-mixed', worker: worker.id });
  }
  worker.phase = 'live';
  effects.push({ kind: 'admit', worker: worker.id });
  effects.push({
    kind: 'event',
    body: {
      kind: 'worker-joined',
      worker: worker.id,
      pid: worker.pid,
      host: worker.host,
      device: worker.description,
    },
    because: worker.sameClass
      ? 'its canary equals the device class of the run'
      : 'its canary differs and mixed devices are allowed: the run is not reproducible',
  });
  for (const { node, leaves } of event.held)
    if (state.offers.length < state.plan.leaves && isWhole(node, leaves, state.plan.leaves))
      state.offers.push({ node, worker: worker.id, leaves });
}
