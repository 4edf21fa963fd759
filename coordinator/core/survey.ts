/**
 * The survey: features of every image, extracted by the workers through leases like any other
 * work, for the k-nearest-neighbour measure. It reads weights and changes nothing.
 */
import type { Effect, State } from './state.ts';
import { liveWorkers, mayTry, surveyChunk } from './state.ts';

const done = '';

export function openSurvey(state: State, after: 'train' | 'finish'): void {
  state.phase = 'surveying';
  const chunks = Math.ceil(state.plan.samples / surveyChunk);
  state.survey = { chunks: new Array<string | null>(chunks).fill(null), handedBack: {}, after };
}

/** Feature leases for every idle worker. */
export function assignSurvey(state: State, now: number, effects: Effect[]): void {
  const survey = state.survey;
  if (survey === null) return;
  for (const worker of liveWorkers(state)) {
    if (worker.survey !== null || worker.lease !== null) continue;
    const chunk = survey.chunks.findIndex(
      (holder, i) => holder === null && mayTry(state, worker.id, survey.handedBack[i]),
    );
    if (chunk < 0) continue;
    survey.chunks[chunk] = worker.id;
    worker.survey = { chunk, since: now };
    effects.push({ kind: 'survey-lease', worker: worker.id, chunk, gray: [...state.gray] });
  }
}

/** A chunk's features are in; true when it was the last. */
export function finishChunk(state: State, id: string, chunk: number): boolean {
  const worker = state.workers[id];
  if (worker?.survey?.chunk === chunk) {
    worker.survey = null;
    worker.handBacks = 0;
  }
  const survey = state.survey;
  const open = survey?.chunks[chunk];
  if (survey === null || open === undefined || open === done) return false;
  survey.chunks[chunk] = done;
  return survey.chunks.every((holder) => holder === done);
}

/** Opens what a worker held in the survey. */
export function releaseSurvey(state: State, id: string): void {
  const worker = state.workers[id];
  if (worker) worker.survey = null;
  const survey = state.survey;
  if (survey === null) return;
  survey.chunks = survey.chunks.map((holder) => (holder === id ? null : holder));
}
