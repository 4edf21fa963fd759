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
  /** The oldest that it still speaks; absent: no other. */
  protoOldest?: number;
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
  /** Of the run's draws: it says which leaves are audited. */
  seed: number;
  /** Share of the leaves that two workers compute before a commit, 0 to 1. */
  audit: number;
  /** Measure the features after every so many steps; absent or 0: never. */
  monitorEvery?: number;
  /** Width d of z, where its std says whether the network collapses. */
  outputWidth?: number;
  /** An evaluation: what is extracted, one after the other, instead of training. */
  surveys?: readonly SurveyPlan[];
}

/**
 * What a survey asks of a chunk of images: pooled features in inference mode, or the batch-norm
 * moments of the backbone in training mode, whole chunks only.
 */
export type SurveyWork = 'features' | 'moments';

export interface SurveyPlan {
  work: SurveyWork;
  /** The first so many of the images. */
  images: number;
}

/** One stage of the canary: a name and the hash of what this worker computed. */
export interface CanaryStage {
  name: string;
  sha256: string;
}

export interface DeviceClass {
  stages: CanaryStage[];
  /** Hash of the compiled step, empty for none; absent in runs that were begun before it was kept. */
  graph?: string;
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
  /** Not heard for longer than its heartbeats let expect: no work for it until it is heard. */
  suspect: boolean;
  /** It leaves: no work for it, and it may go once nothing of the open step hangs on it. */
  draining: boolean;
  lease: Lease | null;
  survey: { chunk: number; since: number } | null;
  /** Times of its latest micro-batches, milliseconds, oldest first; `samplesKept` at most. */
  leafTimes: number[];
  /** Median of `leafTimes`; null before the first one. */
  leafMs: number | null;
  /** Times between its latest heartbeats, milliseconds; `samplesKept` at most. */
  heartbeatGaps: number[];
  lastHeartbeat: number | null;
  /** Leases that it handed back since its last result. */
  handBacks: number;
}

