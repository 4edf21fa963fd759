/**
 * The coordinator's core with a hand on it: send one event, see the effects it answers with.
 *
 * Time stands still unless a test moves it, so a transcript reads as a conversation.
 */
import { advance } from '../../coordinator/core/advance.ts';
import {
  type CanaryStage,
  type CoreEvent,
  type Effect,
  initialState,
  type LeafReport,
  type Plan,
  type State,
} from '../../coordinator/core/state.ts';
import { key, leavesOf, maximalNodes, type NodeId } from '../../shared/core/tree.ts';

export type Unstamped = CoreEvent extends infer E
  ? E extends CoreEvent
    ? Omit<E, 'now'>
    : never
  : never;

/** As `Unstamped`; what tells of a reduction tells of the newest one unless it says else. */
type Sent =
  | Exclude<Unstamped, { kind: 'reduced' | 'reduce-broken' }>
  | (Omit<Extract<Unstamped, { kind: 'reduced' }>, 'attempt'> & { attempt?: number })
  | (Omit<Extract<Unstamped, { kind: 'reduce-broken' }>, 'attempt'> & { attempt?: number });

export const stages: CanaryStage[] = [
  { name: 'decode', sha256: 'a' },
  { name: 'step', sha256: 'b' },
];

export const planOf = (some: Partial<Plan> = {}): Plan => ({
  generation: 3,
  protoVersion: 1,
  leaves: 4,
  totalSteps: 10,
  stopAt: null,
  minWorkers: 1,
  checkpointEvery: 100,
  mixedDevices: false,
  knn: false,
  samples: 200,
  silenceMs: 15_000,
  seed: 1,
  audit: 0,
  ...some,
});

/** What any honest worker reports of a leaf. */
export const reportOf = (
  step: number,
  leaf: number,
  some: Partial<LeafReport> = {},
): LeafReport => ({
  leaf,
  inputHash: `input ${step}/${leaf}`,
  leafHash: `leaf ${step}/${leaf}`,
  loss: -leaf,
  std: 0.02,
  nonFinite: false,
  ...some,
});

type Of<K extends Effect['kind']> = Extract<Effect, { kind: K }>;

export const all = <K extends Effect['kind']>(effects: Effect[], kind: K): Of<K>[] =>
  effects.filter((effect): effect is Of<K> => effect.kind === kind);

export function one<K extends Effect['kind']>(effects: Effect[], kind: K): Of<K> {
  const [found, ...more] = all(effects, kind);
  if (found === undefined || more.length > 0)
    throw new Error(
      `expected one ${kind}; found ${effects.map((effect) => effect.kind).join(', ') || 'nothing'}`,
    );
  return found;
}

/** The bodies of the events among the effects. */
export const told = (effects: Effect[]) => all(effects, 'event').map(({ body }) => body);

export interface Drive {
  state: State;
  now: number;
  because: string[];
  send(event: Sent): Effect[];
  /** Connects a worker and proves its class. */
  join(worker: string, proof?: CanaryStage[]): Effect[];
  /** The worker finishes the node that it has leased. */
  finish(worker: string, some?: Partial<LeafReport>): Effect[];
  /** The node that a worker has leased, as `level/index`, or `-`. */
  leaseOf(worker: string): string;
}

export function drive(some: Partial<Plan> = {}, step = 0, knnBefore = false): Drive {
  const self: Drive = {
    state: initialState(planOf(some), step, null, null, knnBefore),
    now: 0,
    because: [],
    send(event) {
      const { reduceAttempts: attempt } = self.state;
      const ofReduction = event.kind === 'reduced' || event.kind === 'reduce-broken';
      const whole = ofReduction ? { attempt, ...event } : event;
      const turn = advance(self.state, { ...whole, now: self.now } as CoreEvent);
      self.state = turn.state;
      self.because = turn.because;
      return turn.effects;
    },
    join(worker, proof = stages) {
      const connected = self.send(connectedEvent(worker));
      const ready = self.send({
        kind: 'worker-ready',
        worker,
        stages: proof,
        description: `device of ${worker}`,
        held: [],
      });
      return [...connected, ...ready];
    },
    finish(worker, report = {}) {
      const lease = self.state.workers[worker]?.lease;
      if (!lease) throw new Error(`${worker} has no lease`);
      return maximalNodes(lease.first, lease.end, self.state.plan.leaves).flatMap((node) =>
        self.send(nodeReady(self.state, worker, node, report)),
      );
    },
    leaseOf(worker) {
      const lease = self.state.workers[worker]?.lease;
      if (!lease) return '-';
      return maximalNodes(lease.first, lease.end, self.state.plan.leaves).map(key).join(' ');
    },
  };
  return self;
}

/** A drive with so many workers, `w0` and on, that have joined; it begins with the last of them. */
export function groupOf(leaves: number, workers: number, some: Partial<Plan> = {}): Drive {
  const run = drive({ leaves, minWorkers: workers, ...some });
  for (let i = 0; i < workers; i += 1) run.join(`w${i}`);
  return run;
}

export const connectedEvent = (worker: string, protoVersion = 1, identity = ''): Unstamped => ({
  kind: 'worker-connected',
  worker,
  pid: 7,
  host: 'here',
  protoVersion,
  identity,
  description: '',
});

/** The result of a node in the open step. */
export function nodeReady(
  state: State,
  worker: string,
  node: NodeId,
  report: Partial<LeafReport> = {},
): Extract<Unstamped, { kind: 'node-ready' }> {
  const [first, end] = leavesOf(node, state.plan.leaves);
  const leaves = Array.from({ length: end - first }, (_, i) =>
    reportOf(state.step, first + i, report),
  );
  const { generation } = state.plan;
  const attempt = state.workers[worker]?.lease?.attempt ?? 0;
  return { kind: 'node-ready', worker, generation, step: state.step, node, leaves, attempt };
}
