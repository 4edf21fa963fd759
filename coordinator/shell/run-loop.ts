/**
 * The effect runner: feeds events to the core one at a time and does what it answers, in order.
 *
 * It decides nothing about training. Effects marked *background* in `core/state.ts` are started
 * here and come back as events; all others are finished before the next one begins.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asFailure, Failure, failures } from '../../shared/core/failures.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import { featureStd } from '../../shared/core/feature-statistics.ts';
import type { EventBody } from '../../shared/core/events.ts';
import { labelsOf } from '../../shared/core/labels.ts';
import { recordEvent } from './record-event.ts';
import { advance } from '../core/advance.ts';
import type { CoreEvent, Effect, State } from '../core/state.ts';
import { adoptClass, commitStep } from './commit.ts';
import {
  drawPicture,
  dueCheckpoint,
  finalCheckpoint,
  type FinalCheckpoint,
} from './save-checkpoint.ts';
import { type NodeSource, type ReduceProgress, reduceStep, WorkerGone } from './reducer.ts';
import type { Reduced } from './arithmetic-messages.ts';
import type { ConverseResponse } from '../../shared/wire/messages.ts';
import type { RunContext } from './run-context.ts';
import { reviewConvict } from './review.ts';
import { checkFence, writeRun } from './run-folder.ts';
import { measureKnn } from './survey-features.ts';
import { tellWorker } from './worker-effects.ts';
import { learningRates } from '../../shared/core/schedule.ts';

export type Ended =
  | { kind: 'finished'; stopped: boolean; checkpoint: FinalCheckpoint }
  /** Earlier steps must be looked at again: this life ends, and the next begins before them. */
  | { kind: 'rewind' }
  | { kind: 'failed'; failure: Failure };

type Unstamped = CoreEvent extends infer E ? (E extends CoreEvent ? Omit<E, 'now'> : never) : never;

export interface RunLoop {
  /** Hands an event to the core; effects follow in order. */
  dispatch(event: Unstamped): void;
  readonly state: State;
  /** Events that wait for the core. */
  readonly backlog: number;
  /** Resolves when none waits. */
  calm(): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Effects that start work in the background. */
const beginsWork: ReadonlySet<Effect['kind']> = new Set([
  'reduce',
  'commit',
  'checkpoint',
  'final-checkpoint',
  'use-survey',
]);

export function startRunLoop(
  context: RunContext,
  initial: State,
  say: (line: string) => void,
): RunLoop {
  let state = initial;
  const queue: CoreEvent[] = [];
  /** Whoever waits until the queue is empty. */
  const relieved: (() => void)[] = [];
  let running = false;
  let progress: ReduceProgress | null = null;
  let pause: AbortController | null = null;
  let sealed: Reduced | null = null;
  let final: FinalCheckpoint | null = null;
  let stepOpened = performance.now();
  let over = false;
  /** Earlier steps must be looked at again. */
  let rewind = false;
  let settle: (ended: Ended) => void = () => undefined;
  const ended = new Promise<Ended>((resolve) => {
    settle = resolve;
  });
  const resolveEnded = (how: Ended) => {
    over = true;
    queue.length = 0;
    settle(how);
  };

  const dispatch = (event: Unstamped) => {
    if (over) return;
    queue.push({ ...event, now: performance.now() } as CoreEvent);
    if (!running) void drain();
  };

  async function drain(): Promise<void> {
    running = true;
    try {
      for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
        // An overtaken coordinator must neither keep the workers that it has nor turn one away.
        if (event.kind === 'tick' || event.kind === 'worker-connected')
          await checkFence(context.folder, context.plan.generation);
        const turn = advance(state, event);
        state = turn.state;
        context.meter.turn(state, event, turn.effects);
        for (const line of turn.because) say(line);
        // A life that ends for a review begins nothing more: its commit would end that review.
        for (const effect of turn.effects)
          if (!rewind || !beginsWork.has(effect.kind)) await perform(effect);
        if (rewind) resolveEnded({ kind: 'rewind' });
      }
    } catch (error) {
      // A disk that fails, a fence: nothing more may be committed by this coordinator.
      resolveEnded({ kind: 'failed', failure: await causeOf(error) });
    } finally {
      running = false;
      for (const go of relieved.splice(0)) go();
    }
  }

