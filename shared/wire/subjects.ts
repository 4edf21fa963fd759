/**
 * NATS names of a run, made safe for a subject token.
 *
 * Events: `tandem.<run>.<kind>`, kept by the stream `tandem_<run>`. What is not kept (heartbeats)
 * has one token more, so that the stream's subject `tandem.<run>.*` does not catch it.
 */
import type { EventKind } from '../core/events.ts';

export const subjectToken = (run: string): string => run.replace(/[^A-Za-z0-9_-]/g, '_') || '_';
export const eventSubject = (run: string, kind: EventKind): string =>
  `tandem.${subjectToken(run)}.${kind}`;
/** Everything of a run, heartbeats too. */
export const runSubjects = (run: string): string => `tandem.${subjectToken(run)}.>`;
export const heartbeatSubject = (run: string): string => `tandem.${subjectToken(run)}.live.beat`;
/** The stream that keeps a run's events, and what it catches. */
export const streamName = (run: string): string => `tandem_${subjectToken(run)}`;
export const streamSubject = (run: string): string => `tandem.${subjectToken(run)}.*`;

/** A coordinator's sign of life on NATS: who, and the newest event's number. */
export interface Heartbeat {
  run: string;
  generation: number;
  /** Number of the newest event. */
  seq: number;
  step: number;
  /** ISO 8601, UTC. */
  time: string;
}
