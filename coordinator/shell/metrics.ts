/**
 * Figures for Prometheus, read at each scrape from what the coordinator holds anyway.
 *
 * Totals come from the one fold and from the step meter, so a scrape costs no work between scrapes;
 * only the histogram of step times hears each event. Labels are bounded: phases, directions and
 * states are closed lists, and no label holds a worker's or a file's name.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RunEvent } from '../../shared/core/events.ts';
import { Failure } from '../../shared/core/failures.ts';
import {
  goodputParts,
  phaseNames,
  type RunSummary,
  stdRatio,
  sumPhases,
} from '../../shared/core/summary.ts';
import type { Activity } from './run-service.ts';
import type { Direction } from './step-meter.ts';

/** What a scrape looks at. */
export interface MetricsView {
  summary(): RunSummary;
  bytes(): Readonly<Record<Direction, number>>;
  /** Workers by state. */
  workers(): Readonly<Record<Activity, number>>;
  /** Micro-batches of the open step: without a lease, with one. */
  microBatches(): { open: number; leased: number };
  /** Events that NATS has not acknowledged; null without NATS. */
  eventLag(): number | null;
  /** Seconds since 1970. */
  now(): number;
}

export interface Metrics {
  registry: Registry;
  /** Hears every event, for the histogram. */
  event(event: RunEvent): void;
}

/** Causes whose time only grows. */
const lost: readonly string[] = ['waiting', 'again', 'down'];

const seconds = (iso: string | null | undefined): number => (iso ? Date.parse(iso) / 1000 : 0);

