/**
 * Known bugs, to be put back one at a time: each is one text of one compiled file and what stands
 * in its place. The simulator (or the named test) must find every one of them.
 */
export interface Mutation {
  name: string;
  /** Compiled file, below dist/. */
  file: string;
  /** Stands there exactly once. */
  from: string;
  to: string;
  /** A compiled test file that must fail, where the simulator is not asked. */
  test?: string;
}

export const mutations: readonly Mutation[] = [];
