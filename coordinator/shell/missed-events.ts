/**
 * The first events of a life: what the file lacks of the life before, then that the run is open.
 *
 * A commit whose event is missing (the process died between the two) gets its event first, so
 * that whoever watches sees every step.
 */
import type { EventBody } from '../../shared/core/events.ts';
import { committedEvent } from './commit.ts';
import { recordEvent } from './record-event.ts';
import type { Found } from './recovery.ts';
import type { RunContext } from './run-context.ts';

export async function openMissedEvents(
  context: RunContext,
  recovered: Found,
  opened: EventBody,
): Promise<void> {
  const { events, ledger } = context;
  const append = (body: EventBody, step: number, because: string) =>
    recordEvent(context, body, because, step);
  const committed = ledger?.length ?? 0;
  const told = events.lastOf('step-committed');
  for (let step = told?.step ?? 0; step < committed; step += 1) {
    const hashes = ledger?.at(step);
    if (hashes === undefined) break;
    const body = committedEvent(context, { step, ...hashes }, null);
    await append(
      body,
      step + 1,
      'the ledger has this step and the events of an earlier life do not',
    );
  }
  const { step, source, warnings } = recovered;
  await append(opened, step, step === 0 ? 'a run begins' : `it goes on from ${source}`);
  for (const { code, message } of warnings)
    await append({ kind: 'warning', code, message }, step, 'found while recovering');
  if (step < committed)
    await append(
      { kind: 'rewound', from: committed, to: step, source },
      step,
      'the newest state whose hashes hold is older than the ledger: these steps are computed again',
    );
}
