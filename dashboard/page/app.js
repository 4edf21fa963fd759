/**
 * The dashboard: the same fold as everywhere, run here on the events as they come.
 *
 * It begins with the server's summary, then folds each event after it. A stream that breaks is
 * opened again by the browser with the last number, so nothing is missed; after a long sleep the
 * server sends a new summary instead of thousands of events.
 */
import {
  emptySummary,
  fold,
  goalOf,
  goodputParts,
  phaseNames,
  shareOf,
  stdRatio,
  sumPhases,
  workerActivity,
} from '../core/summary.js';
import { chart } from './charts.js';
import { bytes, count, duration, figures, fixed, make, percent } from './format.js';
import { eventLog } from './log.js';
import { showTimeline } from './timeline.js';

const $ = (id) => document.getElementById(id);
let summary = emptySummary;
let due = false;
/** Without an event for so long a run that goes on is told to be stalled. */
const stalledSeconds = 30;
/** When the newest event was heard (of the first ones: made), milliseconds since 1970. */
let heardAt = Date.now();

const specs = [
  {
    name: 'Loss',
    kind: 'loss',
    show: (v) => fixed(v, 4),
    points: (s) => history(s, 'loss'),
  },
  {
    name: 'std · √d (1 healthy, 0 collapsed)',
    kind: 'std',
    range: [0, 1.25],
    guide: 1,
    show: (v) => fixed(v, 2),
    points: (s) => s.lossHistory.map((p) => ({ x: p.step, y: stdRatio(p.std, s.outputWidth) })),
  },
  {
    name: 'kNN accuracy',
    kind: 'knn',
    range: [0, 0.5],
    show: (v) => percent(v, 1),
    axis: (v, digits) => percent(v, Math.max(0, digits - 2)),
    points: (s) => s.knnHistory.map((k) => ({ x: k.step, y: k.accuracy, note: measureNote(k) })),
  },
  {
    name: 'Learning rate',
    kind: 'rate',
    range: [0, 0],
    show: figures,
    points: (s) => history(s, 'learningRate'),
  },
  {
    name: 'Images a second',
    kind: 'speed',
    range: [0, 0],
    show: figures,
    points: (s) => history(s, 'imagesPerSecond'),
  },
];
/** How sure a measure is, and the std of its features where it says so. */
const measureNote = ({ standardError, stdRatio: spread }) =>
  ` ± ${fixed(100 * standardError, 1)}${spread === null ? '' : `, std·√d ${fixed(spread, 2)}`}`;
const history = (s, name) => s.lossHistory.map((point) => ({ x: point.step, y: point[name] }));
const charts = specs.map((spec) => ({ spec, ...chart(spec) }));
$('curves').append(...charts.map(({ figure }) => figure));
const log = eventLog($('events'), $('kind'), $('text'), $('count'), () => summary.outputWidth);

function showFigures(s) {
  const goal = goalOf(s);
  const spread = s.secondsLeftSpread >= 1 ? ` ± ${duration(s.secondsLeftSpread)}` : '';
  const rows = [
    ['step', `${count(s.step)} of ${count(goal)}`],
    ['epoch', fixed(s.epoch, 1)],
    ['loss', fixed(s.loss, 4)],
    ['std · √d', s.std === null ? '—' : fixed(stdRatio(s.std, s.outputWidth), 2)],
    ['images a second', figures(s.imagesPerSecond)],
    ['time left', s.secondsLeft === null ? '—' : `${duration(s.secondsLeft)}${spread}`],
    ['workers', count(s.liveWorkers)],
    ['re-leased', count(s.goodput.movedMicroBatches)],
    ...(s.audited > 0 ? [['audited', count(s.audited)]] : []),
    ...(s.convicted > 0 ? [['convicted', count(s.convicted)]] : []),
  ];
  $('figures').replaceChildren(
    ...rows.map(([name, value]) => {
      const pair = make('div');
      pair.append(make('dt', {}, name), make('dd', {}, value));
      return pair;
    }),
  );
  $('progress').value = goal > 0 ? s.step / goal : 0;
}

/** Why it failed, or that nothing is heard of it any more. */
function showAlarm(s) {
  const quiet = (Date.now() - heardAt) / 1000;
  // In tens, so that a screen reader is not told every second.
  const rounded = duration(10 * Math.floor(quiet / 10));
  const alarm =
    s.failure !== null
      ? `${s.failure.message} (${s.failure.code})`
      : s.state === 'training' && quiet > stalledSeconds
        ? `No event for ${rounded}: stalled, or its coordinator is gone.`
        : '';
  if ($('alarm').textContent !== alarm) $('alarm').textContent = alarm;
}

function showHead(s) {
  document.title = `${s.run || 'Tandem'}: ${s.state}, step ${s.step}`;
  $('run').textContent = s.run || 'Tandem';
  $('state').textContent = s.state + (s.generation > 1 ? `, life ${s.generation}` : '');
  $('state').className = `badge ${s.state}`;
  $('method').textContent =
    s.images === 0
      ? ''
      : `${s.model}, ${count(s.images)} images, batch ${s.batch} = ${s.batch / s.microBatch} × ${s.microBatch}` +
        (s.reproducible ? '' : '; not reproducible: device classes are mixed');
  showAlarm(s);
  $('result').textContent =
    s.result === null
      ? s.checkpoint === null
        ? ''
        : `Latest checkpoint: step ${s.checkpoint.step}, ${bytes(s.checkpoint.bytes)}, digest ${s.checkpoint.digest}`
      : `Digest ${s.result.digest}`;
}

