/**
 * The log of a process, for people who ask why: one line a decision that changed, one a thing to know.
 *
 * `pino` makes the lines: JSON on stderr, so that a cluster's collector can read them. On a terminal
 * the same lines are drawn for people, by whoever owns the terminal: a supervised process writes
 * JSON, and its supervisor draws it. Events, not logs, are the truth about a run.
 */
import { pino } from 'pino';
import { changedDecisions } from './decisions.ts';
import { printable } from '../shared/core/format.ts';

export interface Log {
  /** A decision with its reason; written where it is not the one of the step before. */
  decision(line: string): void;
  /** What is as it should be; a supervisor passes it on with --verbose only. */
  info(line: string): void;
  /** Something that people should know. */
  warn(line: string): void;
}

export interface LogOptions {
  program: 'coordinator' | 'worker';
  /** More fields of every line. */
  fields?: Readonly<Record<string, string>>;
  /** Decisions too. */
  verbose: boolean;
  /** Takes a line of JSON without its line feed. */
  write: (line: string) => void;
}

const lineCharsMax = 4000;

export function openLog({ program, fields = {}, verbose, write }: LogOptions): Log {
  const logger = pino(
    {
      base: { program, pid: process.pid, ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(line.trimEnd()) },
  );
  const isNew = changedDecisions();
  return {
    decision(line) {
      if (verbose && isNew(line)) logger.info(line.slice(0, lineCharsMax));
    },
    info: (line) => logger.info(line.slice(0, lineCharsMax)),
    warn: (line) => logger.warn(line.slice(0, lineCharsMax)),
  };
}

export interface LogLine {
  level: string;
  time: string;
  /** Whose line it is: a worker's name, or the program. */
  who: string;
  text: string;
}

/** A line of such a log, or null for any other text. */
export function parseLogLine(line: string): LogLine | null {
  if (!line.startsWith('{"level":')) return null;
  try {
    const { level, time, program, worker, msg } = JSON.parse(line) as Record<string, unknown>;
    if (typeof msg !== 'string' || typeof time !== 'string') return null;
    return { level: String(level), time, who: String(worker ?? program), text: msg };
  } catch {
    return null;
  }
}

/** `12:03:55 worker-1: away from the coordinator`, in one line. Times are UTC, as in the events. */
export function prettyLogLine({ level, time, who, text }: LogLine, colour: boolean): string {
  const paint = (code: number, words: string): string =>
    colour ? `\u001b[${code}m${words}\u001b[0m` : words;
  const words = printable(text, lineCharsMax).replaceAll(/[\n\t]/g, ' ');
  const stamp = paint(2, `${printable(time).slice(11, 19)} ${printable(who)}:`);
  return `${stamp} ${level === 'info' ? words : paint(33, words)}`;
}
