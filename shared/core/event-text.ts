/**
 * An event as one sentence: for the terminal, for `watch` as lines, for the dashboard's log.
 *
 * Text of peers and files is made printable; how it is shown is the view's business.
 */
import type { RunEvent } from './events.ts';
import { bytes, count, epoch, percent, plural, printable, rate, signed } from './format.ts';
import { stdRatio } from './summary.ts';

/** What happened, without time and step. `outputWidth` 0: std is shown as it is. */
export function eventText(event: RunEvent, outputWidth = 0): string {
  try {
    return printable(text(event, outputWidth)).replaceAll('\n', ' ');
  } catch {
    // A field is missing: of another version of Tandem, or a damaged line of a file.
    return printable(String(event.kind));
  }
}

/** What computes, without the versions and threads that follow it. */
export function shortDevice(device: string): string {
  return device.split(', ')[0] ?? device;
}

function text(event: RunEvent, outputWidth: number): string {
  switch (event.kind) {
    case 'run-opened': {
      const { model, images, batch, microBatch, totalSteps, stopAt, generation } = event;
      const until = stopAt === null || stopAt >= totalSteps ? '' : `, stopping at ${stopAt}`;
      const life = generation > 1 ? ` (generation ${generation})` : '';
      return (
        `run ${event.run} opened${life}: ${model}, ${plural(images, 'image')}, batch ${batch} = ` +
        `${batch / microBatch} × ${microBatch}, ${plural(totalSteps, 'step')}${until}`
      );
    }
    case 'worker-joined':
      return `${event.worker} joined: ${shortDevice(event.device)}, pid ${event.pid} on ${event.host}`;
    case 'worker-left':
      return `${event.worker} left: ${event.because}`;
    case 'worker-refused':
      return `${event.worker} refused: ${event.message} (${event.code})`;
    case 'lease-moved': {
      const { first, count: n, from } = event;
      const which = n === 1 ? `micro-batch ${first}` : `micro-batches ${first} to ${first + n - 1}`;
      return `${which} taken from ${from}: ${event.because}`;
    }
    case 'worker-convicted':
      return `${event.worker} computed micro-batch ${event.leaf} wrongly and takes no part any more`;
    case 'branch-set-aside': {
      const { first, count: n, file, worker } = event;
      return `${plural(n, 'record')} from step ${first} on were ${worker}'s: moved to ${file}`;
    }
    case 'sample-undecodable':
      return `${event.path} cannot be decoded by any worker; it counts as mid-gray`;
    case 'step-committed': {
      const spread =
        outputWidth > 0
          ? `std·√d ${signed(stdRatio(event.std, outputWidth), 2)}`
          : `std ${signed(event.std)}`;
      return (
        `step ${event.step}  epoch ${epoch(event.epoch)}  loss ${signed(event.loss)}  ${spread}  ` +
        `${rate(event.imagesPerSecond)} img/s  ${plural(event.workers, 'worker')}`
      );
    }
    case 'checkpoint-saved':
      return `checkpoint ${event.checkpoint} (${bytes(event.bytes)}), ${event.digest.slice(0, 12)}`;
    case 'rewound':
      return `rewound from step ${event.from} to ${event.to} (${event.source}): ${event.because}`;
    case 'knn-measured': {
      const { accuracy, standardError, queries, references, step, stdRatio: spread } = event;
      return (
        `kNN accuracy at step ${step}: ${percent(accuracy)} ± ${(100 * standardError).toFixed(1)} ` +
        `(${count(queries)} queries among ${count(references)})` +
        (spread === undefined ? '' : `, std·√d of the features ${signed(spread, 2)}`)
      );
    }
    case 'warning':
      return `warning: ${event.message} (${event.code})`;
    case 'run-failed':
      return `run failed: ${event.message} (${event.code})`;
    case 'run-done':
      return event.stopped
        ? `stopped at step ${event.step}; it can be resumed`
        : `done at step ${event.step}, digest ${event.digest}`;
    default:
      // An event of a later version of Tandem.
      return (event as RunEvent).kind;
  }
}
