/**
 * What a broken control stream says where it was no accident: the coordinator does not know us, or
 * the two do not trust each other's certificates. Trying again at once would not help.
 */
import * as grpc from '@grpc/grpc-js';
import { isHandshakeFault, noTrust } from '../../shared/adapters/handshake.ts';
import type { FailureCode } from '../../shared/core/failures.ts';
import type { ConversationEvent } from '../core/conversation-types.ts';

/** What gRPC says where the other side hung up before its first word. */
const hungUp = /Failed to connect/;
/** So often in a row that is no accident; half a minute. */
const hungUpMax = 20;

/**
 * The refusal in a stream's error, or null. A worker that was welcome here before comes back: its
 * certificate or the coordinator's may be renewed at this moment. `failures`: attempts before.
 */
export function turnedAwayBy(
  error: grpc.ServiceError,
  welcomeBefore: boolean,
  failures: number,
): Extract<ConversationEvent, { kind: 'refused' }> | null {
  const refused = (code: FailureCode, message: string) =>
    ({ kind: 'refused', code, message, remedy: 'stop' }) as const;
  const { code, details } = error;
  if (code === grpc.status.UNAUTHENTICATED) return refused('unauthenticated', details);
  if (code === grpc.status.PERMISSION_DENIED) return refused('forbidden', details);
  if (code !== grpc.status.UNAVAILABLE || welcomeBefore) return null;
  const dropped = hungUp.test(details) && failures >= hungUpMax;
  if (!isHandshakeFault(error) && !dropped) return null;
  const told = dropped ? 'it hangs up before its first word' : details;
  return refused('untrusted', noTrust('this worker', told));
}
