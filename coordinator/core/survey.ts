/**
 * The survey: features of every image (or batch-norm moments of chunks of them), extracted by the
 * workers through leases like any other work. The k-nearest-neighbour measure uses it before, during
 * and after training, an evaluation has nothing else. It reads weights and changes nothing.
 */
import type { Effect, Plan, State, Survey, SurveyPlan } from './state.ts';
import { mayTry, readyWorkers, surveyChunk } from './state.ts';

const done = '';

/** The last word of an evaluation to its workers. */
export const allExtracted = 'everything is extracted';

/** Are the features of a network of so many steps to be measured, while training waits? */
export function monitorIsDue({ monitorEvery = 0, knn }: Plan, step: number): boolean {
  if (step === 0) return knn || monitorEvery > 0;
  return monitorEvery > 0 && step % monitorEvery === 0;
}

/** Chunks of a survey. Moments of a short tail would weigh as much as those of a whole chunk. */
export function chunksOf({ work, images }: SurveyPlan): number {
  const chunks = images / surveyChunk;
  return work === 'features' ? Math.ceil(chunks) : Math.max(1, Math.floor(chunks));
}

export function openSurvey(
  state: State,
  after: Survey['after'],
  asked: SurveyPlan = { work: 'features', images: state.plan.samples },
): void {
  state.phase = 'surveying';
  const chunks = new Array<string | null>(chunksOf(asked)).fill(null);
  state.survey = { work: asked.work, chunks, handedBack: {}, after };
}

/** Feature leases for every idle worker. */
export function assignSurvey(state: State, now: number, effects: Effect[]): void {
  const survey = state.survey;
  if (survey === null) return;
  for (const worker of readyWorkers(state)) {
    if (worker.survey !== null || worker.lease !== null) continue;
    const chunk = survey.chunks.findIndex(
      (holder, i) => holder === null && mayTry(state, worker.id, survey.handedBack[i]),
    );
    if (chunk < 0) continue;
    survey.chunks[chunk] = worker.id;
    worker.survey = { chunk, since: now };
    const { work } = survey;
    effects.push({ kind: 'survey-lease', worker: worker.id, work, chunk, gray: [...state.gray] });
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

/** A chunk that somebody holds for longer than that is open to others; the first answer counts. */
export function openLateChunks(
  state: State,
  now: number,
  longestMs: number,
  because: string[],
): void {
  for (const { id, survey: held } of Object.values(state.workers)) {
    if (held === null || now - held.since <= longestMs) continue;
    if (state.survey?.chunks[held.chunk] !== id) continue;
    state.survey.chunks[held.chunk] = null;
    because.push(`chunk ${held.chunk} of the survey is late at ${id}: others may have it`);
  }
}

/** Opens what a worker held in the survey. */
export function releaseSurvey(state: State, id: string): void {
  const worker = state.workers[id];
  if (worker) worker.survey = null;
  const survey = state.survey;
  if (survey === null) return;
  survey.chunks = survey.chunks.map((holder) => (holder === id ? null : holder));
}
