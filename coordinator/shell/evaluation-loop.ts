/**
 * The effect runner of an evaluation: the same core as a run's, with surveys and nothing else.
 *
 * No folder, no ledger, no generation: an evaluation reads a checkpoint and may run beside the
 * coordinator that trains. What it loses with its process is minutes of feature extraction.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asFailure, Failure, failures } from '../../shared/core/failures.ts';
import type { ConverseResponse } from '../../shared/wire/messages.ts';
import { advance } from '../core/advance.ts';
import type { CoreEvent, Effect, State, SurveyWork } from '../core/state.ts';
import { identityOf } from './commit.ts';
import type { Served } from './run-context.ts';
import type { RunLoop } from './run-loop.ts';
import { tellWorker } from './worker-effects.ts';

export interface EvaluationLoop extends Pick<RunLoop, 'dispatch' | 'state' | 'backlog' | 'calm'> {
  /** Resolves when every survey was used; rejects with the failure. */
  readonly ended: Promise<void>;
}

export interface EvaluationHooks {
  /** Every answer of a survey, laid out as `survey-features.ts` says. */
  use: (work: SurveyWork, values: Float32Array) => void;
  /** After each turn. */
  onTurn: (state: State) => void;
  /** What happened, for people. */
  say: (line: string) => void;
}

export function startEvaluationLoop(
  served: Served,
  initial: State,
  hooks: EvaluationHooks,
): EvaluationLoop {
  let state = initial;
  let over = false;
  const queue: CoreEvent[] = [];
  let running = false;
  const relieved: (() => void)[] = [];
  let settle: (failure: Failure | null) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    settle = (failure) => (failure === null ? resolve() : reject(failure));
  });
  const end = (failure: Failure | null) => {
    over = true;
    queue.length = 0;
    settle(failure);
  };

  const dispatch: RunLoop['dispatch'] = (event) => {
    if (over) return;
    queue.push({ ...event, now: performance.now() } as CoreEvent);
    if (!running) void drain();
  };

  async function drain(): Promise<void> {
    running = true;
    try {
      for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
        const turn = advance(state, event);
        state = turn.state;
        for (const line of turn.because) hooks.say(line);
        for (const effect of turn.effects) await perform(effect);
        hooks.onTurn(state);
      }
    } catch (error) {
      end(asFailure(error));
    } finally {
      running = false;
      for (const go of relieved.splice(0)) go();
    }
  }

  async function perform(effect: Effect): Promise<void> {
    if (tellWorker(served, effect, state.step)) return;
    switch (effect.kind) {
      case 'adopt-class':
        served.run.deviceClass = effect.deviceClass;
        served.run.identity = identityOf(served.run);
        dispatch({ kind: 'identity-known', identity: served.run.identity });
        return;
      case 'use-survey': {
        const values = served.survey;
        served.survey = null;
        if (values === null) throw new Error('a survey without answers');
        hooks.use(effect.work, values);
        dispatch({ kind: 'survey-used' });
        return;
      }
      case 'event':
        if (effect.body.kind === 'worker-refused' || effect.body.kind === 'sample-undecodable')
          hooks.say(effect.because);
        return;
      case 'finish':
        await lastWord({ runDone: { message: effect.because } });
        end(null);
        return;
      case 'fail': {
        const { code, message } = effect;
        await lastWord({ refused: { code, message, remedy: failures[code].remedy } });
        end(new Failure(code, message));
        return;
      }
      default:
        throw new Error(`an evaluation does not ${effect.kind}`);
    }
  }

  /** Every worker hears it, and has a moment to. */
  async function lastWord(message: ConverseResponse): Promise<void> {
    for (const link of served.links.values()) link.send(message);
    await sleep(50);
  }

  return {
    dispatch,
    ended,
    get backlog() {
      return queue.length;
    },
    calm: () =>
      running ? new Promise<void>((resolve) => void relieved.push(resolve)) : Promise.resolve(),
    get state() {
      return state;
    },
  };
}
