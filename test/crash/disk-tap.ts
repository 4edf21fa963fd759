/**
 * A tap on a process's disk and on its broadcasts: counts every point at which it could die, and
 * kills it with SIGKILL at the one that it is aimed at.
 *
 * It wraps `node:fs/promises` and the handles that come from it, before the program is loaded, so
 * the program itself has no hook. A point has a label (`datasync ledger.jsonl`) and a number among
 * those of its label, because work in the background has no fixed place among the others.
 */
import { fstatSync, promises, readFileSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { relative } from 'node:path';
import { DurableImage, type Loss } from './durable-image.ts';

export type When = 'before' | 'torn' | 'after';

export interface Aim {
  label: string;
  /** Which of those with this label, from 1. */
  occurrence: number;
  /** `torn`: half of the bytes are written. */
  when: When;
  /** With a power cut: what is lost, and the folder that gets what is left. */
  powerCut: { loss: Loss; seed: number; image: string } | null;
}

export interface Tap {
  /** Points so far, by label. */
  counts: Map<string, number>;
  /** Does `work`, which has no effect on the disk, as a point of its own. */
  effect(label: string, work: () => void): void;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function draws(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Names without process ids and generations. */
const plain = (path: string): string =>
  path
    .replaceAll(/\.\d+\.\d+\.tmp/g, '.tmp')
    .replace(/(\.jsonl|step-\d+)\.\d+(\.tmp|\.link)?$/, '$1$2');

function die(aim: Aim, image: DurableImage): never {
  if (aim.powerCut !== null)
    image.write(aim.powerCut.image, aim.powerCut.loss, draws(aim.powerCut.seed));
  process.kill(process.pid, 'SIGKILL');
  // Nothing may happen between the signal's sending and its arrival.
  for (;;);
}

export function tapDisk(folder: string, aim: Aim | null): Tap {
  const counts = new Map<string, number>();
  const image = new DurableImage(folder);
  const paths = new WeakMap<FileHandle, { path: string }>();
  /** Handles by the path that they were opened with, so that a rename moves them along. */
  const opened: { path: string }[] = [];

  const within = (path: unknown): path is string =>
    typeof path === 'string' && (path === folder || path.startsWith(`${folder}/`));
  const hits = (label: string, when: When): boolean =>
    aim?.label === label && aim.when === when && counts.get(label) === aim.occurrence;

  /** One point around a piece of work. `torn` does the half of it. */
  async function point<T>(
    label: string,
    work: () => Promise<T>,
    torn: () => void = () => undefined,
  ): Promise<T> {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    if (aim !== null && hits(label, 'before')) die(aim, image);
    if (aim !== null && hits(label, 'torn')) {
      torn();
      die(aim, image);
    }
    // Which occurrence this is must be known when the work is done.
    const number = counts.get(label);
    const result = await work();
    if (aim?.label === label && aim.when === 'after' && aim.occurrence === number) die(aim, image);
    return result;
  }

  const labelOf = (operation: string, path: string): string =>
    `${operation} ${plain(relative(folder, path)) || '.'}`;

  const real = { ...promises };
  const patched: Partial<Record<keyof typeof promises, unknown>> = {
    open: async (path: string, flags = 'r', mode?: number) => {
      if (!within(path)) return real.open(path, flags, mode);
      const makes = String(flags).startsWith('w');
      const label = labelOf(flags === 'wx' ? 'create' : 'open', path);
      const handle = makes
        ? await point(label, () => real.open(path, flags, mode))
        : await real.open(path, flags, mode);
      const place = { path };
      paths.set(handle, place);
      opened.push(place);
      if (makes) image.created(path);
      return handle;
    },
    rename: (from: string, to: string) =>
      within(from)
        ? point(labelOf('rename', to), async () => {
            await real.rename(from, to);
            image.renamed(from, to);
            for (const place of opened) if (place.path === from) place.path = to;
          })
        : real.rename(from, to),
    link: (from: string, to: string) =>
      within(to)
        ? point(labelOf('link', to), async () => {
            await real.link(from, to);
            image.linked(from, to);
          })
        : real.link(from, to),
    rm: (path: string, options?: Parameters<typeof real.rm>[1]) =>
      within(path)
        ? point(labelOf('remove', path), async () => {
            await real.rm(path, options);
            image.removed(path);
          })
        : real.rm(path, options),
    mkdir: (path: string, options?: Parameters<typeof real.mkdir>[1]) =>
      within(path)
        ? point(labelOf('mkdir', path), async () => {
            const made = await real.mkdir(path, options);
            image.madeFolder(path);
            return made;
          })
        : real.mkdir(path, options),
  };
  Object.assign(promises, patched);
  syncBuiltinESMExports();
  tapHandles(paths, point, labelOf, image);

  return {
    counts,
    effect(label, work) {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      if (aim !== null && hits(label, 'before')) die(aim, image);
      const last = aim !== null && hits(label, 'after');
      work();
      // A turn of the loop, so that what was sent leaves this process.
      if (last) setImmediate(() => setImmediate(() => die(aim, image)));
    },
  };
}

type Point = <T>(label: string, work: () => Promise<T>, torn?: () => void) => Promise<T>;

/** Wraps what every file handle of this process does. */
function tapHandles(
  paths: WeakMap<FileHandle, { path: string }>,
  point: Point,
  labelOf: (operation: string, path: string) => string,
  image: DurableImage,
): void {
  const prototype = handlePrototype as unknown as Record<
    string,
    (this: FileHandle, ...args: never[]) => Promise<unknown>
  >;
  const wrap = (
    name: string,
    around: (
      handle: FileHandle,
      path: string,
      args: unknown[],
      work: () => Promise<unknown>,
    ) => Promise<unknown>,
  ): void => {
    const original = prototype[name];
    if (original === undefined) throw new Error(`file handles have no ${name}`);
    prototype[name] = function (this: FileHandle, ...args: never[]) {
      const path = paths.get(this)?.path;
      const work = () => original.apply(this, args);
      return path === undefined ? work() : around(this, path, args, work);
    };
  };
  const half = (data: string | Uint8Array): Uint8Array => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    return bytes.subarray(0, Math.ceil(bytes.length / 2));
  };
  wrap('writeFile', (handle, path, [data], work) =>
    point(labelOf('write', path), work, () =>
      writeSync(handle.fd, half(data as string | Uint8Array)),
    ),
  );
  wrap('write', (handle, path, [data, offset, length, position], work) => {
    const bytes = (data as Uint8Array).subarray(
      offset as number,
      (offset as number) + (length as number),
    );
    return point(labelOf('write', path), work, () => {
      const part = half(bytes);
      writeSync(handle.fd, part, 0, part.length, position as number);
    });
  });
  for (const name of ['sync', 'datasync'])
    wrap(name, (handle, path, _, work) =>
      point(labelOf(name, path), async () => {
        const content = fstatSync(handle.fd).isFile()
          ? readFileSync(`/proc/self/fd/${handle.fd}`)
          : null;
        await work();
        image.synced(path, content);
      }),
    );
}

const probe = await promises.open('/dev/null', 'r');
const handlePrototype: object = Object.getPrototypeOf(probe) as object;
await probe.close();
