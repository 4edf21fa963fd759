/** Transcripts of the worker's side of the conversation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginConversation, converse } from '../../../worker/core/conversation.ts';
import type {
  ConversationEffect,
  ConversationEvent,
  ConversationState,
  LeafReport,
  LeaseTask,
  NodeReport,
  SurveyTask,
  Welcome,
} from '../../../worker/core/conversation-types.ts';

const welcome: Welcome = {
  generation: 3,
  run: 'r',
  method: '{}',
  fingerprint: 'f',
  samples: 10,
  heartbeatMs: 1000,
  step: 5,
  session: 's',
};

const lease = (some: Partial<LeaseTask> = {}): LeaseTask => ({
  kind: 'lease',
  generation: 3,
  step: 5,
  level: 1,
  index: 0,
  attempt: 9,
  weightsHash: 'w5',
  gray: [],
  ...some,
});

const survey: SurveyTask = {
  kind: 'survey',
  work: 'features',
  statisticsHash: 's',
  generation: 3,
  step: 0,
  chunk: 2,
  chunkSize: 64,
  weightsHash: 'w0',
  gray: [],
};

const leaves: LeafReport[] = [
  { leaf: 0, inputHash: 'i', leafHash: 'l', loss: -1, std: 0.02, nonFinite: false },
];
const node: NodeReport = { level: 1, index: 0, leaves };
const nodes = [node];

function talk(...events: ConversationEvent[]) {
  const self = {
    state: beginConversation as ConversationState,
    hear(event: ConversationEvent): ConversationEffect[] {
      const turn = converse(self.state, event);
      self.state = turn.state;
      return turn.effects;
    },
  };
  for (const event of events) self.hear(event);
  return self;
}

const joined: ConversationEvent[] = [
  { kind: 'connected' },
  { kind: 'welcomed', welcome },
  { kind: 'proved', stages: [] },
  { kind: 'admitted' },
];

const kinds = (effects: ConversationEffect[]) => effects.map(({ kind }) => kind);

test('a worker joins, opens its gradients, proves its class, works and hands in', () => {
  const worker = talk();
  assert.deepEqual(worker.hear({ kind: 'connected' }), [{ kind: 'join' }]);
  assert.deepEqual(worker.hear({ kind: 'welcomed', welcome }), [
    { kind: 'stop-work', reason: 'the coordinator began anew' },
    { kind: 'forget-others', step: 5 },
    { kind: 'open-gradients' },
    { kind: 'prove', welcome },
  ]);
  const stages = [{ name: 'step', sha256: 'a' }];
  assert.deepEqual(worker.hear({ kind: 'proved', stages }), [{ kind: 'send-ready', stages }]);
  assert.deepEqual(worker.hear({ kind: 'admitted' }), []);
  assert.equal(worker.state.phase, 'ready');
  const task = lease();
  assert.deepEqual(worker.hear({ kind: 'tasked', task }), [{ kind: 'work', task }]);
  assert.equal(worker.state.phase, 'working');
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task, nodes }), [
    { kind: 'send-node', task, node },
  ]);
  assert.deepEqual([worker.state.phase, worker.state.task], ['ready', null]);
});

test('finished nodes are kept until their step is committed, and then forgotten', () => {
  const worker = talk(...joined);
  assert.deepEqual(
    worker.hear({ kind: 'step-committed', generation: 3, step: 5, weightsHash: 'w6' }),
    [{ kind: 'forget', step: 5, weightsHash: 'w6' }],
  );
  assert.deepEqual(
    worker.hear({ kind: 'step-committed', generation: 2, step: 6, weightsHash: 'w7' }),
    [],
    'what another life of the coordinator committed says nothing',
  );
});

test('a result of a lease that is no longer its own is dropped', () => {
  for (const old of [
    lease({ attempt: 8 }),
    lease({ step: 4 }),
    lease({ generation: 2 }),
    { ...survey, generation: 3 },
  ]) {
    const worker = talk(...joined, { kind: 'tasked', task: lease() });
    if (old.kind === 'lease')
      assert.deepEqual(worker.hear({ kind: 'nodes-finished', task: old, nodes }), []);
    assert.deepEqual(
      worker.hear({ kind: 'task-failed', task: old, code: 'internal', message: '', sample: null }),
      [],
    );
    assert.deepEqual(worker.state.task, lease(), 'the lease it has stands');
  }
});

test('a newer task takes the place of the one under way', () => {
  const next = lease({ attempt: 10, index: 1 });
  const worker = talk(...joined, { kind: 'tasked', task: lease() });
  assert.deepEqual(worker.hear({ kind: 'tasked', task: next }), [{ kind: 'work', task: next }]);
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task: lease(), nodes }), []);
  assert.deepEqual(kinds(worker.hear({ kind: 'nodes-finished', task: next, nodes })), [
    'send-node',
  ]);
});

test('a task of another generation is not begun', () => {
  const worker = talk(...joined);
  assert.deepEqual(worker.hear({ kind: 'tasked', task: lease({ generation: 2 }) }), []);
  assert.equal(worker.state.task, null);
});

test('a result that comes after the connection was lost is dropped, also after the next welcome', () => {
  const task = lease();
  const worker = talk(...joined, { kind: 'tasked', task });
  worker.hear({ kind: 'disconnected', reason: 'reset' });
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task, nodes }), []);
  worker.hear({ kind: 'connected' });
  worker.hear({ kind: 'welcomed', welcome });
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task, nodes }), []);
});

test('a lease that fails is handed back with its reason and its sample', () => {
  const task = lease();
  const worker = talk(...joined, { kind: 'tasked', task });
  const failed = {
    kind: 'task-failed',
    task,
    code: 'sample-undecodable',
    message: 'x.jpg is cut short',
    sample: 7,
  } as const;
  assert.deepEqual(worker.hear(failed), [{ ...failed, kind: 'send-failed' }]);
  assert.equal(worker.state.phase, 'ready');
  assert.deepEqual(worker.hear(failed), [], 'once');
});

test('features are extracted and handed in like any other work', () => {
  const worker = talk(...joined);
  assert.deepEqual(worker.hear({ kind: 'tasked', task: survey }), [{ kind: 'work', task: survey }]);
  const features = new Uint8Array(4);
  const other = { ...survey, chunk: 3 };
  assert.deepEqual(worker.hear({ kind: 'features-finished', task: other, features }), []);
  assert.deepEqual(worker.hear({ kind: 'features-finished', task: survey, features }), [
    { kind: 'send-features', task: survey, features },
  ]);
});

test('a lost coordinator is looked for again, and attempts count from the last welcome', () => {
  const worker = talk(...joined);
  const lost = { kind: 'disconnected', reason: 'reset' } as const;
  assert.deepEqual(worker.hear(lost), [{ kind: 'reconnect', failures: 1, reason: 'reset' }]);
  assert.equal(worker.state.phase, 'away');
  worker.hear({ kind: 'connected' });
  assert.deepEqual(worker.hear(lost), [{ kind: 'reconnect', failures: 2, reason: 'reset' }]);
  worker.hear({ kind: 'connected' });
  assert.deepEqual(
    kinds(worker.hear({ kind: 'welcomed', welcome: { ...welcome, generation: 4 } })),
    ['stop-work', 'forget-others', 'open-gradients', 'prove'],
  );
  assert.deepEqual([worker.state.failures, worker.state.generation], [0, 4]);
});

test('a loss that is told twice is one attempt to come back', () => {
  const worker = talk(...joined);
  worker.hear({ kind: 'refused', code: 'stale-generation', message: 'old', remedy: 'rejoin' });
  assert.deepEqual(worker.hear({ kind: 'disconnected', reason: 'the stream ended' }), []);
  assert.equal(worker.state.failures, 1);
});

test('what a refusal means is what its remedy says', () => {
  for (const remedy of ['retry', 'rejoin'] as const) {
    const worker = talk(...joined);
    assert.deepEqual(
      kinds(worker.hear({ kind: 'refused', code: 'silent', message: 'm', remedy })),
      ['reconnect'],
    );
  }
  const worker = talk(...joined);
  const refused = { code: 'other-device-class', message: 'other bits' } as const;
  assert.deepEqual(worker.hear({ kind: 'refused', ...refused, remedy: 'stop' }), [
    { kind: 'end', failure: refused, message: 'other bits' },
  ]);
  assert.equal(worker.state.phase, 'over');
});

test('a run that is done ends the worker without a failure', () => {
  const worker = talk(...joined);
  assert.deepEqual(worker.hear({ kind: 'run-done', message: 'all steps' }), [
    { kind: 'end', failure: null, message: 'all steps' },
  ]);
});

test('a worker that is stopped at once says goodbye where somebody listens', () => {
  const stop = { kind: 'stop-requested', reason: 'Ctrl-C', urgent: true } as const;
  assert.deepEqual(kinds(talk(...joined).hear(stop)), ['send-leave', 'end']);
  assert.deepEqual(kinds(talk().hear(stop)), ['end']);
});

const drain = { kind: 'stop-requested', reason: 'SIGTERM', urgent: false } as const;

test('a worker that drains hands in what is finished, says so, and goes when it is let go', () => {
  const worker = talk(...joined, { kind: 'tasked', task: lease() });
  assert.deepEqual(worker.hear(drain), [{ kind: 'stop-work', reason: 'SIGTERM' }]);
  assert.deepEqual(worker.hear({ kind: 'tasked', task: lease({ attempt: 10 }) }), []);
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task: lease(), nodes }), [
    { kind: 'send-node', task: lease(), node },
    { kind: 'send-leave', reason: 'draining', draining: true },
  ]);
  assert.deepEqual(worker.hear(drain), [], 'once is enough');
  assert.deepEqual(kinds(worker.hear({ kind: 'released' })), ['end']);
});

test('a worker that drains with nothing in hand says so at once; its patience has an end', () => {
  const worker = talk(...joined);
  assert.deepEqual(worker.hear(drain), [{ kind: 'send-leave', reason: 'SIGTERM', draining: true }]);
  assert.deepEqual(kinds(worker.hear({ ...drain, urgent: true })), ['send-leave', 'end']);
  assert.deepEqual(kinds(talk({ kind: 'connected' }).hear(drain)), ['send-leave', 'end']);
});

test('a coordinator that dies lets a draining worker go', () => {
  const worker = talk(...joined, drain);
  assert.deepEqual(kinds(worker.hear({ kind: 'disconnected', reason: 'gone' })), ['end']);
});

test('a lease is shortened, or taken back whole; one that is not its own is left alone', () => {
  const task = lease({ level: 2, index: 1 });
  const shrunk = (attempt: number, end: number) =>
    ({ kind: 'shrunk', generation: 3, attempt, end }) as const;
  const worker = talk(...joined, { kind: 'tasked', task });
  assert.deepEqual(worker.hear(shrunk(8, 6)), []);
  assert.deepEqual(worker.hear(shrunk(9, 6)), [{ kind: 'shorten', end: 6 }]);
  assert.equal(worker.state.phase, 'working');
  assert.deepEqual(kinds(worker.hear(shrunk(9, 4))), ['stop-work']);
  assert.equal(worker.state.phase, 'ready');
  assert.deepEqual(worker.hear({ kind: 'nodes-finished', task, nodes }), [], 'nobody wants it');
});

test('a lease of a step that is committed without it is dropped', () => {
  const worker = talk(...joined, { kind: 'tasked', task: lease() });
  const committed = { kind: 'step-committed', generation: 3, step: 5, weightsHash: 'w6' } as const;
  assert.deepEqual(kinds(worker.hear(committed)), ['stop-work', 'forget']);
  assert.equal(worker.state.phase, 'ready');
});

test('after the end nothing is heard any more', () => {
  const worker = talk(...joined, { kind: 'run-done', message: '' });
  for (const event of [
    ...joined,
    { kind: 'tasked', task: lease() },
    { kind: 'disconnected', reason: '' },
  ] as const)
    assert.deepEqual(worker.hear(event), []);
  assert.equal(worker.state.phase, 'over');
});

test('a proof or an admission that nobody waits for changes nothing', () => {
  const working = talk(...joined, { kind: 'tasked', task: lease() });
  assert.deepEqual(working.hear({ kind: 'proved', stages: [] }), []);
  assert.deepEqual(working.hear({ kind: 'admitted' }), []);
  assert.equal(working.state.phase, 'working');
  const away = talk({ kind: 'connected' }, { kind: 'disconnected', reason: '' });
  assert.deepEqual(away.hear({ kind: 'admitted' }), []);
  assert.equal(away.state.phase, 'away');
});
