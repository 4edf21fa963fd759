/** NATS subjects: `tandem.<run>.<kind>`, the run's name made safe for a subject token. */
import type { EventKind } from '../core/events.ts';

export const subjectToken = (run: string): string => run.replace(/[^A-Za-z0-9_-]/g, '_') || '_';
export const eventSubject = (run: string, kind: EventKind): string =>
  `tandem.${subjectToken(run)}.${kind}`;
export const runSubjects = (run: string): string => `tandem.${subjectToken(run)}.>`;