/** The figures of one run in a registry of their own. */
export function runMetrics(view: MetricsView): Metrics {
  const registry = new Registry();
  const registers = [registry];

  function gauge(name: string, help: string, value: (summary: RunSummary) => number | null): void {
    const metric: Gauge = new Gauge({
      ...{ name, help, registers },
      collect() {
        const found = value(view.summary());
        if (found === null || !Number.isFinite(found)) this.remove();
        else this.set(found);
      },
    });
    metric.remove();
  }
  function byLabel(name: string, help: string, label: string, values: () => [string, number][]) {
    new Gauge({
      ...{ name, help, registers, labelNames: [label] },
      collect() {
        for (const [key, value] of values()) this.set({ [label]: key }, value);
      },
    });
  }
  /** A total that is kept elsewhere and only grows while this process lives. */
  function total(
    name: string,
    help: string,
    label: string | null,
    values: () => [string, number][],
  ) {
    new Counter({
      ...{ name, help, registers, labelNames: label === null ? [] : [label] },
      collect() {
        this.reset();
        for (const [key, value] of values())
          if (label === null) this.inc(value);
          else this.inc({ [label]: key }, value);
      },
    });
  }

  gauge('tandem_step', 'Steps committed.', (s) => s.step);
  gauge('tandem_steps_planned', 'Steps of the whole schedule.', (s) => s.totalSteps || null);
  gauge('tandem_epoch', 'Epochs finished.', (s) => s.epoch);
  gauge('tandem_loss', 'Loss of the last step.', (s) => s.loss);
  gauge('tandem_std_ratio', 'std times root d: 1 is healthy, 0 is collapsed.', (s) =>
    s.std === null ? null : stdRatio(s.std, s.outputWidth),
  );
  gauge('tandem_knn_accuracy', 'Accuracy of the newest kNN vote, from 0 to 1.', (s) => {
    return s.knnHistory.at(-1)?.accuracy ?? null;
  });
  gauge('tandem_knn_std_ratio', 'std times root d of the features of the newest kNN vote.', (s) => {
    return s.knnHistory.at(-1)?.stdRatio ?? null;
  });
  gauge('tandem_learning_rate', 'Learning rate of the last step.', (s) => s.learningRate);
  gauge('tandem_images_per_second', 'Images a second, smoothed.', (s) => s.imagesPerSecond);
  gauge('tandem_seconds_left', 'Seconds to the last step at this rate.', (s) => s.secondsLeft);
  gauge('tandem_generation', 'Lives of a coordinator on this run folder.', (s) => s.generation);
  gauge('tandem_training', '1 while steps are to be committed.', (s) =>
    s.state === 'training' ? 1 : 0,
  );
  gauge('tandem_last_event_timestamp_seconds', 'Time of the newest event.', (s) =>
    seconds(s.lastAt),
  );
  gauge('tandem_checkpoint_age_seconds', 'Since the newest checkpoint.', (s) =>
    s.checkpoint === null ? null : view.now() - seconds(s.checkpoint.at),
  );
  gauge('tandem_goodput_ratio', 'Part of the whole time that went into new steps.', (s) => {
    return goodputParts(s.goodput)[0]?.share ?? null;
  });
  gauge('tandem_events_unpublished', 'Events that NATS has not acknowledged.', () =>
    view.eventLag(),
  );
  gauge('tandem_micro_batches_open', 'Micro-batches of the open step without a lease.', () => {
    return view.microBatches().open;
  });
  gauge('tandem_micro_batches_leased', 'Micro-batches of the open step with a lease.', () => {
    return view.microBatches().leased;
  });
  byLabel('tandem_workers', 'Workers by state.', 'state', () => Object.entries(view.workers()));
  total('tandem_images_total', 'Images of committed steps.', null, () => {
    const { goodput, batch } = view.summary();
    return [['', goodput.highestStep * batch]];
  });
  total('tandem_phase_seconds_total', 'Wall time of steps by phase.', 'phase', () => {
    const { phasesMs } = view.summary().goodput;
    return phaseNames.map((name) => [name, phasesMs[name] / 1000]);
  });
  total('tandem_lost_seconds_total', 'Time that made no new step, by cause.', 'cause', () => {
    const parts = goodputParts(view.summary().goodput).filter(({ cause }) => lost.includes(cause));
    return parts.map(({ cause, ms }) => [cause, ms / 1000]);
  });
  total('tandem_micro_batches_moved_total', 'Micro-batches given to another worker.', null, () => [
    ['', view.summary().goodput.movedMicroBatches],
  ]);
  total(
    'tandem_micro_batches_audited_total',
    'Micro-batches that two had to agree on.',
    null,
    () => [['', view.summary().audited]],
  );
  total('tandem_convictions_total', 'Workers found to compute wrongly.', null, () => [
    ['', view.summary().convicted],
  ]);
  total('tandem_warnings_total', 'Warnings and refusals in the events.', null, () => [
    ['', view.summary().warningCount],
  ]);
  total('tandem_wire_bytes_total', 'Bytes on the wire.', 'direction', () =>
    Object.entries(view.bytes()),
  );
  const steps = new Histogram({
    name: 'tandem_step_seconds',
    help: 'Wall time of a step, from commit to commit.',
    buckets: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100],
    registers,
  });
  const joins = new Counter({
    ...{ name: 'tandem_worker_joins_total', help: 'Workers that joined.', registers },
  });
  const losses = new Counter({
    ...{ name: 'tandem_worker_losses_total', help: 'Live workers that left.', registers },
  });
  collectDefaultMetrics({ register: registry, prefix: 'tandem_' });
  // Gauges whose names end like a counter's, which `promtool check metrics` refuses.
  for (const what of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`tandem_nodejs_active_${what}_total`);
  return {
    registry,
    event(event) {
      if (event.kind === 'worker-joined') joins.inc();
      if (event.kind === 'worker-left') losses.inc();
      if (event.kind === 'step-committed' && event.phasesMs !== undefined)
        steps.observe(sumPhases(event.phasesMs) / 1000);
    },
  };
}

export interface MetricsServer {
  url: string;
  close(): Promise<void>;
}

/** Serves `/metrics` and nothing else. Rejects with `address-in-use`. */
export async function serveMetrics(
  registry: Registry,
  at: { host: string; port: number },
): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Figures are at /metrics.\n');
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.maxConnections = 64;
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: Error) => {
      const where = `${at.host}:${at.port}`;
      const message = `the metrics cannot listen on ${where}: ${cause.message}. Choose another --metrics`;
      reject(new Failure('address-in-use', message, { cause }));
    });
    server.listen(at.port, at.host, resolve);
  });
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
