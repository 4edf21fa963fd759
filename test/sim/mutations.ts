/**
 * Known bugs, to be put back one at a time: texts of compiled files and what stands in their place.
 * The simulator must find every one of them; a text that does not stand exactly once in its file
 * (the code around it has changed) is an error that names the mutation.
 */
export interface Mutation {
  name: string;
  /** A seed that found it: tried first. */
  likely: number;
  edits: readonly Edit[];
}

export interface Edit {
  /** Compiled file, below dist/. */
  file: string;
  from: string;
  to: string;
}

const mutation = (
  name: string,
  likely: number,
  ...edits: [file: string, from: string, to: string][]
): Mutation => ({
  name,
  likely,
  edits: edits.map(([file, from, to]) => ({ file: `${file}.js`, from, to })),
});

export const mutations: readonly Mutation[] = [
  mutation(
    'a dead worker’s leaf stays leased for ever',
    53,
    ['coordinator/core/membership', 'delete state.workers[id];', "worker.phase = 'joining';"],
    ['coordinator/core/leases', 'if (worker)\n        worker.lease = null;', ''],
  ),
  mutation('a late duplicate is added twice', 3, [
    'coordinator/core/results',
    'finishedLeaves(state).slice(first, end).includes(true)',
    'Number.isNaN(first)',
  ]),
  mutation('a gradient of an old generation is accepted', 30, [
    'coordinator/core/results',
    'event.generation !== state.plan.generation || event.step',
    'event.step',
  ]),
  mutation('a rejoining worker keeps stale weights', 1, [
    'worker/shell/session',
    'if (run.loaded.weights === hash && same)',
    "if (run.loaded.weights !== '')",
  ]),
  mutation('a worker starts on weights that were not announced', 31, [
    'worker/shell/session',
    'if (sent?.weights !== hash) {',
    'if (sent === null) {',
  ]),
  mutation('the last worker’s leaving resets the run', 22, [
    'coordinator/core/membership',
    'because.push(`lost ${id}: ${reason}`);',
    'if (Object.keys(state.workers).length === 0) state.step = 0;',
  ]),
  mutation('a commit is acknowledged before it is durable', 1, [
    'coordinator/shell/jsonl-file',
    'await handle.datasync();',
    'await Promise.resolve();',
  ]),
  mutation('a commit is announced while it is being written', 1, [
    'coordinator/shell/commit',
    'await ledger.commit(sealed);',
    'void ledger.commit(sealed);',
  ]),
  mutation('gradients are summed in the order of their arrival', 1, [
    'coordinator/core/summing',
    '.sort((a, b) => (a.leaves[0]?.leaf ?? 0) - (b.leaves[0]?.leaf ?? 0))',
    '',
  ]),
  mutation(
    'one leaf leased to two is counted twice',
    1,
    [
      'coordinator/core/leases',
      'if (lease !== null && !lease.overdue && !lease.check)',
      'if (false)',
    ],
    [
      'coordinator/core/results',
      'finishedLeaves(state).slice(first, end).includes(true)',
      'state.finished.some((f) => f.worker === done.worker && f.leaves[0].leaf === first)',
    ],
    ['coordinator/core/results', 'trimLeases(state, effects);', ''],
  ),
  // What the simulator itself has found.
  mutation('a commit is announced after another coordinator took over', 92, [
    'coordinator/shell/commit',
    '// will hold this record.\n    await checkFence(folder, plan.generation);',
    '',
  ]),
  mutation('the run folder’s own name is not durable', 22, [
    'shared/adapters/durable',
    'await mkdir(path);\n        await syncFolder(dirname(path));',
    'await mkdir(path);',
  ]),
  mutation('an overtaken coordinator finds out only when it commits', 472, [
    'coordinator/shell/run-loop',
    "if (event.kind === 'tick' || event.kind === 'worker-connected')",
    "if (event.kind === 'tock')",
  ]),
  mutation('a drained worker waits for a step that nobody ends', 111, [
    'worker/shell/session',
    'leave(message.drain.reason);',
    "dispatch({ kind: 'stop-requested', reason: message.drain.reason, urgent: false });",
  ]),
  mutation('a lie that was committed stays', 93, [
    'coordinator/shell/review',
    'if (found === null)',
    'if (found !== undefined)',
  ]),
  mutation('whoever is convicted has an audited past', 93, [
    'coordinator/shell/review',
    '(audit ?? 0) < 1',
    '(audit ?? 0) < 0.4',
  ]),
];