  /** Starts work that comes back as an event; its failure ends the run. */
  function background(work: () => Promise<Unstamped | null>): void {
    work().then(
      (event) => event && dispatch(event),
      async (error: unknown) => {
        const failure = await causeOf(error);
        const { code, message } = failure;
        if (code === 'fenced') resolveEnded({ kind: 'failed', failure });
        else dispatch({ kind: 'failed', code, message });
      },
    );
  }

  /** A newer coordinator tidies up files of this one: then that is why, whatever went wrong. */
  const causeOf = (error: unknown): Promise<Failure> =>
    checkFence(context.folder, context.plan.generation).then(() => asFailure(error), asFailure);

  const record = (body: EventBody, because: string) => recordEvent(context, body, because);

  async function perform(effect: Effect): Promise<void> {
    const { links, plan, model } = context;
    switch (effect.kind) {
      case 'welcome':
      case 'admit':
      case 'refuse':
      case 'disconnect':
      case 'survey-lease':
      case 'drain':
      case 'release':
        tellWorker(context, effect, state.step);
        return;
      case 'adopt-class':
        await adoptClass(context, effect.deviceClass, record);
        dispatch({ kind: 'identity-known', identity: context.run.identity ?? '' });
        return;
      case 'mark-mixed':
        if (!context.run.reproducible) return;
        context.run.reproducible = false;
        await writeRun(context.folder, context.run, plan.generation);
        await record(
          {
            kind: 'warning',
            code: 'not-reproducible',
            message: 'the run is not reproducible from here on: device classes are mixed',
          },
          `${effect.worker} has another device class and --mixed-devices admits it`,
        );
        return;
      case 'lease':
        links.get(effect.worker)?.send({
          lease: {
            generation: plan.generation,
            step: effect.step,
            level: effect.node.level,
            index: effect.node.index,
            attempt: effect.attempt,
            weightsHash: model.sent.hash,
            gray: effect.gray,
          },
        });
        return;
      case 'reduce':
        startReduce(effect);
        return;
      case 'pause-reduce':
        pause?.abort();
        return;
      case 'discard-reduce':
        pause?.abort();
        context.early.drop();
        progress = null;
        sealed = null;
        return;
      case 'shrink': {
        const { attempt, end } = effect;
        links.get(effect.worker)?.send({ shrink: { generation: plan.generation, attempt, end } });
        return;
      }
      case 'review':
        if (await reviewConvict(context, effect.convict)) rewind = true;
        return;
      case 'commit': {
        const reduced = sealed;
        if (reduced === null) throw new Error('a commit without a sealed step');
        progress = null;
        sealed = null;
        const seconds = (performance.now() - stepOpened) / 1000;
        background(async () => {
          await commitStep(context, { ...effect, reduced, seconds }, record);
          stepOpened = performance.now();
          return { kind: 'committed', step: effect.step };
        });
        return;
      }
      case 'checkpoint':
        background(async () => {
          await dueCheckpoint(context, record);
          return null;
        });
        return;
      case 'final-checkpoint':
        background(async () => {
          final = await finalCheckpoint(context, record);
          return { kind: 'final-checkpoint-saved' };
        });
        return;
      case 'use-survey':
        background(async () => {
          await measure();
          // The measure's time is not the next step's.
          stepOpened = performance.now();
          return { kind: 'survey-used' };
        });
        return;
      case 'event':
        await record(withPath(effect.body), effect.because);
        return;
      case 'finish':
        await finish(effect.stopped, effect.because);
        return;
      case 'fail':
        await tellWorkers({
          refused: {
            code: effect.code,
            message: effect.message,
            remedy: failures[effect.code].remedy,
          },
        });
        resolveEnded({ kind: 'failed', failure: new Failure(effect.code, effect.message) });
        return;
      default:
        unreachable(effect);
    }
  }

