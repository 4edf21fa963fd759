/**
 * The events of a run from wherever they can be had: its folder, its coordinator, or NATS.
 *
 * All three give the same sequence. The folder's `events.jsonl` is the truth; a coordinator serves
 * that file; NATS is a live wire that may skip, refilled from one of the others when it is known.
 */
import type { NatsTarget } from '../shared/adapters/nats-connection.ts';
import type { ClientSecurity } from '../shared/adapters/dial.ts';
import { runClient } from '../shared/adapters/run-client.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { Failure } from '../shared/core/failures.ts';
import { type FollowFolderOptions, followFolder } from './follow-folder.ts';
import { type FollowNatsOptions, followNats } from './follow-nats.ts';
import { coordinatorOf } from './run-folder.ts';

export interface FollowOptions extends FollowFolderOptions {
  /** A run folder; with `nats` its name chooses the run. */
  run?: string | undefined;
  /** HOST:PORT of a coordinator. */
  coordinator?: string | undefined;
  /** What it is shown, and whom we trust. */
  security?: ClientSecurity | undefined;
  nats?: NatsTarget | undefined;
  /** Events [first, last] were missed on NATS and could not be refilled. */
  onGap?: (first: number, last: number) => void;
}

/** Follows a run; ends with the run, with the signal, or where nothing more can come. */
export function followEvents(options: FollowOptions): AsyncIterable<RunEvent> {
  const { run, coordinator, nats, since, signal } = options;
  if (nats !== undefined) return followNats(nats, { ...options, refill: refillOf(options) });
  if (coordinator !== undefined)
    return followCoordinator(coordinator, options.security, since, signal);
  if (run !== undefined) return followFolder(run, options);
  throw new Failure('bad-option', 'say which run: a run folder, --coordinator or --nats.');
}

async function* followCoordinator(
  address: string,
  security: ClientSecurity | undefined,
  since: number,
  signal: AbortSignal,
): AsyncIterable<RunEvent> {
  let last = since;
  for await (const event of runClient(address, security).watch(since, signal)) {
    if (event.seq <= last) continue;
    last = event.seq;
    // The stream ends with the run; an end in its past may have been followed by a resume.
    yield event;
  }
}

/** Where missed events are to be had: the named coordinator, that of the folder, or its file. */
function refillOf({ run, coordinator, security }: FollowOptions): FollowNatsOptions['refill'] {
  if (run === undefined && coordinator === undefined) return undefined;
  return (after, signal) => {
    const address = coordinator ?? (run === undefined ? null : coordinatorOf(run)?.address);
    if (address) return followCoordinator(address, security, after, signal);
    return followFolder(run ?? '', { since: after, signal });
  };
}
