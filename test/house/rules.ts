/**
 * The rules of the house as tables: words with what to say instead, and the lengths of files.
 *
 * A word is searched in code without its comments and strings. A file in `longFiles` is long for a
 * reason of its own (a table, a list of cases); whoever adds one has thought of splitting it first.
 */
export type WordRule = readonly [word: RegExp, instead: string, except?: readonly string[]];

/** Words that our own names don't use, what to say instead, and files that quote someone's own. */
export const banned: readonly WordRule[] = [
  [/\b\w*(?:master|slave)\w*\b/i, 'coordinator, worker'],
  [/\b\w*iterations?\b/i, 'step'],
  [/\blr\b/, 'learningRate', ['test/shared/core/update.test.ts']],
  [/\bbatchSize\b/, 'batch (global) or microBatch'],
  [/\benum\s+\w/, 'a union of string literals'],
  [/\bexport\s+default\b/, 'a named export'],
  [/(?::|<|\bas)\s*any\b/, 'unknown, and a check'],
];
/** What a pure room must be given instead of reaching for it. */
export const touching: readonly WordRule[] = [
  [/\*\*/, 'products, or shared/core/exact.ts'],
  [
    /\bMath\.(?:a?(?:cos|sin|tan)h?|atan2|cbrt|exp|expm1|hypot|log\w*|pow)\b/,
    'shared/core/exact.ts',
  ],
  [/\bMath\.random\b|\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b/, 'a value that is handed in'],
  [
    /\b(?:console|process|setTimeout|setInterval|setImmediate|Buffer|fetch)\b/,
    'an effect, or a port',
  ],
];

/** Lines that a file should stay under, and the ones that are longer for a reason of their own. */
export const guideLines = { source: 200, test: 400, longest: 600 };
export const longFiles: readonly string[] = [
  'cli/main.ts',
  'cli/setup/backend.mjs',
  'cli/setup/libtensorflow.mjs',
  'cli/setup/run.mjs',
  'cli/setup/wheels.mjs',
  'coordinator/core/advance.ts',
  'coordinator/core/results.ts',
  'coordinator/core/leases.ts',
  'coordinator/core/state.ts',
  'coordinator/main.ts',
  'coordinator/shell/checkpoints.ts',
  'coordinator/shell/metrics.ts',
  'coordinator/shell/reducer.ts',
  'coordinator/shell/run-loop.ts',
  'coordinator/shell/training-service.ts',
  'shared/adapters/folder-dataset.ts',
  'shared/adapters/nats-publisher.ts',
  'dashboard/page/app.js',
  'dashboard/server.ts',
  'shared/core/config.ts',
  'shared/core/loss-plot.ts',
  'shared/core/option-table.ts',
  'shared/core/painting.ts',
  'shared/core/summary.ts',
  'shared/core/synthetic-flower.ts',
  'test/cli/bad-input.test.ts',
  'test/cli/setup.test.ts',
  'test/cli/verify.test.ts',
  'test/coordinator/core/advance.test.ts',
  'test/e2e/security.test.ts',
  'test/shared/adapters/archive-dataset.test.ts',
  'worker/compute/compiled/kernels-plain.ts',
  'worker/compute/compiled/recorder.ts',
  'worker/compute/wasm-kernels.ts',
  'worker/shell/session.ts',
];
