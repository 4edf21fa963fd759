/**
 * What a power cut leaves of a folder: a model of which bytes and which names were synced.
 *
 * Strict on purpose. The bytes of a file are durable as of the last fsync of that file, a name as of
 * the last fsync of the folder that holds it; nothing else survives. `mixed` lets every folder
 * keep some of its unsynced changes, in their order, and every file some pages of its unsynced bytes.
 * Of a page behind the synced end nothing may have come, so that zeros stand before what did come
 * (not in `events.jsonl`, which has no fsync of its own: there pages come in order).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

interface FileNode {
  kind: 'file';
  /** As of the last fsync; null: never synced. */
  durable: Buffer | null;
}

interface FolderNode {
  kind: 'folder';
  entries: Map<string, Entry>;
  durable: Map<string, Entry>;
  /** What the entries were after each change since the last fsync. */
  since: Map<string, Entry>[];
}

type Entry = FileNode | FolderNode;

export type Loss = 'lost' | 'mixed';

const newFolder = (): FolderNode => ({
  kind: 'folder',
  entries: new Map(),
  durable: new Map(),
  since: [],
});

const pageBytes = 4096;

export class DurableImage {
  private readonly root = newFolder();
  private readonly base: string;

  /** Of a folder that is empty or not there yet. */
  constructor(base: string) {
    this.base = base;
  }

  private parts(path: string): string[] | null {
    if (path !== this.base && !path.startsWith(`${this.base}/`)) return null;
    return path.slice(this.base.length).split('/').filter(Boolean);
  }

  private at(path: string): Entry | undefined {
    let here: Entry | undefined = this.root;
    for (const part of this.parts(path) ?? ['?'])
      here = here?.kind === 'folder' ? here.entries.get(part) : undefined;
    return here;
  }

  private change(path: string, entry: Entry | null): void {
    const parent = this.at(dirname(path));
    if (this.parts(path) === null || parent?.kind !== 'folder') return;
    if (entry === null) parent.entries.delete(basename(path));
    else parent.entries.set(basename(path), entry);
    parent.since.push(new Map(parent.entries));
  }

  /** A file was opened for writing. */
  created(path: string): void {
    if (this.at(path) === undefined) this.change(path, { kind: 'file', durable: null });
  }

  madeFolder(path: string): void {
    const parts = this.parts(path) ?? [];
    parts.forEach((_, i) => {
      const here = join(this.base, ...parts.slice(0, i + 1));
      if (this.at(here) === undefined) this.change(here, newFolder());
    });
  }

  renamed(from: string, to: string): void {
    const entry = this.at(from);
    if (entry === undefined) return;
    const parent = this.at(dirname(from));
    this.change(from, null);
    // Gone from its old name and there under the new one are one change.
    if (parent?.kind === 'folder' && dirname(from) === dirname(to)) parent.since.pop();
    this.change(to, entry);
  }

  /** A second name of one file. */
  linked(from: string, to: string): void {
    const entry = this.at(from);
    if (entry !== undefined) this.change(to, entry);
  }

  removed(path: string): void {
    if (this.at(path) !== undefined) this.change(path, null);
  }

  /** An fsync of this file or folder has returned; `content` as it was when it was asked for. */
  synced(path: string, content: Buffer | null): void {
    const entry = this.at(path);
    if (entry?.kind === 'file') entry.durable = content;
    if (entry?.kind !== 'folder') return;
    entry.durable = new Map(entry.entries);
    entry.since = [];
  }

  /** Writes what survives to another folder, at once. `draw` gives numbers in [0, 1). */
  write(to: string, loss: Loss, draw: () => number): void {
    const paths = new Map<Entry, string>();
    const walk = (folder: FolderNode, path: string): void => {
      for (const [name, entry] of folder.entries) {
        paths.set(entry, join(path, name));
        if (entry.kind === 'folder') walk(entry, join(path, name));
      }
    };
    walk(this.root, this.base);
    const save = (folder: FolderNode, path: string): void => {
      mkdirSync(path, { recursive: true });
      const versions = [folder.durable, ...folder.since];
      const kept = loss === 'lost' ? 0 : Math.floor(draw() * versions.length);
      for (const [name, entry] of versions[kept] ?? []) {
        if (entry.kind === 'folder') save(entry, join(path, name));
        else writeFileSync(join(path, name), this.survivor(entry, paths.get(entry), loss, draw));
      }
    };
    save(this.root, to);
  }

  /** The bytes of a file: as synced, or with some of its later pages. */
  private survivor(
    { durable }: FileNode,
    path: string | undefined,
    loss: Loss,
    draw: () => number,
  ): Buffer {
    const old = durable ?? Buffer.alloc(0);
    if (loss === 'lost' || path === undefined) return old;
    let now: Buffer;
    try {
      now = readFileSync(path);
    } catch {
      return old;
    }
    const length = old.length + Math.floor(draw() * (Math.max(0, now.length - old.length) + 1));
    const mixed = Buffer.alloc(length);
    const put = (from: Buffer, start: number, end: number): void => {
      if (start < Math.min(end, from.length)) from.copy(mixed, start, start, end);
    };
    for (let at = 0; at < length; at += pageBytes) {
      const end = Math.min(at + pageBytes, length);
      const came = draw() < 0.5;
      if (came) put(now, at, end);
      else put(old, at, end);
      if (!came && path.endsWith('events.jsonl')) put(now, Math.max(at, old.length), end);
    }
    return mixed;
  }
}
