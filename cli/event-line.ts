/**
 * An event as a line of `watch`: its time, then what happened.
 */
import { eventText } from '../shared/core/event-text.ts';
import type { RunEvent } from '../shared/core/events.ts';
import { printable } from '../shared/core/format.ts';

export { eventText, shortDevice } from '../shared/core/event-text.ts';

/** `12:03:55  step 17   what happened`. Times are UTC, as in the file. */
export function eventLine(event: RunEvent, outputWidth = 0): string {
  const time = printable(String(event.time)).slice(11, 19);
  return `${time}  ${eventText(event, outputWidth)}`;
}