/** Leaves [first, end) at one worker: a node of the tree, until its end was shrunk. */
export interface Lease {
  first: number;
  end: number;
  attempt: number;
  /** Leaves finished, from `first` on, as far as the worker said. */
  done: number;
  /** When it was leased or last said that a leaf was finished. */
  progressAt: number;
  /** Its time is over: its leaves are open to others, and the first result wins. */
  overdue: boolean;
  /** A second computation of an audited or disputed leaf: an opinion, no part of the sum. */
  check: boolean;
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

/** A worker that computed micro-batch `leaf` of step `step` wrongly. */
export interface Convict {
  worker: string;
  host: string;
  leaf: number;
  step: number;
  /** Workers of that host that live beside it, and so are not it under an earlier name. */
  others: string[];
}

/** What a worker found for a leaf. */
export interface Opinion {
  worker: string;
  /** Its machine: it may be gone when its opinion is judged. */
  host: string;
  inputHash: string;
  leafHash: string;
}

/** Consecutive leaves of a step and the worker whose sum holds them. */
export interface Share {
  worker: string;
  first: number;
  count: number;
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
  /** Summed, and waiting until two workers agree on every audited leaf. */
  | 'auditing'
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
  /** Nodes of the open step whose gradient can be pulled. */
  finished: FinishedNode[];
  /** Nodes offered by workers that joined before the step was open. */
  offers: FinishedNode[];
  /**
   * What each worker of the run's class found for a leaf of the open step: two of them must be
   * equal. Those of a worker that sent hostile bytes or was convicted are taken out again.
   */
  opinions: Record<number, Opinion[]>;
  /** Workers whose gradients may be part of what is summed of the open step, gone ones too. */
  summedFrom: string[];
  /** Reductions begun: the end of an earlier one is not the end of this one. */
  reduceAttempts: number;
  /** Leaves of the open step on which opinions differ. */
  disputed: number[];
  /** Leaves of the open step that two workers must agree on before it is committed. */
  audited: number[];
  /** Names that are let in no more, in all lives of the run (`convicts.ts`). */
  convicts: string[];
  /** Said once a step: nobody is there to compute an audited leaf a second time. */
  auditWaits: boolean;
  attempts: number;
  /** Workers that found a leaf of the open step not finite. */
  nonFinite: Record<number, string[]>;
  /** How often the gradient of a worker did not arrive in the open step. */
  brokenPulls: Record<string, number>;
  /** Workers that handed a leaf of the open step back: others try it first. */
  handedBack: Record<number, string[]>;
  /** Workers that could not decode a sample, by sample. */
  undecodable: Record<number, string[]>;
  /** Workers that could have a sample neither from their own data nor from the coordinator. */
  unavailable: Record<number, string[]>;
  /** Samples that nobody can decode: mid-gray for everyone. */
  gray: number[];
  /** Steps in a row with a low std, whether that was told, and the last std·√d. */
  collapse: { lowSteps: number; told: boolean; ratio: number };
  survey: Survey | null;
  /** Surveys of the plan that are done. */
  surveyed: number;
  /** Whether the measure before the first step is still to be made. */
  knnBefore: boolean;
  stopRequested: string | null;
}

export interface Survey {
  work: SurveyWork;
  /** Worker that holds each chunk; null: open; '' : done. */
  chunks: (string | null)[];
  /** Workers that handed a chunk back: others try it first. */
  handedBack: Record<number, string[]>;
  /** `next`: the plan's next survey, or the end. */
  after: 'train' | 'finish' | 'next';
}

/** Images in one feature lease: its answer fits one message at 2,048 features. */
export const surveyChunk = 64;
/** More undecodable images than this stop the run. */
export const grayMax = 1000;
/** A worker whose gradient did not arrive so often in a step leaves the rest of it to others. */
export const brokenPullsMax = 2;
/** A worker that hands so many leases back without one result is turned away. */
export const handBacksMax = 8;
/** Measured times that are kept of a worker. */
export const samplesKept = 16;

export type CoreEvent = { now: number } & (
  | {
      kind: 'worker-connected';
      worker: string;
      pid: number;
      host: string;
      protoVersion: number;
      protoOldest?: number;
      /** Of the run that it served before, or ''. */
      identity: string;
      description: string;
    }
  | {
      kind: 'worker-ready';
      /** Hash of its compiled step; empty or absent: it has none. */
      graph?: string;
      worker: string;
      stages: CanaryStage[];
      description: string;
      /** Nodes of the open step, of its weights, that it finished in an earlier connection. */
      held: { node: NodeId; leaves: LeafReport[] }[];
    }
  | { kind: 'identity-known'; identity: string }
  | { kind: 'worker-lost'; worker: string; reason: string }
  /** `done` leaves of the lease `attempt` are finished; 0 where it has none. */
  | { kind: 'heartbeat'; worker: string; attempt: number; done: number }
  /** The worker takes no more work and waits to be let go. */
  | { kind: 'worker-draining'; worker: string; reason: string }
  /** Somebody asks that a worker be drained. */
  | { kind: 'drain-requested'; worker: string }
  | {
      kind: 'node-ready';
      worker: string;
      generation: number;
      step: number;
      node: NodeId;
      leaves: LeafReport[];
      /** The lease that it answers. */
      attempt: number;
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
  | {
      kind: 'features-ready';
      worker: string;
      generation: number;
      step: number;
      work: SurveyWork;
      chunk: number;
    }
  | { kind: 'reduced'; step: number; attempt: number }
  | {
      kind: 'reduce-broken';
      step: number;
      attempt: number;
      worker: string;
      reason: string;
      hostile: boolean;
    }
  | { kind: 'committed'; step: number }
  | { kind: 'final-checkpoint-saved' }
  | { kind: 'survey-used' }
  | { kind: 'stop-requested'; reason: string }
  | { kind: 'failed'; code: FailureCode; message: string }
  | { kind: 'tick' }
);

export type Effect =
  /** They speak this protocol version from here on. */
  | { kind: 'welcome'; worker: string; protoVersion: number }
  | { kind: 'admit'; worker: string }
  | { kind: 'refuse'; worker: string; code: FailureCode; message: string }
  | { kind: 'disconnect'; worker: string; reason: string }
  /** The class and with it the run's identity are durable BEFORE the first lease. */
  | { kind: 'adopt-class'; deviceClass: DeviceClass }
  | { kind: 'mark-mixed'; worker: string }
  | { kind: 'lease'; worker: string; step: number; node: NodeId; attempt: number; gray: number[] }
  | { kind: 'survey-lease'; worker: string; work: SurveyWork; chunk: number; gray: number[] }
  /** The lease ends before leaf `end` now; what is finished before it is handed in. */
  | { kind: 'shrink'; worker: string; attempt: number; end: number }
  /** The worker is asked to hand in what it has and to leave. */
  | { kind: 'drain'; worker: string }
  /** Nothing hangs on a draining worker any more: it may go. */
  | { kind: 'release'; worker: string }
  /** Background; comes back as `reduced` or `reduce-broken`. Nodes in tree order. */
  | { kind: 'reduce'; step: number; attempt: number; nodes: FinishedNode[] }
  /** Stop pulling: a node is missing again. */
  | { kind: 'pause-reduce' }
  /** Stop pulling and forget what was summed: a part of it was wrong. */
  | { kind: 'discard-reduce' }
  /**
   * A worker computed wrongly: which earlier steps must be looked at again is durable BEFORE the
   * conviction is told. Where there are such steps this life ends after the effects of its turn.
   */
  | { kind: 'review'; convict: Convict }
  /** Background; comes back as `committed`: ledger, swap, event, announcement, warm slot. */
  | { kind: 'commit'; step: number; leaves: LeafReport[]; workers: number; shares: Share[] }
  /** Background, while training goes on. */
  | { kind: 'checkpoint' }
  /** Background; comes back as `final-checkpoint-saved`. */
  | { kind: 'final-checkpoint' }
  /** Background; comes back as `survey-used`. Every chunk of the survey is in. */
  | { kind: 'use-survey'; work: SurveyWork }
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
  convicts: readonly string[] = [],
): State {
  return {
    plan,
    phase: 'gathering',
    step,
    deviceClass,
    identity,
    workers: {},
    finished: [],
    offers: [],
    opinions: {},
    summedFrom: [],
    reduceAttempts: 0,
    disputed: [],
    audited: [],
    convicts: [...convicts],
    auditWaits: false,
    attempts: 0,
    nonFinite: {},
    brokenPulls: {},
    handedBack: {},
    undecodable: {},
    unavailable: {},
    gray: [],
    collapse: { lowSteps: 0, told: false, ratio: 1 },
    survey: null,
    surveyed: 0,
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

/** Live workers that can be given work. */
export function readyWorkers(state: State): WorkerState[] {
  return liveWorkers(state).filter((w) => !w.suspect && !w.draining);
}

/** Of these the ones that others may wait for: who is late with its lease may never end it. */
export function helpingWorkers(state: State): WorkerState[] {
  return readyWorkers(state).filter((w) => w.lease?.overdue !== true);
}

/** False where a worker has failed at a piece of work and another one has not tried it yet. */
export function mayTry(state: State, id: string, failed: readonly string[] | undefined): boolean {
  if (!failed?.includes(id)) return true;
  return helpingWorkers(state).every((w) => failed.includes(w.id));
}

/** A copy that shares nothing that `advance` changes. */
export function copyState(state: State): State {
  const workers: Record<string, WorkerState> = {};
  for (const [id, w] of Object.entries(state.workers))
    workers[id] = {
      ...w,
      lease: w.lease && { ...w.lease },
      survey: w.survey && { ...w.survey },
      leafTimes: [...w.leafTimes],
      heartbeatGaps: [...w.heartbeatGaps],
    };
  return {
    ...state,
    workers,
    finished: [...state.finished],
    offers: [...state.offers],
    opinions: { ...state.opinions },
    disputed: [...state.disputed],
    convicts: [...state.convicts],
    nonFinite: { ...state.nonFinite },
    brokenPulls: { ...state.brokenPulls },
    handedBack: { ...state.handedBack },
    undecodable: { ...state.undecodable },
    unavailable: { ...state.unavailable },
    gray: [...state.gray],
    survey: state.survey && {
      ...state.survey,
      chunks: [...state.survey.chunks],
      handedBack: { ...state.survey.handedBack },
    },
  };
}
