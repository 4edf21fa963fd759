/**
 * A simulated disk: what processes see (the page cache) and what the platter holds.
 *
 * The death of a process leaves the page cache alone. A power cut leaves what was fsynced, and of
 * the rest what chance wills: any sectors of a file's unsynced bytes, any first part of the names
 * that a folder took on since it was last synced. Strict as POSIX has it: a file's fsync does not
 * make its name durable, its folder's does.
 */
import type { Dice } from '../support/draws.ts';

const sector = 512;

export interface FileNode {
  kind: 'file';
  bytes: Uint8Array;
  size: number;
  /** As of the last fsync. */
  durable: Uint8Array;
  /** Bytes [from, to) written since; null: none. */
  dirty: { from: number; to: number } | null;
}

type Names = Map<string, Node>;

export interface FolderNode {
  kind: 'folder';
  names: Names;
  durable: Names;
  /** Changes of names since the last fsync, in order. */
  pending: ((names: Names) => void)[];
}

export type Node = FileNode | FolderNode;

export class DiskError extends Error {
  readonly code: string;
  constructor(code: string, what: string) {
    super(`${code}: ${what}`);
    this.code = code;
  }
}

const folderNode = (): FolderNode => ({
  kind: 'folder',
  names: new Map(),
  durable: new Map(),
  pending: [],
});

const fileNode = (): FileNode => ({
  kind: 'file',
  bytes: new Uint8Array(256),
  size: 0,
  durable: new Uint8Array(0),
  dirty: null,
});

export interface Disk {
  root: FolderNode;
  full: boolean;
  /** So many writes or syncs from now fail with EIO. */
  failing: number;
  /** Writes and syncs that failed so far. */
  failures: number;
}

export const newDisk = (): Disk => ({ root: folderNode(), full: false, failing: 0, failures: 0 });

const partsOf = (path: string) => path.split('/').filter((part) => part !== '' && part !== '.');

export function find(disk: Disk, path: string): Node | null {
  let node: Node = disk.root;
  for (const part of partsOf(path)) {
    const next: Node | undefined = node.kind === 'folder' ? node.names.get(part) : undefined;
    if (next === undefined) return null;
    node = next;
  }
  return node;
}

function found(disk: Disk, path: string): Node {
  const node = find(disk, path);
  if (node === null) throw new DiskError('ENOENT', `no such file or directory, '${path}'`);
  return node;
}

function folderOf(disk: Disk, path: string): { folder: FolderNode; name: string } {
  const parts = partsOf(path);
  const name = parts.pop() ?? '';
  const folder = found(disk, parts.join('/'));
  if (folder.kind !== 'folder') throw new DiskError('ENOTDIR', `'${path}'`);
  return { folder, name };
}

function change(folder: FolderNode, act: (names: Names) => void): void {
  act(folder.names);
  folder.pending.push(act);
}

export function openFile(disk: Disk, path: string, flags: string): Node {
  const node = find(disk, path);
  if (node === null) {
    if (flags.startsWith('r')) found(disk, path);
    if (disk.full) throw fault(disk, 'ENOSPC');
    const { folder, name } = folderOf(disk, path);
    const made = fileNode();
    change(folder, (names) => names.set(name, made));
    return made;
  }
  if (flags.includes('x')) throw new DiskError('EEXIST', `file already exists, '${path}'`);
  if (flags.startsWith('w') && node.kind === 'file') truncate(node, 0);
  return node;
}

export function truncate(file: FileNode, size: number): void {
  file.dirty = { from: Math.min(size, file.dirty?.from ?? size), to: file.size };
  file.bytes.fill(0, size, file.size);
  file.size = size;
}

/** Makes a folder; returns the first one made where several were, undefined where none was. */
export function makeFolder(disk: Disk, path: string, recursive: boolean): string | undefined {
  const node = find(disk, path);
  if (node !== null) {
    if (recursive && node.kind === 'folder') return undefined;
    throw new DiskError('EEXIST', `file already exists, '${path}'`);
  }
  const parent = `/${partsOf(path).slice(0, -1).join('/')}`;
  const above = recursive ? makeFolder(disk, parent, true) : undefined;
  const { folder, name } = folderOf(disk, path);
  const made = folderNode();
  change(folder, (names) => names.set(name, made));
  return above ?? path;
}

export function removeName(disk: Disk, path: string): boolean {
  if (find(disk, path) === null) return false;
  const { folder, name } = folderOf(disk, path);
  change(folder, (names) => names.delete(name));
  return true;
}