function showWorkers(s) {
  const rank = ({ state }) => (state === 'live' ? 0 : state === 'finished' ? 1 : 2);
  const sorted = [...s.workers].sort(
    (a, b) => rank(a) - rank(b) || b.microBatchesPerStep - a.microBatchesPerStep,
  );
  const lines = sorted.slice(0, 100).map((worker) => {
    const activity = workerActivity(worker, s.step);
    const line = make('tr', { 'data-worker': worker.id });
    const name = make('th', { scope: 'row' }, worker.id);
    line.append(
      name,
      make('td', { class: activity, title: worker.leftBecause ?? '' }, activity),
      make('td', {}, percent(shareOf(worker, s.workers))),
      make('td', {}, worker.microBatchMs === null ? '—' : `${figures(worker.microBatchMs)} ms`),
      make('td', {}, worker.bytesPerSecond === null ? '—' : `${bytes(worker.bytesPerSecond)}/s`),
      make('td', {}, count(worker.microBatches)),
      make('td', {}, count(worker.movedMicroBatches)),
      make('td', { class: 'text' }, worker.device.split(', ')[0]),
    );
    return line;
  });
  $('workers').tBodies[0].replaceChildren(...lines);
}

/** A bar of parts and the same as a list. */
function showShares(place, parts) {
  const bar = make('div', { class: 'stack', 'aria-hidden': 'true' });
  const list = make('ul', { class: 'shares' });
  for (const { name, share, text, colour } of parts) {
    const part = make('span', { class: colour });
    part.style.width = `${100 * share}%`;
    bar.append(part);
    const line = make('li');
    const label = make('span');
    label.append(make('i', { class: `key ${colour}` }), name);
    line.append(label, make('span', {}, text));
    list.append(line);
  }
  place.replaceChildren(bar, list);
}

function showTime(s) {
  const parts = goodputParts(s.goodput).map((part) => ({
    ...part,
    colour: `g-${part.cause}`,
    text: `${percent(part.share, 1)}, ${duration(part.ms / 1000)}`,
  }));
  showShares($('goodput'), parts);
  const phases = s.phasesMs;
  if (phases === null) {
    $('phases').replaceChildren(make('p', { class: 'note' }, 'The last step does not say.'));
    return;
  }
  const total = sumPhases(phases) || 1;
  const named = phaseNames.map((name) => ({
    name,
    colour: `p-${name}`,
    share: phases[name] / total,
    text: `${figures(phases[name])} ms`,
  }));
  showShares($('phases'), named);
}

function show() {
  due = false;
  showHead(summary);
  showFigures(summary);
  for (const { spec, show: draw } of charts) draw(spec.points(summary), goalOf(summary));
  showWorkers(summary);
  showTimeline($('timeline'), summary);
  showTime(summary);
}

const soon = () => {
  if (due) return;
  due = true;
  setTimeout(() => requestAnimationFrame(show), 150);
  // A page in the background gets no frames: it is drawn when it is looked at again.
};
document.addEventListener('visibilitychange', () => document.hidden || show());

function told(word, lost = false) {
  $('link').textContent = word;
  $('link').className = lost ? 'badge lost' : 'badge quiet';
}

function listen() {
  const stream = new EventSource(`api/events?since=${summary.seq}`);
  stream.addEventListener('summary', (message) => {
    summary = JSON.parse(message.data);
    heardAt = Math.min(Date.now(), Date.parse(summary.lastAt ?? '') || Date.now());
    log.add(summary.recent);
    soon();
  });
  stream.addEventListener('run', (message) => {
    const event = JSON.parse(message.data);
    if (event.seq <= summary.seq) return;
    summary = fold(summary, event);
    heardAt = Date.now();
    log.add([event]);
    soon();
  });
  stream.addEventListener('end', () => {
    stream.close();
    told('the run’s events have ended');
  });
  stream.addEventListener('open', () => told('live'));
  stream.addEventListener('error', () => {
    if (stream.readyState !== EventSource.CLOSED) return told('reconnecting', true);
    // Refused (a restart, a new login): the browser gives up, we do not.
    told('reconnecting', true);
    setTimeout(listen, 3000);
  });
}

$('filter').addEventListener('submit', (event) => event.preventDefault());
$('earlier').addEventListener('click', async () => {
  const answer = await fetch(`api/log?before=${loadedFrom}`);
  if (!answer.ok) return;
  const events = await answer.json();
  log.add(events);
  loadedFrom = events[0]?.seq ?? 1;
  if (loadedFrom <= 1) $('earlier').disabled = true;
});

const answer = await fetch('api/summary');
if (answer.ok) summary = await answer.json();
heardAt = Math.min(heardAt, Date.parse(summary.lastAt ?? '') || heardAt);
setInterval(() => showAlarm(summary), 5000);
let loadedFrom = summary.seq + 1;
log.add(summary.recent);
show();
listen();
