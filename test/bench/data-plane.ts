/**
 * The data plane beside its yardsticks, over loopback between processes:
 *
 *   node dist/test/bench/data-plane.js [--rounds N] [--json]
 *
 * One worker uploads a node of 74,072,320 bytes through the production path (serveGradients,
 * PushGradients, WorkerLink, the reducer's credit). Beside it: the same bytes over raw TCP, and
 * the same service and client with a server as grpc-js makes it; each also through a proxy that
 * adds 1 ms each way. Then the weights downloaded, and the reducer's whole step with two workers.
 * Takes are interleaved, so that a busy machine is busy for all. A round's figure is the median of
 * three takes; printed are medians over the rounds, and the median of the rounds' ratios.
 * Targets: 0.3 of raw TCP, 10 × untuned at 2 ms. Figures: docs/benchmarks.md.
 */
import { collectAtOnce } from '../../shared/adapters/grpc.ts';
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Command, elements, type Ports } from './data-plane-roles.ts';

const megabytes = (4 * elements) / 1e6;
const delayMs = 1;
const takesPerRound = 3;
/** Seconds long, so it is taken once a round. */
const slowest = 'upload, untuned server, 2 ms';

const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
};

function start(role: string): ChildProcess {
  const script = fileURLToPath(new URL('./data-plane-roles.js', import.meta.url));
  return fork(script, [role], { execArgv: [...process.execArgv, ...collectAtOnce] });
}

function tell<T>(child: ChildProcess, command: Command): Promise<T> {
  return new Promise((resolve, reject) => {
    const died = () => reject(new Error(`a process of the benchmark died at ${command.kind}`));
    child.once('exit', died);
    child.once('message', (message) => {
      child.off('exit', died);
      resolve((message as { answer: T }).answer);
    });
    child.send(command);
  });
}

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '7' } },
});
const rounds = Number(values.rounds);

const coordinator = start('coordinator');
const worker = start('worker');
const second = start('worker');
const proxy = start('proxy');
const children = [coordinator, worker, second, proxy];
const ports = await tell<Ports>(coordinator, { kind: 'listen' });
const far = async (port: number) => tell<number>(proxy, { kind: 'forward', port, delayMs });

await tell(worker, { kind: 'open-raw', link: 'raw', port: ports.raw });
await tell(worker, { kind: 'open-raw', link: 'raw-far', port: await far(ports.raw) });
await tell(worker, { kind: 'open', link: 'tuned', port: ports.tuned });
await tell(worker, { kind: 'open', link: 'tuned-far', port: await far(ports.tuned) });
await tell(worker, { kind: 'open', link: 'untuned', port: ports.untuned });
await tell(worker, { kind: 'open', link: 'untuned-far', port: await far(ports.untuned) });
await tell(second, { kind: 'open', link: 'second', port: ports.tuned });

/** Every figure of a round, in the order in which it is taken: milliseconds. */
const measures: Record<string, () => Promise<number>> = {
  'raw TCP': () => tell(coordinator, { kind: 'raw', link: 'raw' }),
  upload: () => tell(coordinator, { kind: 'upload', link: 'tuned' }),
  'upload, untuned server': () => tell(coordinator, { kind: 'upload', link: 'untuned' }),
  download: () => tell(worker, { kind: 'download', link: 'tuned' }),
  'raw TCP, 2 ms': () => tell(coordinator, { kind: 'raw', link: 'raw-far' }),
  'upload, 2 ms': () => tell(coordinator, { kind: 'upload', link: 'tuned-far' }),
  [slowest]: () => tell(coordinator, { kind: 'upload', link: 'untuned-far' }),
  'download, 2 ms': () => tell(worker, { kind: 'download', link: 'tuned-far' }),
  'reduce, 2 workers': () => tell(coordinator, { kind: 'reduce', links: ['tuned', 'second'] }),
};
const names = Object.keys(measures);

const ms: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
const pings: number[] = [];
for (let round = -1; round < rounds; round += 1) {
  for (let i = 0; i < 20; i += 1)
    pings.push(await tell<number>(coordinator, { kind: 'ping', link: 'raw-far' }));
  const takes: Record<string, number[]> = {};
  for (let take = 0; take < takesPerRound; take += 1) {
    for (const [name, measure] of Object.entries(measures)) {
      if (take > 0 && name === slowest) continue;
      takes[name] = [...(takes[name] ?? []), await measure()];
    }
  }
  // The first round only warms up.
  if (round >= 0) for (const name of names) ms[name]?.push(median(takes[name] ?? []));
}
for (const child of children) child.disconnect();

const ratio = (fast: string, slow: string): number =>
  median((ms[slow] ?? []).map((time, round) => time / (ms[fast]?.[round] ?? Number.NaN)));
const figures = names.map((name) => {
  const middle = median(ms[name] ?? []);
  return {
    name,
    ms: middle,
    megabytesPerSecond: (1000 * megabytes) / middle,
    best: Math.min(...(ms[name] ?? [])),
    worst: Math.max(...(ms[name] ?? [])),
  };
});
const ratios = {
  uploadToRaw: ratio('upload', 'raw TCP'),
  uploadToUntuned: ratio('upload', 'upload, untuned server'),
  farUploadToUntuned: ratio('upload, 2 ms', slowest),
  downloadToRaw: ratio('download', 'raw TCP'),
};
const roundTripMs = median(pings);

if (values.json === true) {
  console.log(JSON.stringify({ bytes: 4 * elements, rounds, roundTripMs, figures, ratios }));
} else {
  console.log(
    `${megabytes} MB, ${rounds} rounds; the far link's round trip: ${roundTripMs.toFixed(2)} ms`,
  );
  console.log(`${''.padEnd(30)}  median ms      MB/s   best ms  worst ms`);
  for (const { name, ms: middle, megabytesPerSecond, best, worst } of figures) {
    const columns = [
      middle.toFixed(1),
      megabytesPerSecond.toFixed(0),
      best.toFixed(1),
      worst.toFixed(1),
    ];
    console.log(`${name.padEnd(30)}${columns.map((text) => text.padStart(10)).join('')}`);
  }
  console.log(`upload / raw TCP            ${ratios.uploadToRaw.toFixed(2)}   (at least 0.30)`);
  console.log(
    `upload / untuned, 2 ms      ${ratios.farUploadToUntuned.toFixed(1)}   (at least 10)`,
  );
  console.log(`upload / untuned, loopback  ${ratios.uploadToUntuned.toFixed(2)}`);
  console.log(`download / raw TCP          ${ratios.downloadToRaw.toFixed(2)}`);
}
