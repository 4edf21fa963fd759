/**
 * Proves that the events tell what the ledger holds: numbers without gaps, each step committed in
 * order under its record's hash, and every step that is told again explained by a rewind.
 *
 * A record that a conviction moved aside may stand in an old event: then it lies in a side file
 * (`aside`), a rewind goes back before it, and the step is told again with the ledger's record.
 */
import type { RunEvent } from './events.ts';
import type { Method } from './method.ts';
import { epochsAfter } from './order.ts';
import { learningRates } from './schedule.ts';
import type { Claim, Fault } from './verify-claims.ts';
import type { StepFigures } from './verify-memory.ts';

export interface EventsTask {
  method: Method;
  /** N */
  samples: number;
  /** The ledger: steps and their figures. */
  steps: number;
  at: (step: number) => StepFigures | undefined;
  /** Hashes of records that were moved to a side file. */
  aside: ReadonlySet<string>;
  /** Newest life that `generations/` knows. */
  generations: number;
  /** A coordinator lives, or was killed: the folder may change while it is read. */
  live: boolean;
}

export interface EventsCheck {
  /** Takes the next line. The first fault ends the check; later lines are not looked at. */
  see(line: string): void;
  /** What the whole file lacks; call once, after the last line. */
  end(): Fault[];
  readonly seen: { events: number; lives: number; rewinds: number; again: number; aside: number };
  /** Digest that the last event about a checkpoint names, by path within the run folder. */
  readonly digests: ReadonlyMap<string, string>;
  /** Things to know that break no claim. */
  readonly notes: readonly string[];
}

type Of<K extends RunEvent['kind']> = Extract<RunEvent, { kind: K }>;

/** Checkpoints whose digests are remembered: more than retention keeps. */
const digestsMax = 64;

export function eventsCheck(task: EventsTask): EventsCheck {
  const faults: Fault[] = [];
  const notes: string[] = [];
  const digests = new Map<string, string>();
  const seen = { events: 0, lives: 0, rewinds: 0, again: 0, aside: 0 };
  /** Steps told so far, on the branch that counts. */
  let told = 0;
  let furthest = 0;
  let generation = 0;
  let finished = false;
  /** Earliest step told under a record that was moved aside, and not told again since. */
  let asideFrom: number | null = null;

  const fault = (claim: Claim, step: number | null, why: string): void => {
    faults.push({ claim, step, why });
  };

  function see(line: string): void {
    if (faults.length > 0) return;
    const number = seen.events + 1;
    let event: RunEvent;
    try {
      event = JSON.parse(line) as RunEvent;
    } catch {
      fault('events', told + 1, `line ${number} of events.jsonl is not JSON`);
      return;
    }
    if (event?.seq !== number) {
      fault('events', told + 1, `event ${number} is missing: line ${number} has ${event?.seq}`);
      return;
    }
    seen.events = number;
    if (event.kind === 'run-opened') opened(event);
    if (event.kind === 'step-committed') committed(event);
    if (event.kind === 'rewound') rewound(event);
    if (event.kind === 'run-done') finished = !event.stopped;
    if (event.kind === 'run-done' || event.kind === 'checkpoint-saved')
      digest(event.checkpoint, event.digest);
  }

  function digest(path: string, value: string): void {
    digests.delete(path);
    digests.set(path, value);
    if (digests.size > digestsMax) digests.delete([...digests.keys()][0] ?? '');
  }

  function opened(event: Of<'run-opened'>): void {
    const { method, samples, generations } = task;
    seen.lives += 1;
    if (event.generation <= generation)
      fault('generations', null, `life ${event.generation} begins after life ${generation}`);
    else if (event.generation > generations)
      fault('generations', null, `life ${event.generation} has no file in generations/`);
    generation = event.generation;
    const { totalSteps, images, batch, microBatch, model } = event;
    const same =
      totalSteps === method.totalSteps &&
      images === samples &&
      batch === method.batch &&
      microBatch === method.microBatch &&
      model === method.model;
    if (!same) fault('events', null, `event ${event.seq} opens a run of another method`);
  }

  function committed(event: Of<'step-committed'>): void {
    const { step, record } = event;
    if (step > task.steps && task.live) return;
    const expected = task.at(step - 1);
    if (expected === undefined && !task.aside.has(record)) {
      fault('events', step, `event ${event.seq} tells of a step that the ledger does not have`);
      return;
    }
    if (step <= told) {
      const why = `event ${event.seq} tells it again, and no rewind explains that`;
      fault('events', step, why);
      return;
    }
    if (step > told + 1) {
      fault('events', told + 1, `no event tells of it; event ${event.seq} tells of step ${step}`);
      return;
    }
    told = step;
    if (step <= furthest) seen.again += 1;
    furthest = Math.max(furthest, step);
    if (record === expected?.hash) {
      const wrong = figureFault(task, event, expected);
      if (wrong !== null) fault('events', step, `event ${event.seq}: ${wrong}`);
    } else if (task.aside.has(record)) {
      seen.aside += 1;
      asideFrom ??= step;
    } else {
      const why = `event ${event.seq} names record ${short(record)}, the ledger has ${short(expected?.hash)}`;
      fault('events', step, why);
    }
  }

  function rewound(event: Of<'rewound'>): void {
    const { from, to } = event;
    seen.rewinds += 1;
    if (from !== told || to > from || to < 0) {
      const why = `event ${event.seq} rewinds from step ${from} to ${to} where the run stood at ${told}`;
      fault('events', told, why);
    }
    told = Math.min(to, told);
    if (asideFrom !== null && to < asideFrom) asideFrom = null;
  }

  /** Steps without an event: the next life of a coordinator writes what is missing. */
  function missing(): void {
    const behind = task.steps - Math.max(told, furthest);
    if (behind <= 0 || faults.length > 0) return;
    const first = task.steps - behind + 1;
    // A coordinator that died between the ledger's append and the event leaves exactly one.
    if (task.live || behind === 1) notes.push(`step ${first} has no event yet: a resume writes it`);
    else {
      const why = `no event tells of it nor of ${behind - 1} after it; a resume writes them again`;
      fault('events', first, why);
    }
  }

  return {
    see,
    end() {
      missing();
      if (asideFrom !== null)
        fault('events', asideFrom, 'its record was moved aside and it was never told again');
      if (finished && task.steps !== task.method.totalSteps) {
        const why = `run-done is told, the schedule has ${task.method.totalSteps} steps`;
        fault('chain', task.steps + 1, `the ledger ends before it: ${why}`);
      }
      return faults;
    },
    seen,
    digests,
    notes,
  };
}

const short = (hash: string | undefined): string => `${String(hash).slice(0, 12)}…`;

function figureFault(task: EventsTask, event: Of<'step-committed'>, record: StepFigures) {
  const { method, samples } = task;
  const wanted = {
    loss: record.loss,
    std: record.std,
    learningRate: learningRates(method, event.step - 1).base,
    epoch: epochsAfter(event.step, method.batch, samples),
  };
  for (const [name, value] of Object.entries(wanted)) {
    const found = event[name as keyof typeof wanted];
    if (found !== value) return `its ${name} is ${found} where the ledger gives ${value}`;
  }
  return null;
}
