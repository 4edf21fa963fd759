/**
 * The processes of one run without a supervisor: a coordinator, workers, perhaps a NATS server, each
 * started here, ended here by force or by asking, and started again on the same folder, port, name.
 *
 * The programs are the shipped ones (`tandem coordinator`, `tandem worker`), or for the small model
 * the same with a preload. A process that ends by itself and should not is a finding: it is kept in
 * `unexpected`, with its last words, and started again, so that the run can still be compared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { collectAtOnce } from '../../shared/adapters/grpc.ts';
import { smallModelPreload } from '../support/use-small-model.ts';
import type { Hosts } from './hosts.ts';

const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const chaosWorker = fileURLToPath(new URL('./chaos-worker.js', import.meta.url));
const wordsMost = 2000;
/** An orderly end may take so long before it is forced, milliseconds. */
const endMs = 15_000;
/** Who was asked by way of the coordinator and is still there is asked directly, milliseconds. */
const drainMs = 30_000;
const unexpectedMost = 50;

export interface ClusterOptions {
  hosts: Hosts;
  run: string;
  logs: string;
  /** Options of the coordinator as the command line takes them. */
  options: readonly string[];
  /** The exact compute on the smallest model, instead of TensorFlow. */
  small: boolean;
  /** The workers' own copy of the data, or null: they fetch it. */
  workerData: string | null;
  /** Least time of a micro-batch at each worker, milliseconds; missing ones are not paced. */
  paceMs: readonly number[];
  /** Path of a nats-server, and the port it is given. */
  nats: { program: string; port: number; store: string } | null;
}

/** A process that is there, by its place: worker 1, 2, … */
interface Placed {
  child: ChildProcess;
  stopped: boolean;
}

export class Cluster {
  readonly unexpected: string[] = [];
  /** Resolves when the coordinator ended a run by itself. */
  readonly done: Promise<void>;
  private readonly options: ClusterOptions;
  private finish: () => void = () => undefined;
  private coordinator: Placed | null = null;
  private nats: Placed | null = null;
  private readonly workers = new Map<number, Placed>();
  /** Places that should have a worker. */
  private readonly wanted = new Set<number>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private closed = false;
  /** Ended here on purpose. */
  private readonly doomed = new WeakSet<ChildProcess>();
  /** Asked to leave. */
  private readonly asked = new WeakSet<ChildProcess>();

