/** The event log: bounded, filtered by kind and text, older events on request. */
import { eventText } from '../core/event-text.js';
import { isAlarming } from '../core/events.js';
import { make } from './format.js';

const keptMax = 5000;
const shownMax = 400;
/** `outputWidth()` is d, for std·√d. */
export function eventLog(table, kind, text, status, outputWidth) {
  const events = new Map();
  const kinds = new Set();
  let due = false;

  function row(event) {
    const told = eventText(event, outputWidth());
    const what = make('td', { class: 'text' }, told);
    // Some sentences hold their reason already.
    if (event.because && !told.includes(event.because))
      what.append(' ', make('small', {}, event.because));
    const line = make('tr', isAlarming(event) ? { class: 'alarming' } : {});
    line.append(
      make('td', { class: 'n' }, event.seq),
      make('td', { class: 'n' }, String(event.time).slice(11, 23)),
      make('td', { class: 'n' }, event.step),
      make('td', { class: 'n' }, event.kind),
      what,
    );
    return line;
  }

  function show() {
    due = false;
    const wanted = text.value.toLowerCase();
    const fits = (event) =>
      (kind.value === '*' ||
        (kind.value === '' ? event.kind !== 'step-committed' : event.kind === kind.value)) &&
      (wanted === '' || JSON.stringify(event).toLowerCase().includes(wanted));
    const found = [...events.values()].filter(fits).sort((a, b) => b.seq - a.seq);
    table.tBodies[0].replaceChildren(...found.slice(0, shownMax).map(row));
    const more = found.length > shownMax ? `, the latest ${shownMax} shown` : '';
    status.textContent = `${found.length} of ${events.size} events here${more}`;
  }

  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(show, 200);
  };
  kind.addEventListener('change', show);
  text.addEventListener('input', show);

  return {
    add(more) {
      for (const event of more) {
        events.set(event.seq, event);
        if (kinds.has(event.kind)) continue;
        kinds.add(event.kind);
        kind.append(make('option', { value: event.kind }, event.kind));
      }
      if (events.size > keptMax) {
        const first = [...events.keys()].sort((a, b) => a - b).slice(0, events.size - keptMax);
        for (const seq of first) events.delete(seq);
      }
      soon();
    },
  };
}
