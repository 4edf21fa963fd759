/**
 * The progress of a run on a terminal: one live line, redrawn in place, and a line for each
 * notable event above it. Where the output is no terminal, plain lines instead, a few.
 *
 * Everything drawn comes from the one fold (`summary.ts`). Text is made by pure functions of the
 * summary and the width; the class owns only the line on the screen and the clock that turns it.
 */
import { isAlarming, type RunEvent } from '../shared/core/events.ts';
import { emptySummary, fold, goalOf, type RunSummary, stdRatio } from '../shared/core/summary.ts';
import { eventText } from './event-line.ts';
import { count, duration, epoch, plural, rate, signed } from '../shared/core/format.ts';
import type { Output } from './io.ts';

const eraseLine = '\r\u001b[2K';
const tickMs = 500;
const plainEveryMs = 5000;
/** Steps before the length of a run is estimated; shorter ones are not worth a line, seconds. */
const estimateSteps = 4;
const estimateSeconds = 60;
/** Moves of leases come in crowds when a worker dies; one line a second is enough. */
const crowdMs = 1000;

/** `[████████░░░░]`; share in [0, 1]. */
export function bar(share: number, width: number): string {
  const filled = Math.max(0, Math.min(width, Math.floor(share * width + 1e-9)));
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

/** The status line, at most `width` characters; the parts that matter least go first. */
export function statusLine(summary: RunSummary, width: number): string {
  const goal = goalOf(summary);
  if (summary.loss === null) {
    const workers = plural(summary.liveWorkers, 'worker');
    const waits = summary.state === 'opening' ? 'opening the run' : 'first step under way';
    return `${waits}, ${workers}`.slice(0, width);
  }
  const epochs =
    summary.images > 0 ? (summary.totalSteps * summary.batch) / summary.images : summary.epoch;
  const parts: { text: string; worth: number }[] = [
    { text: bar(goal > 0 ? summary.step / goal : 0, 12), worth: 1 },
    { text: `step ${count(summary.step)}/${count(goal)}`, worth: 9 },
    { text: `epoch ${epoch(summary.epoch)}/${epoch(Math.round(epochs * 10) / 10)}`, worth: 4 },
    { text: `loss ${signed(summary.loss)}`, worth: 8 },
  ];
  if (summary.std !== null && summary.outputWidth > 0) {
    parts.push({
      text: `std·√d ${signed(stdRatio(summary.std, summary.outputWidth), 2)}`,
      worth: 5,
    });
  }
  if (summary.imagesPerSecond !== null) {
    parts.push({ text: `${rate(summary.imagesPerSecond)} img/s`, worth: 6 });
  }
  parts.push({ text: plural(summary.liveWorkers, 'worker'), worth: 3 });
  if (summary.secondsLeft !== null) {
    parts.push({ text: `${duration(summary.secondsLeft)} left`, worth: 7 });
  }
  const join = (): string => parts.map((part) => part.text).join('  ');
  while (join().length > width && parts.length > 1) {
    const least = Math.min(...parts.map((part) => part.worth));
    parts.splice(
      parts.findIndex((part) => part.worth === least),
      1,
    );
  }
  return join().slice(0, width);
}

/** Events that get a line of their own while training. */
function isNotable(event: RunEvent): boolean {
  return (
    event.kind !== 'step-committed' && event.kind !== 'run-done' && event.kind !== 'run-failed'
  );
}

export interface ProgressOptions {
  output: Output;
  /** Redraw one line in place; else plain lines. */
  live: boolean;
  colour: boolean;
  /** Milliseconds, monotonic. */
  now: () => number;
}

/** Draws a run's events; `finish` leaves a clean line behind. */
export class Progress {
  summary: RunSummary = emptySummary;
  readonly #options: ProgressOptions;
  #timer: NodeJS.Timeout | null = null;
  #drawn = false;
  readonly #startedAt: number;
  #plainAt = Number.NEGATIVE_INFINITY;
  #plainTenth = -1;
  #crowdAt = Number.NEGATIVE_INFINITY;
  #waiting = '';
  #estimated = false;
  #waitingAt = Number.NEGATIVE_INFINITY;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    if (options.live) this.#timer = setInterval(() => this.#draw(), tickMs).unref();
  }

  /** Folds what happened before this command, without a word. */
  remember(summary: RunSummary): void {
    this.summary = summary;
  }

  event(event: RunEvent): void {
    if (event.seq <= this.summary.seq) return;
    this.summary = fold(this.summary, event);
    this.#estimate();
    if (isNotable(event)) this.#notable(event);
    if (this.#options.live) this.#draw();
    else if (event.kind === 'step-committed') this.#plain();
  }

  /** How far the first look at the data is; small data sets are not worth a line of text. */
  indexing(done: number, total: number): void {
    this.waiting(done < total ? `indexing ${count(done)} of ${count(total)} images` : '');
  }

  /** What is going on before there is a run to draw; empty: nothing. */
  waiting(what: string): void {
    this.#waiting = what;
    const now = this.#options.now();
    if (this.#options.live) {
      if (now - this.#waitingAt >= tickMs) this.#draw();
      this.#waitingAt = now;
    } else if (what !== '' && now - Math.max(this.#plainAt, this.#startedAt) >= plainEveryMs) {
      this.#plainAt = now;
      this.note(what);
    }
  }

  /** A line that stays. */
  note(text: string): void {
    this.#erase();
    this.#options.output.write(`${text}\n`);
  }

  finish(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#erase();
  }

  /** Once, after the first timed steps: how long it will take. */
  #estimate(): void {
    const { timedSteps, secondsLeft, imagesPerSecond } = this.summary;
    if (this.#estimated || timedSteps < estimateSteps) return;
    if (secondsLeft === null || imagesPerSecond === null) return;
    this.#estimated = true;
    if (secondsLeft < estimateSeconds) return;
    this.note(`about ${duration(secondsLeft)} to go at ${rate(imagesPerSecond)} img/s`);
  }

  #notable(event: RunEvent): void {
    if (event.kind === 'lease-moved') {
      if (this.#options.now() - this.#crowdAt < crowdMs) return;
      this.#crowdAt = this.#options.now();
    }
    const text = eventText(event, this.summary.outputWidth);
    const paint = this.#options.colour && isAlarming(event);
    this.note(paint ? `\u001b[33m${text}\u001b[39m` : text);
  }

  /** Plain line: the first step, the last, each tenth of the way, else one in five seconds. */
  #plain(): void {
    const goal = goalOf(this.summary);
    const tenth = goal > 0 ? Math.floor((10 * this.summary.step) / goal) : 0;
    const due = this.#options.now() - this.#plainAt >= plainEveryMs;
    if (!due && tenth === this.#plainTenth) return;
    this.#plainAt = this.#options.now();
    this.#plainTenth = tenth;
    this.#options.output.write(`${statusLine(this.summary, 200)}\n`);
  }

  #draw(): void {
    if (this.#timer === null) return;
    const width = Math.max(20, (this.#options.output.columns || 80) - 1);
    let line = statusLine(this.summary, width);
    if (this.summary.loss === null) {
      const waited = duration((this.#options.now() - this.#startedAt) / 1000);
      line = `${this.#waiting || line} (${waited})`.slice(0, width);
    }
    const painted = this.#options.colour ? line.replace(/^[█░]+/, '\u001b[32m$&\u001b[39m') : line;
    this.#options.output.write(eraseLine + painted);
    this.#drawn = true;
  }

  #erase(): void {
    if (this.#drawn) this.#options.output.write(eraseLine);
    this.#drawn = false;
  }
}