  constructor(options: ClusterOptions) {
    this.options = options;
    mkdirSync(options.logs, { recursive: true });
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  startCoordinator(): void {
    const { hosts, run, options, small } = this.options;
    const args = ['coordinator', ...options, '--run', run, '--listen', hosts.listen];
    // A host of its own is no loopback, and nobody else is on that network.
    const open = hosts.listen.startsWith('127.') ? [] : ['--insecure'];
    const preload = small ? ['--import', smallModelPreload] : [];
    const child = this.start(0, 'coordinator', [
      ...[...collectAtOnce, ...preload, bin],
      ...[...args, ...open, '--json'],
    ]);
    this.coordinator = { child, stopped: false };
    child.once('exit', (code, signal) => {
      if (this.coordinator?.child === child) this.coordinator = null;
      if (code === 0) this.finish();
      else if (!this.doomed.has(child) && !this.closed) {
        this.found('coordinator', code ?? signal, child);
        this.later(1000, () => this.startCoordinator());
      }
    });
  }

  startWorker(place: number): void {
    const { hosts, small, workerData, paceMs } = this.options;
    this.wanted.add(place);
    if (this.workers.has(place) || this.closed) return;
    const name = `worker-${place}`;
    const pace = paceMs[place - 1] ?? 0;
    const common = ['--coordinator', hosts.listen, '--name', name];
    const data = workerData === null ? [] : ['--data', workerData];
    const program = small
      ? ['--import', smallModelPreload, chaosWorker, '--exact', '--pace', `${pace}`]
      : pace > 0
        ? [chaosWorker, '--pace', `${pace}`]
        : [bin, 'worker', '--grace', '5'];
    const child = this.start(place, name, [...collectAtOnce, ...program, ...common, ...data]);
    this.workers.set(place, { child, stopped: false });
    child.once('exit', (code, signal) => {
      if (this.workers.get(place)?.child === child) this.workers.delete(place);
      if (this.closed || this.doomed.has(child)) return;
      // Drained, or the run is done: its own decision.
      if (code === 0) return;
      // Asked to leave while it was starting, or before it was anybody's worker.
      if (this.asked.has(child) && (signal === 'SIGTERM' || code === 130)) return;
      this.found(name, code ?? signal, child);
      this.later(500, () => this.wanted.has(place) && this.startWorker(place));
    });
  }

  startNats(): void {
    const { nats } = this.options;
    if (nats === null || this.nats !== null || this.closed) return;
    const args = ['-a', '127.0.0.1', '-p', `${nats.port}`, '-js', '-sd', nats.store];
    const child = spawn(nats.program, args, { stdio: 'ignore' });
    this.nats = { child, stopped: false };
    child.once('exit', () => {
      if (this.nats?.child === child) this.nats = null;
    });
  }

  /** Places with a worker whose process runs. */
  present(): number[] {
    return [...this.workers]
      .filter(([place, { stopped }]) => !stopped && this.wanted.has(place))
      .map(([place]) => place)
      .sort((a, b) => a - b);
  }

  /** Places from 1 to `most` where nobody is nor should be. */
  absent(most: number): number[] {
    const places = Array.from({ length: most }, (_, i) => i + 1);
    return places.filter((place) => !this.wanted.has(place) && !this.workers.has(place));
  }

  get coordinatorRuns(): boolean {
    return this.coordinator !== null && !this.coordinator.stopped;
  }

  /** The process id of a worker that is there. */
  pidOf(place: number): number | undefined {
    return this.workers.get(place)?.child.pid;
  }

  killWorker(place: number, backMs: number | null): void {
    const worker = this.workers.get(place);
    if (worker === undefined) return;
    this.kill(worker);
    this.workers.delete(place);
    if (backMs === null) this.wanted.delete(place);
    else this.later(backMs, () => this.wanted.has(place) && this.startWorker(place));
  }

  killCoordinator(backMs: number): void {
    if (this.coordinator === null) return;
    this.kill(this.coordinator);
    this.coordinator = null;
    this.later(backMs, () => this.startCoordinator());
  }

  killNats(backMs: number): void {
    if (this.nats === null) return;
    this.kill(this.nats);
    this.nats = null;
    this.later(backMs, () => this.startNats());
  }

  stopWorker(place: number, forMs: number): void {
    const worker = this.workers.get(place);
    if (worker !== undefined) this.stop(worker, forMs);
  }

  stopCoordinator(forMs: number): void {
    if (this.coordinator !== null) this.stop(this.coordinator, forMs);
  }

  /** SIGTERM, or `tandem drain`: it leaves in its own time. */
  drainWorker(place: number, signal: boolean): void {
    this.wanted.delete(place);
    const { hosts } = this.options;
    const child = this.workers.get(place)?.child;
    if (child === undefined) return;
    this.asked.add(child);
    if (signal) {
      child.kill('SIGTERM');
      return;
    }
    const args = [bin, 'drain', `worker-${place}`, '--coordinator', hosts.listen];
    this.start(0, 'drain', args).once('exit', (code) => {
      // Nobody there to ask: the coordinator is dead at this moment.
      if (code !== 0) child.kill('SIGTERM');
      // Or it died before it passed the word on.
      this.later(drainMs, () => child.kill('SIGTERM'));
    });
  }

  /** Ends everything; what does not go within a while is killed. */
  async close(): Promise<void> {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    const all = [this.coordinator, this.nats, ...this.workers.values()].filter((p) => p !== null);
    for (const { child, stopped } of all) {
      if (stopped) child.kill('SIGCONT');
      child.kill('SIGTERM');
    }
    const deadline = performance.now() + endMs;
    const lives = ({ child }: Placed) => child.exitCode === null && child.signalCode === null;
    while (all.some(lives) && performance.now() < deadline) await sleep(50);
    for (const placed of all) if (lives(placed)) placed.child.kill('SIGKILL');
  }

  /** For a signal to this process: nothing may outlive it. */
  killAll(): void {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const placed of [this.coordinator, this.nats, ...this.workers.values()])
      placed?.child.kill('SIGKILL');
  }

  private kill({ child }: Placed): void {
    this.doomed.add(child);
    child.kill('SIGKILL');
  }

  private stop(placed: Placed, forMs: number): void {
    placed.stopped = true;
    placed.child.kill('SIGSTOP');
    this.later(forMs, () => {
      placed.stopped = false;
      placed.child.kill('SIGCONT');
    });
  }

  private later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!this.closed) act();
    }, ms);
    this.timers.add(timer);
  }

  private start(host: number, name: string, args: readonly string[]): ChildProcess {
    const [program, words] = this.options.hosts.command(host, args);
    const env = { ...process.env, NO_COLOR: '1' };
    const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(this.options.logs, `${name}.log`), { flags: 'a' });
    let last = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        last = (last + text).slice(-wordsMost);
        log.write(text);
      });
    child.once('close', () => log.end());
    this.words.set(child, () => last);
    return child;
  }

  private readonly words = new WeakMap<ChildProcess, () => string>();

  private found(name: string, end: number | string | null, child: ChildProcess): void {
    if (this.unexpected.length >= unexpectedMost) return;
    const said = this.words.get(child)?.().trim().split('\n').slice(-3).join(' | ') ?? '';
    this.unexpected.push(`${name} ended by itself (${end}): ${said}`);
  }
}