  /** Paths are the shell's: the core knows samples by number. */
  function withPath(body: EventBody): EventBody {
    if (body.kind !== 'sample-undecodable') return body;
    return { ...body, path: context.samples[body.sample]?.path ?? '' };
  }

  /** Sends a last word to every worker and gives it a moment to travel. */
  async function tellWorkers(message: ConverseResponse): Promise<void> {
    for (const link of context.links.values()) link.send(message);
    await sleep(50);
  }

  function startReduce(effect: Extract<Effect, { kind: 'reduce' }>): void {
    if (progress === null || progress.step !== effect.step) {
      const { momentum: momentumFactor, weightDecay } = context.run.method;
      const rates = learningRates(context.run.method, effect.step);
      const { leaves } = context.plan;
      context.arithmetic.begin(effect.step, { leaves, rates, momentumFactor, weightDecay });
      progress = { step: effect.step, bucket: 0 };
    }
    const controller = new AbortController();
    pause = controller;
    const task = {
      model: context.model,
      arithmetic: context.arithmetic,
      leaves: context.plan.leaves,
      sources: effect.nodes.map(({ node, worker }): NodeSource => {
        const pull = (bucket: number, elements: number) => {
          const link = context.links.get(worker);
          if (link === undefined)
            return Promise.reject(new WorkerGone(worker, 'its connection is gone', false));
          context.meter.bytes('gradients-in', 4 * elements, worker);
          return link.pull(effect.step, node, bucket, elements);
        };
        return { node, worker, pull };
      }),
      progress,
      signal: controller.signal,
    };
    background(async () => {
      try {
        const reduced = await reduceStep(task);
        // A sum that was dropped meanwhile is nobody's.
        if (reduced === null || controller.signal.aborted) return null;
        sealed = reduced;
        return { kind: 'reduced', step: effect.step, attempt: effect.attempt };
      } catch (error) {
        if (!(error instanceof WorkerGone)) throw error;
        if (controller.signal.aborted) return null;
        const { worker, message: reason, hostile } = error;
        const { step, attempt } = effect;
        return { kind: 'reduce-broken', step, attempt, worker, reason, hostile };
      }
    });
  }

  async function measure(): Promise<void> {
    const { survey: features, samples, run, model } = context;
    context.survey = null;
    const labels = labelsOf(samples);
    if (features === null || labels === null) return;
    const result = await measureKnn(
      features,
      model.architecture.featureWidth,
      labels,
      run.method.seed,
    );
    const { accuracy, standardError, queries, references } = result;
    const { featureWidth } = model.architecture;
    const stdRatio = featureStd(features, featureWidth) * Math.sqrt(featureWidth);
    await record(
      { kind: 'knn-measured', accuracy, standardError, queries, references, stdRatio },
      measuredBecause(),
    );
  }

  function measuredBecause(): string {
    const { step } = context.model;
    if (step === 0) return 'the untrained network is what training has to beat';
    if (step >= context.plan.totalSteps) return 'the last step is committed';
    return `--monitor-every ${context.plan.monitorEvery} asks for it after step ${step}`;
  }

  async function finish(stopped: boolean, because: string): Promise<void> {
    if (final === null) throw new Error('a finish without its checkpoint');
    await drawPicture(context, record);
    const { loss, std, digest, path } = final;
    await record({ kind: 'run-done', stopped, loss, std, digest, checkpoint: path }, because);
    await tellWorkers({ runDone: { message: because, stopped } });
    resolveEnded({ kind: 'finished', stopped, checkpoint: final });
  }

  return {
    dispatch,
    get state() {
      return state;
    },
    get backlog() {
      return queue.length;
    },
    calm: () =>
      running ? new Promise<void>((resolve) => void relieved.push(resolve)) : Promise.resolve(),
    ended,
  };
}
