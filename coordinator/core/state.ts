/**
 * The coordinator's whole knowledge as plain data, the events that change it and the effects that
 * follow. No clock, no socket, no disk, no tensor: time arrives as `now` on each event.
 *
 * Effects run in the order in which they are listed, each finished before the next begins, unless
 * its comment says that it runs in the background and comes back as an event.
 */
import type { EventBody } from '../../shared/core/events.ts';
import type { FailureCode } from '../../shared/core/failures.ts';
import type { NodeId } from '../../shared/core/tree.ts';

/** What never changes during one life of a coordinator. */
export interface Plan {
  generation: number;
  protoVersion: number;
  /** S: micro-batches (leaves) of a step. */
  leaves: number;
  totalSteps: number;
  /** Steps after which to stop early; null: at totalSteps. */
  stopAt: number | null;
  minWorkers: number;
  checkpointEvery: number;
  mixedDevices: boolean;
  /** Measure k-nearest-neighbour accuracy before step 0 and after the last step. */
  knn: boolean;
  /** Images in the data set. */
  samples: number;
  /** A worker is lost once it has not been heard for so long, milliseconds. */
  silenceMs: number;
}

/** One stage of the canary: a name and the hash of what this worker computed. */
export interface CanaryStage {
  name: string;
  sha256: string;
}

export interface DeviceClass {
  stages: CanaryStage[];
  /** What the first worker said of itself; it only explains a refusal. */
  description: string;
}

export interface WorkerState {
  id: string;
  pid: number;
  host: string;
  description: string;
  /** `joining` until its canary is accepted. */
  phase: 'joining' | 'live';
  /** False: another class, admitted by `--mixed-devices`. */
  sameClass: boolean;
  lastHeard: number;
  lease: Lease | null;
  survey: { chunk: number; since: number } | null;
  /** Mean time of a micro-batch so far, milliseconds; null before the first one. */
  leafMs: number | null;
  /** Leases that it handed back since its last result. */
  handBacks: number;
}

export interface Lease {
  node: NodeId;
  attempt: number;
  since: number;
}

export interface LeafReport {
  leaf: number;
  inputHash: string;
  leafHash: string;
  loss: number;
  std: number;
  nonFinite: boolean;
}

/** A finished node of the tree, its gradient still held by the worker that computed it. */
export interface FinishedNode {
  node: NodeId;
  worker: string;
  leaves: LeafReport[];
}

export type Phase =
  /** Until enough workers are live. */
  | 'gathering'
  /** Extracting features for the k-nearest-neighbour measure. */
  | 'surveying'
  /** Leaves of the open step are computed. */
  | 'computing'
  /** All leaves are in: gradients are pulled and summed. */
  | 'reducing'
  /** Sealed: the commit is being made durable. */
  | 'committing'
  /** The last checkpoint (and measure) of a run that stops or ends. */
  | 'closing'
  | 'done'
  | 'failed';

export interface State {
  plan: Plan;
  phase: Phase;
  /** The open step; also the number of steps committed. */
  step: number;
  deviceClass: DeviceClass | null;
  /** The run's identity; null until the class is adopted. */
  identity: string | null;
  workers: Record<string, WorkerState>;
  /** Worker that holds a lease on each leaf of the open step; null: open; see also `finished`. */
  leaves: (string | null)[];
  finished: FinishedNode[];
  /**
   * Leaf reports by leaf that were ever accepted in this step: a second result must equal them.
   * Those of a worker that sent hostile bytes are taken out again.
   */
  reports: Record<number, LeafReport>;
  /** Leaves whose report came from another device class: nothing is compared with those. */
  otherClass: number[];
  attempts: number;
  /** Workers that found a leaf of the open step not finite. */
  nonFinite: Record<number, string[]>;
  /** Workers that handed a leaf of the open step back: others try it first. */
  handedBack: Record<number, string[]>;
  /** Workers that could not decode a sample, by sample. */
  undecodable: Record<number, string[]>;
  /** Samples that nobody can decode: mid-gray for everyone. */
  gray: number[];
  survey: Survey | null;
  /** Whether the measure before the first step is still to be made. */
  knnBefore: boolean;
  stopRequested: string | null;
}

export interface Survey {
  /** Worker that holds each chunk; null: open; '' : done. */
  chunks: (string | null)[];
  /** Workers that handed a chunk back: others try it first. */
  handedBack: Record<number, string[]>;
  after: 'train' | 'finish';
}

/** Images in one feature lease: its answer fits one message at 2,048 features. */
export const surveyChunk = 64;
/** More undecodable images than this stop the run. */
export const grayMax = 1000;
/** A worker that hands so many leases back without one result is turned away. */
export const handBacksMax = 8;

