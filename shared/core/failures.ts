/**
 * Every failure that a person or a peer can meet: one table of code, what the peer should do, how
 * the process exits, and the gRPC status that carries it.
 *
 * A `Failure` says what was expected, what was found and what to do. It is thrown at the edges and
 * is a plain value inside the cores.
 */

/** What the other side of a conversation should do. */
export type Remedy = 'retry' | 'rejoin' | 'stop';

interface FailureKind {
  remedy: Remedy;
  /** sysexits(3). */
  exit: number;
  /** Name in grpc.status. */
  status:
    | 'INVALID_ARGUMENT'
    | 'FAILED_PRECONDITION'
    | 'ABORTED'
    | 'UNAVAILABLE'
    | 'INTERNAL'
    | 'DATA_LOSS'
    | 'NOT_FOUND'
    | 'RESOURCE_EXHAUSTED'
    | 'PERMISSION_DENIED'
    | 'UNAUTHENTICATED'
    | 'DEADLINE_EXCEEDED';
}

export const failures = {
  // The command line and the run file.
  'bad-option': { remedy: 'stop', exit: 64, status: 'INVALID_ARGUMENT' },
  'bad-config': { remedy: 'stop', exit: 78, status: 'INVALID_ARGUMENT' },
  // Data.
  'data-missing': { remedy: 'stop', exit: 66, status: 'NOT_FOUND' },
  'data-empty': { remedy: 'stop', exit: 66, status: 'FAILED_PRECONDITION' },
  'data-damaged': { remedy: 'stop', exit: 65, status: 'DATA_LOSS' },
  'download-failed': { remedy: 'retry', exit: 69, status: 'UNAVAILABLE' },
  'data-unlabelled': { remedy: 'stop', exit: 65, status: 'FAILED_PRECONDITION' },
  'data-changed': { remedy: 'stop', exit: 65, status: 'FAILED_PRECONDITION' },
  'sample-undecodable': { remedy: 'retry', exit: 65, status: 'DATA_LOSS' },
  'sample-unavailable': { remedy: 'retry', exit: 66, status: 'NOT_FOUND' },
  // The run folder.
  'run-missing': { remedy: 'stop', exit: 66, status: 'NOT_FOUND' },
  'other-method': { remedy: 'stop', exit: 78, status: 'FAILED_PRECONDITION' },
  'ledger-damaged': { remedy: 'stop', exit: 65, status: 'DATA_LOSS' },
  'checkpoint-damaged': { remedy: 'stop', exit: 65, status: 'DATA_LOSS' },
  'bad-weights': { remedy: 'stop', exit: 65, status: 'DATA_LOSS' },
  'not-verified': { remedy: 'stop', exit: 65, status: 'DATA_LOSS' },
  'not-deterministic': { remedy: 'stop', exit: 70, status: 'INTERNAL' },
  fenced: { remedy: 'stop', exit: 75, status: 'ABORTED' },
  disk: { remedy: 'retry', exit: 74, status: 'RESOURCE_EXHAUSTED' },
  // The network.
  'address-in-use': { remedy: 'stop', exit: 69, status: 'UNAVAILABLE' },
  'insecure-listen': { remedy: 'stop', exit: 78, status: 'PERMISSION_DENIED' },
  'bad-certificate': { remedy: 'stop', exit: 78, status: 'INVALID_ARGUMENT' },
  untrusted: { remedy: 'stop', exit: 77, status: 'UNAUTHENTICATED' },
  unauthenticated: { remedy: 'stop', exit: 77, status: 'UNAUTHENTICATED' },
  forbidden: { remedy: 'stop', exit: 77, status: 'PERMISSION_DENIED' },
  'name-taken': { remedy: 'rejoin', exit: 75, status: 'ABORTED' },
  'coordinator-unreachable': { remedy: 'retry', exit: 69, status: 'UNAVAILABLE' },
  'worker-missing': { remedy: 'stop', exit: 68, status: 'NOT_FOUND' },
  'other-proto': { remedy: 'stop', exit: 76, status: 'FAILED_PRECONDITION' },
  'other-identity': { remedy: 'retry', exit: 76, status: 'FAILED_PRECONDITION' },
  'other-device-class': { remedy: 'stop', exit: 76, status: 'FAILED_PRECONDITION' },
  'other-graph': { remedy: 'stop', exit: 76, status: 'FAILED_PRECONDITION' },
  'stale-generation': { remedy: 'rejoin', exit: 75, status: 'ABORTED' },
  'bad-message': { remedy: 'stop', exit: 76, status: 'INVALID_ARGUMENT' },
  'bad-gradient': { remedy: 'stop', exit: 76, status: 'INVALID_ARGUMENT' },
  quarantined: { remedy: 'stop', exit: 76, status: 'PERMISSION_DENIED' },
  full: { remedy: 'retry', exit: 75, status: 'RESOURCE_EXHAUSTED' },
  silent: { remedy: 'rejoin', exit: 75, status: 'DEADLINE_EXCEEDED' },
  // Compute.
  'backend-missing': { remedy: 'stop', exit: 69, status: 'UNAVAILABLE' },
  'gpu-missing': { remedy: 'stop', exit: 69, status: 'UNAVAILABLE' },
  diverged: { remedy: 'stop', exit: 70, status: 'INTERNAL' },
  'compute-failed': { remedy: 'rejoin', exit: 70, status: 'INTERNAL' },
  'too-many-restarts': { remedy: 'stop', exit: 70, status: 'UNAVAILABLE' },
  interrupted: { remedy: 'stop', exit: 130, status: 'ABORTED' },
  internal: { remedy: 'stop', exit: 70, status: 'INTERNAL' },
} as const satisfies Record<string, FailureKind>;

export type FailureCode = keyof typeof failures;

/** An error with a code of the table; its message stands alone, without a stack. */
export class Failure extends Error {
  readonly code: FailureCode;
  constructor(code: FailureCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }
}

/** The system's codes of a disk that is full, read-only or broken, and of one that is not ours. */
const diskCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO'];
const permissionCodes: readonly unknown[] = ['EACCES', 'EPERM'];

/** The failure in an unknown error; the disk's own are `disk`, anything else is `internal`. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  const advice = diskCodes.includes(code)
    ? 'Free space or check the disk, then resume the run'
    : permissionCodes.includes(code)
      ? 'Give this user permission, or name another place'
      : null;
  if (advice !== null) return new Failure('disk', `${message}. ${advice}`, { cause: error });
  return new Failure('internal', message, { cause: error });
}
