/**
 * The rooms of the house, in one place: what each may import of ours and which packages it may
 * touch (`node` stands for all of `node:*`).
 *
 * The house test holds that this table, the real imports and the table in ARCHITECTURE.md say the
 * same. A new edge is a decision: write it here, in ARCHITECTURE.md, in the room's tsconfig.json
 * and, if it is a package, in .oxlintrc.json and an ADR.
 */
export interface Room {
  /** Folder; the longest that fits a file is its room. */
  name: string;
  /** Pure: no clock, no dice, no socket, no disk, no package. */
  pure: boolean;
  /** Rooms it imports. `tests` import whatever they test. */
  imports: readonly string[];
  packages: readonly string[];
}

const room = (name: string, imports: readonly string[], packages: readonly string[]): Room => ({
  name,
  pure: false,
  imports,
  packages,
});
const pure = (name: string, imports: readonly string[]): Room => ({
  name,
  pure: true,
  imports,
  packages: [],
});

const tensorflow = [
  '@tensorflow/tfjs',
  '@tensorflow/tfjs-backend-wasm',
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-node-gpu',
];

export const rooms: readonly Room[] = [
  pure('shared/core', []),
  pure('shared/ports', ['shared/core']),
  pure('shared/wire', ['shared/core']),
  room(
    'shared/adapters',
    ['shared/core', 'shared/ports', 'shared/wire'],
    ['@grpc/grpc-js', '@grpc/proto-loader', 'grpc-health-check', 'nats', 'node', 'sharp'],
  ),
  pure('report', ['shared/core']),
  room('dashboard', ['shared/core'], ['node']),
  pure('coordinator/core', ['shared/core']),
  room(
    'coordinator',
    [
      'coordinator/core',
      'dashboard',
      'shared/adapters',
      'shared/core',
      'shared/ports',
      'shared/wire',
    ],
    ['@grpc/grpc-js', '@grpc/reflection', 'grpc-health-check', 'node', 'prom-client', 'yaml'],
  ),
  pure('worker/core', ['shared/core']),
  room('worker/compute', ['shared/core', 'shared/ports'], ['node', 'protobufjs', ...tensorflow]),
  room(
    'worker',
    [
      'shared/adapters',
      'shared/core',
      'shared/ports',
      'shared/wire',
      'worker/compute',
      'worker/core',
    ],
    ['@grpc/grpc-js', 'node', 'sharp'],
  ),
  room(
    'cli',
    [
      'cli/setup',
      'coordinator',
      'dashboard',
      'report',
      'shared/adapters',
      'shared/core',
      'shared/ports',
      'shared/wire',
      'worker',
      'worker/compute',
    ],
    ['commander', 'nats', 'node', 'pino', 'sharp', 'yaml'],
  ),
  room('cli/setup', [], ['node']),
];

/** The room of a file by its path from the root; `test` for tests. */
export function roomOf(path: string): string {
  if (path.startsWith('test/')) return 'test';
  const found = rooms
    .filter(({ name }) => path.startsWith(`${name}/`))
    .sort((a, b) => b.name.length - a.name.length)[0];
  if (found === undefined) throw new Error(`${path} lies in no room of test/house/rooms.ts`);
  return found.name;
}
