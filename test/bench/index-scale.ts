/**
 * Indexing at scale, and training from fetched samples against local ones.
 *
 * Usage: node dist/test/bench/index-scale.js make DIR [COUNT]
 *        node dist/test/bench/index-scale.js index DIR
 *        node dist/test/bench/index-scale.js fetch DIR [ROUNDS] [STEPS]
 *
 * `make` writes COUNT (100,000) small JPEGs of their own bytes: drawn flowers with a comment each.
 * `index` indexes them without and with what was kept, each in a process of its own, and prints
 * seconds and peak memory. `fetch` trains in turn with a worker that has the folder and with one
 * that fetches every image from the coordinator, and prints the ratio of their rates, paired.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { median, medianInterval, pairedRatios } from '../../cli/bench/statistics.ts';
import { openDataset } from '../../shared/adapters/open-dataset.ts';
import { syntheticImage } from '../../shared/core/synthetic.ts';

const self = fileURLToPath(import.meta.url);
const bin = fileURLToPath(new URL('../../../cli/bin.js', import.meta.url));
const [task = '', folder = '', first = '', second = ''] = process.argv.slice(2);
if (folder === '') throw new Error('say what to do (make, index, fetch) and where');

/** A JPEG with a comment segment after its first marker, so that no two have the same bytes. */
function commented(jpeg: Buffer, text: string): Buffer {
  const comment = Buffer.from(`\xff\xfe\x00\x00${text}`, 'latin1');
  comment.writeUInt16BE(text.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]);
}

async function make(count: number): Promise<void> {
  const flowers: Buffer[] = [];
  for (let i = 0; i < 64; i++) {
    const { pixels, width, height } = syntheticImage(1, i);
    const image = sharp(pixels, { raw: { width, height, channels: 3 } });
    flowers.push(await image.resize(48).jpeg().toBuffer());
  }
  for (let i = 0; i < count; i++) {
    const kind = join(folder, `class-${String(i % 100).padStart(2, '0')}`);
    if (i < 100) mkdirSync(kind, { recursive: true });
    writeFileSync(join(kind, `${i}.jpg`), commented(flowers[i % 64]!, `number ${i}`));
  }
}

/** Peak resident set of this process, bytes. */
const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

async function indexOnce(cache: string | null): Promise<void> {
  const before = peakBytes();
  const began = performance.now();
  const { samples, fingerprint } = await openDataset(folder, cache).index();
  const seconds = (performance.now() - began) / 1000;
  const images = samples.length;
  console.log(JSON.stringify({ images, seconds, before, peak: peakBytes(), fingerprint }));
}

function indexInTurn(): void {
  const cache = mkdtempSync(join(tmpdir(), 'tandem-index-'));
  try {
    for (const name of ['found anew', 'kept']) {
      const { stdout } = spawnSync(process.execPath, [self, 'index-once', folder, cache]);
      console.log(name, stdout.toString().trim());
    }
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

const untimedSteps = 4;

/** Images a second of a worker with or without the folder: the median over the steps. */
async function rateOf(fetched: boolean, steps: number): Promise<number> {
  const base = mkdtempSync(join(tmpdir(), 'tandem-fetch-'));
  const run = join(base, 'run');
  try {
    const method = ['--model=resnet18-cifar', '--size=16', '--batch=64', '--micro-batch=32'];
    const args = [...method, `--steps=${steps}`, `--data=${folder}`, `--run=${run}`];
    const coordinator = spawn(process.execPath, [bin, 'coordinator', ...args], { stdio: 'ignore' });
    const ended = new Promise((resolve) => coordinator.once('close', resolve));
    const address = join(run, 'coordinator.json');
    while (statSync(address, { throwIfNoEntry: false }) === undefined) {
      if (coordinator.exitCode !== null) throw new Error('the coordinator ended');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const own = fetched ? [] : [`--data=${folder}`];
    const workerArgs = [bin, 'worker', '--run', run, '--backend=tensorflow', ...own];
    const env = { ...process.env, TF_NUM_INTEROP_THREADS: '2' };
    const worker = spawn(process.execPath, workerArgs, { stdio: 'ignore', env });
    worker.once('close', (code) => code === 0 || coordinator.kill());
    await ended;
    const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
    const events = lines.map((line) => JSON.parse(line));
    const committed = events.filter((event) => event.kind === 'step-committed');
    return median(committed.slice(untimedSteps).map((event) => event.imagesPerSecond));
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

async function fetchOrLocal(rounds: number, steps: number): Promise<void> {
  const rates: { fetched: number[]; local: number[] } = { fetched: [], local: [] };
  for (let round = 0; round < rounds; round++) {
    const turns = [
      async () => rates.local.push(await rateOf(false, steps)),
      async () => rates.fetched.push(await rateOf(true, steps)),
    ];
    if (round % 2 === 1) turns.reverse();
    for (const turn of turns) await turn();
    console.error(`round ${round + 1} of ${rounds}`, JSON.stringify(rates));
  }
  const ratios = pairedRatios(rates.fetched, rates.local);
  const interval = medianInterval(ratios);
  console.log(JSON.stringify({ ...rates, ratio: median(ratios), interval }));
}

if (task === 'make') await make(Number(first || 100_000));
else if (task === 'index') indexInTurn();
else if (task === 'index-once') await indexOnce(first || null);
else if (task === 'fetch') await fetchOrLocal(Number(first || 3), Number(second || 14));
else throw new Error(`"${task}" is none of make, index, fetch`);
