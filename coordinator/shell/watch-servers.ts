/**
 * The servers for those who only look: the dashboard and the metrics, each where it is asked for.
 */
import { type DashboardOptions, serveDashboard } from '../../dashboard/server.ts';
import { readToken } from '../../shared/adapters/token-file.ts';
import { type Config, isLoopback, parseAddress } from '../../shared/core/config.ts';
import { Failure } from '../../shared/core/failures.ts';
import type { State } from '../core/state.ts';
import type { Door } from './door.ts';
import { type Metrics, runMetrics, serveMetrics } from './metrics.ts';
import type { RunContext } from './run-context.ts';
import { activityOf } from './run-service.ts';

export interface WatchServers {
  close(): Promise<void>;
}

/** Starts what the options ask for; `announce` gets a line that people need. */
export async function openWatchServers(
  context: RunContext,
  state: () => State,
  announce: (line: string) => void,
): Promise<WatchServers> {
  const { config, events } = context;
  const over = new AbortController();
  const servers: WatchServers[] = [];
  const page = parseAddress(config.dashboard ?? '');
  if (page !== null) {
    const path = config.dashboardTokenFile;
    const dashboard = await serveDashboard({
      listen: page,
      token: path === null ? null : readToken('dashboard-token-file', path),
      secure: secureOf(context.door.certificates),
      source: { summary: () => context.summary, after: (seq, signal) => events.after(seq, signal) },
    });
    servers.push(dashboard);
    announce(`dashboard: ${dashboard.url}`);
  }
  const figures = metricsAddress(config);
  if (figures !== null) {
    const metrics = metricsOf(context, state);
    const server = await serveMetrics(metrics.registry, figures);
    servers.push(server);
    announce(`metrics: ${server.url}`);
    void hear(context, metrics, over.signal);
  }
  return {
    async close() {
      over.abort();
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

/** What the dashboard takes of the coordinator's certificates; browsers show none of their own. */
function secureOf(certificates: Door['certificates']): DashboardOptions['secure'] {
  if (certificates === null) return null;
  const { cert, key } = certificates.current;
  if (cert === null || key === null) return null;
  return {
    cert,
    key,
    onChange: (listener) =>
      certificates.onChange(
        (now) => now.cert && now.key && listener({ cert: now.cert, key: now.key }),
      ),
  };
}

function metricsAddress(config: Config): { host: string; port: number } | null {
  const at = parseAddress(config.metrics ?? '');
  if (at === null || isLoopback(at.host) || config.insecure || config.tlsCert !== null) return at;
  throw new Failure(
    'insecure-listen',
    `--metrics ${config.metrics} can be read from other machines, without a password: listen on ` +
      '127.0.0.1, or add --insecure on a network that you trust.',
  );
}

async function hear(context: RunContext, metrics: Metrics, signal: AbortSignal): Promise<void> {
  for await (const event of context.events.after(context.events.seq, signal)) metrics.event(event);
}

function metricsOf(context: RunContext, state: () => State): Metrics {
  return runMetrics({
    summary: () => context.summary,
    bytes: () => context.meter.totals,
    workers() {
      const counts = { joining: 0, idle: 0, computing: 0, surveying: 0, suspect: 0, draining: 0 };
      for (const worker of Object.values(state().workers)) counts[activityOf(worker)] += 1;
      return counts;
    },
    microBatches() {
      const { plan, finished, workers } = state();
      const held = Object.values(workers).map(({ lease }) => {
        return lease === null || lease.check || lease.overdue ? 0 : lease.end - lease.first;
      });
      const leased = held.reduce((sum, count) => sum + count, 0);
      const done = finished.reduce((sum, node) => sum + node.leaves.length, 0);
      return { open: Math.max(0, plan.leaves - leased - done), leased };
    },
    eventLag: () =>
      context.publisher === null ? null : context.events.seq - context.publisher.acknowledged,
    now: () => Date.now() / 1000,
  });
}