export type CoreEvent = { now: number } & (
  | {
      kind: 'worker-connected';
      worker: string;
      pid: number;
      host: string;
      protoVersion: number;
      /** Of the run that it served before, or ''. */
      identity: string;
      description: string;
    }
  | { kind: 'worker-ready'; worker: string; stages: CanaryStage[]; description: string }
  | { kind: 'identity-known'; identity: string }
  | { kind: 'worker-lost'; worker: string; reason: string }
  | { kind: 'heartbeat'; worker: string }
  | {
      kind: 'node-ready';
      worker: string;
      generation: number;
      step: number;
      node: NodeId;
      leaves: LeafReport[];
    }
  | {
      kind: 'lease-failed';
      worker: string;
      generation: number;
      step: number;
      code: FailureCode;
      message: string;
      /** The sample concerned, or null. */
      sample: number | null;
    }
  | { kind: 'features-ready'; worker: string; generation: number; chunk: number }
  | { kind: 'reduced'; step: number }
  | { kind: 'reduce-broken'; step: number; worker: string; reason: string; hostile: boolean }
  | { kind: 'committed'; step: number }
  | { kind: 'final-checkpoint-saved' }
  | { kind: 'knn-measured' }
  | { kind: 'stop-requested'; reason: string }
  | { kind: 'failed'; code: FailureCode; message: string }
  | { kind: 'tick' }
);

export type Effect =
  | { kind: 'welcome'; worker: string }
  | { kind: 'admit'; worker: string }
  | { kind: 'refuse'; worker: string; code: FailureCode; message: string }
  | { kind: 'disconnect'; worker: string; reason: string }
  /** The class and with it the run's identity are durable BEFORE the first lease. */
  | { kind: 'adopt-class'; deviceClass: DeviceClass }
  | { kind: 'mark-mixed'; worker: string }
  | { kind: 'lease'; worker: string; step: number; node: NodeId; attempt: number; gray: number[] }
  | { kind: 'survey-lease'; worker: string; chunk: number; gray: number[] }
  /** Background; comes back as `reduced` or `reduce-broken`. Nodes in tree order. */
  | { kind: 'reduce'; step: number; nodes: FinishedNode[] }
  /** Stop pulling: a node is missing again. */
  | { kind: 'pause-reduce' }
  /** Background; comes back as `committed`: ledger, swap, event, announcement, warm slot. */
  | { kind: 'commit'; step: number; leaves: LeafReport[]; workers: number }
  /** Background, while training goes on. */
  | { kind: 'checkpoint' }
  /** Background; comes back as `final-checkpoint-saved`. */
  | { kind: 'final-checkpoint' }
  /** Background; comes back as `knn-measured`. */
  | { kind: 'measure-knn' }
  | { kind: 'event'; body: EventBody; because: string }
  | { kind: 'finish'; stopped: boolean; because: string }
  | { kind: 'fail'; code: FailureCode; message: string };

export interface Turn {
  state: State;
  effects: Effect[];
  /** A sentence a decision. */
  because: string[];
}

/** The state in which a coordinator begins, `step` steps being committed. */
export function initialState(
  plan: Plan,
  step: number,
  deviceClass: DeviceClass | null,
  identity: string | null,
  knnBefore: boolean,
): State {
  return {
    plan,
    phase: 'gathering',
    step,
    deviceClass,
    identity,
    workers: {},
    leaves: new Array<string | null>(plan.leaves).fill(null),
    finished: [],
    reports: {},
    otherClass: [],
    attempts: 0,
    nonFinite: {},
    handedBack: {},
    undecodable: {},
    gray: [],
    survey: null,
    knnBefore,
    stopRequested: null,
  };
}

/** The step at which this life of the coordinator ends. */
export function lastStep(plan: Plan): number {
  return plan.stopAt === null ? plan.totalSteps : Math.min(plan.stopAt, plan.totalSteps);
}

export function liveWorkers(state: State): WorkerState[] {
  return Object.values(state.workers).filter((w) => w.phase === 'live');
}

/** False where a worker has failed at a piece of work and another live one has not tried it yet. */
export function mayTry(state: State, id: string, failed: readonly string[] | undefined): boolean {
  if (!failed?.includes(id)) return true;
  return liveWorkers(state).every((w) => failed.includes(w.id));
}

/** A copy that shares nothing that `advance` changes. */
export function copyState(state: State): State {
  const workers: Record<string, WorkerState> = {};
  for (const [id, w] of Object.entries(state.workers))
    workers[id] = { ...w, lease: w.lease && { ...w.lease }, survey: w.survey && { ...w.survey } };
  return {
    ...state,
    workers,
    leaves: [...state.leaves],
    finished: [...state.finished],
    reports: { ...state.reports },
    otherClass: [...state.otherClass],
    nonFinite: { ...state.nonFinite },
    handedBack: { ...state.handedBack },
    undecodable: { ...state.undecodable },
    gray: [...state.gray],
    survey: state.survey && {
      ...state.survey,
      chunks: [...state.survey.chunks],
      handedBack: { ...state.survey.handedBack },
    },
  };
}