export function renameNode(disk: Disk, from: string, to: string): void {
  const node = found(disk, from);
  const source = folderOf(disk, from);
  const target = folderOf(disk, to);
  const there = target.folder.names.get(target.name);
  // Two names of one file: POSIX has nothing to do then.
  if (there === node) return;
  if (there?.kind === 'folder' && there.names.size > 0)
    throw new DiskError('ENOTEMPTY', `directory not empty, '${to}'`);
  if (source.folder !== target.folder) {
    change(source.folder, (names) => names.delete(source.name));
    change(target.folder, (names) => names.set(target.name, node));
    return;
  }
  change(source.folder, (names) => {
    names.delete(source.name);
    names.set(target.name, node);
  });
}

/** A second name of a file. */
export function linkNode(disk: Disk, from: string, to: string): void {
  const node = found(disk, from);
  const { folder, name } = folderOf(disk, to);
  if (folder.names.has(name)) throw new DiskError('EEXIST', `file already exists, '${to}'`);
  change(folder, (names) => names.set(name, node));
}

export function listNames(disk: Disk, path: string): string[] {
  const node = found(disk, path);
  if (node.kind !== 'folder') throw new DiskError('ENOTDIR', `'${path}'`);
  return [...node.names.keys()];
}

export function bytesIn(node: Node): Uint8Array {
  if (node.kind === 'folder') throw new DiskError('EISDIR', 'illegal operation on a directory');
  return node.bytes.subarray(0, node.size);
}

/** The bytes that a power cut could not take, whatever the file's name. */
export const durableBytes = (node: Node | null): Uint8Array =>
  node?.kind === 'file' ? node.durable : new Uint8Array(0);

function fault(disk: Disk, code: string): DiskError {
  disk.failures += 1;
  return new DiskError(code, code === 'ENOSPC' ? 'no space left on device' : 'i/o error');
}

/** Writes; on a full or failing disk a first part at most, and throws. */
export function writeBytes(
  disk: Disk,
  node: Node,
  bytes: Uint8Array,
  at: number,
  dice: Dice,
): void {
  if (node.kind === 'folder') throw new DiskError('EISDIR', 'illegal operation on a directory');
  const grows = at + bytes.length > node.size;
  if (disk.failing > 0 || (disk.full && grows)) {
    const code = disk.failing > 0 ? 'EIO' : 'ENOSPC';
    disk.failing = Math.max(0, disk.failing - 1);
    put(node, bytes.subarray(0, dice.whole(0, bytes.length - 1)), at);
    throw fault(disk, code);
  }
  put(node, bytes, at);
}

export function put(file: FileNode, bytes: Uint8Array, at: number): void {
  const end = at + bytes.length;
  if (end > file.bytes.length) {
    const larger = new Uint8Array(Math.max(2 * file.bytes.length, end));
    larger.set(file.bytes.subarray(0, file.size));
    file.bytes = larger;
  }
  file.bytes.set(bytes, at);
  file.size = Math.max(file.size, end);
  const { from, to } = file.dirty ?? { from: at, to: end };
  file.dirty = { from: Math.min(from, at), to: Math.max(to, end) };
}

export function sync(disk: Disk, node: Node): void {
  if (disk.failing > 0) {
    disk.failing -= 1;
    throw fault(disk, 'EIO');
  }
  if (node.kind === 'folder') {
    for (const act of node.pending.splice(0)) act(node.durable);
    return;
  }
  if (node.dirty === null && node.durable.length === node.size) return;
  node.durable = node.bytes.slice(0, node.size);
  node.dirty = null;
}

/** The power fails: what is left is what the platter holds. */
export function cutPower(disk: Disk, dice: Dice): void {
  const settle = (node: Node): void => {
    if (node.kind === 'file') {
      settleFile(node, dice);
      return;
    }
    const kept = dice.chance(0.3) ? node.pending.length : dice.whole(0, node.pending.length);
    for (const act of node.pending.slice(0, kept)) act(node.durable);
    node.pending = [];
    node.names = new Map(node.durable);
    for (const child of node.names.values()) settle(child);
  };
  settle(disk.root);
  disk.full = false;
  disk.failing = 0;
}

function settleFile(file: FileNode, dice: Dice): void {
  if (file.dirty !== null) {
    const luck = dice.draw();
    // Nothing of it, all of it, or any sectors of it.
    if (luck >= 0.3) file.durable = survivors(file, luck >= 0.6 ? dice : null);
  }
  file.size = file.durable.length;
  file.bytes = file.durable.slice();
  file.dirty = null;
}

function survivors({ bytes, size, durable }: FileNode, dice: Dice | null): Uint8Array {
  const [least, most] = [Math.min(size, durable.length), Math.max(size, durable.length)];
  const held = new Uint8Array(dice?.whole(least, most) ?? size);
  held.set(durable.subarray(0, held.length));
  for (let at = 0; at < held.length; at += sector) {
    const end = Math.min(at + sector, size, held.length);
    if (end > at && (dice === null || dice.chance(0.5))) held.set(bytes.subarray(at, end), at);
  }
  return held;
}
