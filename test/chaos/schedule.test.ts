/** Schedules, traces and the account of time of a chaos run: what can be told without processes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { RunEvent } from '../../shared/core/events.ts';
import { pretendRun } from '../support/pretend-events.ts';
import { scratch } from '../support/processes.ts';
import { chaosGoodput } from './goodput.ts';
import { chaosOptions } from './options.ts';
import { drawSchedule } from './schedule.ts';

describe('a schedule of faults', () => {
  const options = {
    seed: 7,
    steps: 50,
    partitionMs: 1000,
    counts: { 'kill-worker': 12, 'kill-coordinator': 5, 'stop-worker': 3, partition: 1 },
  } as const;

  it('is a function of its seed', () => {
    assert.deepEqual(drawSchedule(options), drawSchedule(options));
    assert.notDeepEqual(drawSchedule(options), drawSchedule({ ...options, seed: 8 }));
  });

  it('holds as many of each kind as were asked for, in order, before the last commit', () => {
    const schedule = drawSchedule(options);
    const of = (kind: string) => schedule.filter(({ fault }) => fault.kind === kind).length;
    for (const [kind, count] of Object.entries(options.counts)) assert.equal(of(kind), count, kind);
    assert.equal(schedule.length, 21);
    const places = schedule.map(({ step, share }) => step + share);
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
    assert.ok(schedule.every(({ step }) => step >= 1 && step < 50));
  });

  it('does not move one kind of fault where another one is added', () => {
    const kills = ({ fault }: { fault: { kind: string } }) => fault.kind === 'kill-worker';
    const more = { ...options, counts: { ...options.counts, 'drain-worker': 9 } };
    assert.deepEqual(drawSchedule(more).filter(kills), drawSchedule(options).filter(kills));
  });
});

describe('a trace of worker counts', () => {
  it('is refused with what was expected where it is none', (t) => {
    const file = join(scratch(t), 'trace.json');
    const options = (text: string) => {
      writeFileSync(file, text);
      return () => chaosOptions(['--replay', file]);
    };
    assert.deepEqual(options('[0, 3, 1]')().trace, [0, 3, 1]);
    assert.throws(options('[0, 3'), /expects a JSON array of worker counts/);
    assert.throws(options('[0, 2.5]'), /entry 1 .* is 2.5; expected a whole number/);
    assert.throws(options('[100]'), /from 0 to 64/);
    assert.throws(options('[0, 0]'), /has none/);
  });

  it('comes without faults unless they are asked for', (t) => {
    const file = join(scratch(t), 'trace.json');
    writeFileSync(file, '[1]');
    const counts = (...words: string[]) => chaosOptions(['--replay', file, ...words]).counts;
    assert.ok(Object.values(counts()).every((count) => count === 0));
  });
});

describe('the account of a run’s time', () => {
  const stepMs = 1000;

  /** Ten steps; a worker dies in the sixth. */
  function events(): RunEvent[] {
    const run = pretendRun({ run: 'r', steps: 20, workers: ['a', 'b'], stepMs, began: 0 });
    const list = run.begin();
    for (let i = 0; i < 5; i += 1) list.push(run.committed());
    list.push(run.moved('a', 0, 4), run.left('a'));
    const slow = run.committed();
    // Half of the step was computed a second time.
    list.push(longer(slow, 600), run.joined('a'));
    for (let i = 0; i < 4; i += 1) list.push(run.committed());
    return list;
  }

  const longer = (event: RunEvent, ms: number): RunEvent =>
    event.kind === 'step-committed' && event.phasesMs !== undefined
      ? { ...event, phasesMs: { ...event.phasesMs, compute: event.phasesMs.compute + ms } }
      : event;

  it('sums to the time from the first event to the last, by cause', () => {
    const { parts, totalMs, goodput, usualMs } = chaosGoodput(events(), 2);
    const sum = parts.reduce((all, { ms }) => all + ms, 0);
    assert.ok(Math.abs(sum - totalMs) < 1e-6);
    assert.ok(Math.abs(parts.reduce((all, { share }) => all + share, 0) - 1) < 1e-9);
    assert.ok(usualMs > 0.85 * stepMs && usualMs < 1.15 * stepMs);
    assert.equal(parts[0]?.share, goodput);
    const moved = parts.find(({ cause }) => cause.includes('computed elsewhere'))?.ms ?? 0;
    assert.ok(moved > 450 && moved < 750, `${moved}`);
  });

  it('gives the time between two lives to the coordinator that was not there', () => {
    const list = events();
    const last = list.at(-1);
    assert.ok(last);
    const later = Date.parse(last.time) + 7000;
    const run = pretendRun({ run: 'r', steps: 20, workers: [], began: later });
    const opened = { ...run.opened(2), seq: last.seq + 1 };
    const { parts } = chaosGoodput([...list, opened], 2);
    assert.equal(parts.find(({ cause }) => cause.startsWith('no coordinator'))?.ms, 7000);
  });
});
