/** Events against a ledger: what a conviction leaves behind, lives, and what breaks the order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { epochsAfter } from '../../../shared/core/order.ts';
import { learningRates } from '../../../shared/core/schedule.ts';
import { eventsCheck } from '../../../shared/core/verify-events.ts';
import { tinyMethod } from '../../support/tiny-run.ts';

const samples = 19;
const method = tinyMethod;
const figures = (step: number) => ({ hash: `true-${step}`, loss: -step / 16, std: 0.5 });

interface Told {
  kind: string;
  [field: string]: unknown;
}

const commit = (step: number, record = `true-${step}`): Told => ({
  kind: 'step-committed',
  step,
  loss: figures(step).loss,
  std: 0.5,
  learningRate: learningRates(method, step - 1).base,
  epoch: epochsAfter(step, method.batch, samples),
  record,
});
const opened = (generation: number): Told => ({
  kind: 'run-opened',
  generation,
  totalSteps: method.totalSteps,
  images: samples,
  batch: method.batch,
  microBatch: method.microBatch,
  model: method.model,
});
const rewound = (from: number, to: number): Told => ({ kind: 'rewound', from, to, source: '' });

function check(
  steps: number,
  told: readonly Told[],
  more: { aside?: string[]; live?: boolean } = {},
) {
  const events = eventsCheck({
    method,
    samples,
    steps,
    at: (step) => (step < steps ? figures(step + 1) : undefined),
    aside: new Set(more.aside),
    generations: 9,
    live: more.live ?? false,
  });
  told.forEach((event, i) => events.see(JSON.stringify({ ...event, seq: i + 1 })));
  const [fault = null] = events.end();
  return { fault, seen: events.seen, notes: events.notes };
}

test('records that a conviction moved aside may stand behind a rewind, once told again', () => {
  const told = [
    opened(1),
    commit(1),
    commit(2, 'wrong-2'),
    commit(3, 'wrong-3'),
    rewound(3, 1),
    commit(2),
    commit(3),
  ];
  const { fault, seen } = check(3, told, { aside: ['wrong-2', 'wrong-3'] });
  assert.equal(fault, null);
  assert.deepEqual([seen.aside, seen.again, seen.rewinds], [2, 2, 1]);
  assert.equal(check(3, told, { aside: ['wrong-3'] }).fault?.step, 2, 'it lies in no side file');
  const without = told.filter(({ kind }) => kind !== 'rewound');
  assert.match(check(3, without, { aside: ['wrong-2', 'wrong-3'] }).fault?.why ?? '', /no rewind/);
  const unfinished = check(1, told.slice(0, 5), { aside: ['wrong-2', 'wrong-3'] });
  assert.equal(unfinished.fault, null, 'killed before it told them again');
  const never = check(3, told.slice(0, 4), { aside: ['wrong-2', 'wrong-3'] });
  assert.match(never.fault?.why ?? '', /never told again/);
});

test('steps told again after a rewind are the same records, through several lives', () => {
  const told = [
    opened(1),
    commit(1),
    commit(2),
    opened(2),
    rewound(2, 0),
    commit(1),
    // Killed while it computed them again: the next life tells what its last event lacks.
    commit(2),
    opened(3),
    rewound(2, 1),
    commit(2),
    commit(3),
  ];
  const { fault, seen } = check(3, told);
  assert.equal(fault, null);
  assert.deepEqual(seen, { events: 11, lives: 3, rewinds: 2, again: 3, aside: 0 });
});

test('the event that a killed coordinator could not write is a note, two are a fault', () => {
  const told = [opened(1), commit(1)];
  assert.deepEqual(check(2, told).notes, ['step 2 has no event yet: a resume writes it']);
  assert.equal(check(2, told).fault, null);
  assert.equal(check(3, told).fault?.step, 2);
  assert.equal(check(3, told, { live: true }).fault, null);
});

test('lives count upwards, and a life of another method is told', () => {
  assert.match(check(0, [opened(2), opened(2)]).fault?.why ?? '', /life 2 begins after life 2/);
  const other = { ...opened(1), batch: 4 };
  assert.match(check(0, [other]).fault?.why ?? '', /another method/);
});

test('a step beyond the ledger is a fault, unless a coordinator is writing', () => {
  const told = [opened(1), commit(1), commit(2)];
  assert.equal(check(1, told).fault?.step, 2);
  assert.equal(check(1, told, { live: true }).fault, null);
});
