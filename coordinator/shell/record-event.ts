/**
 * The one way in which an event comes into the world: in the file first, then to everyone.
 */
import type { EventBody } from '../../shared/core/events.ts';
import { fold } from '../../shared/core/summary.ts';
import type { RunContext } from './run-context.ts';

/** `step`: steps committed, by default those of the model now. */
export async function recordEvent(
  context: RunContext,
  body: EventBody,
  because: string,
  step: number = context.model.step,
): Promise<void> {
  const event = await context.events.append(body, step, because);
  context.picture.see(event);
  context.summary = fold(context.summary, event);
}
