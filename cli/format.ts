/**
 * Numbers and texts as people read them: those of `shared/core`, which the dashboard shows too.
 */
export * from '../shared/core/format.ts';
