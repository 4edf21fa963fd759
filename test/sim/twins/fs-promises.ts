/**
 * `node:fs/promises` on the simulated disk: every operation is one of the current process, takes
 * its time, can be the one at which the process dies, and never ends in a process that is dead.
 *
 * Only what the shipped programs use is here; another import fails when it is linked.
 */
import {
  bytesIn,
  type Disk,
  DiskError,
  find,
  linkNode,
  listNames,
  makeFolder,
  type Node,
  newDisk,
  openFile,
  put,
  removeName,
  renameNode,
  sync,
  truncate as cut,
  writeBytes,
} from '../disk.ts';
import { effect, frozen, later, type Process, tell, violated, world } from '../world.ts';

/** The one disk of the world; all coordinators share it. */
export const machine: { disk: Disk; slow: number; handles: Map<Process, number> } = {
  disk: newDisk(),
  slow: 1,
  handles: new Map(),
};

export function beginDisk(): void {
  machine.disk = newDisk();
  machine.slow = 1;
  machine.handles = new Map();
}

/** Open files of one process: more than this is a leak. */
const handlesMax = 24;

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** One operation: now or after a while, in the name of the process that asked. */
function operation<T>(what: string, ms: number, act: () => T, half?: () => void): Promise<T> {
  if (world.current?.stopped && world.current.alive)
    return new Promise((resolve, reject) => {
      frozen(() => operation(what, ms, act, half).then(resolve, reject));
    });
  if (!effect(what, half)) return never<T>();
  tell('disk', what);
  const { current, dice } = world;
  let result: T;
  try {
    result = act();
  } catch (error) {
    tell('disk', () => `  ${(error as Error).message}`);
    return Promise.reject(error as Error);
  }
  if (dice.disk.chance(0.6)) return Promise.resolve(result);
  return new Promise((resolve) => {
    later(current, dice.disk.between(0.02, ms) * machine.slow, () => resolve(result));
  });
}

const encode = (data: string | Uint8Array): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : data;

class Handle {
  private readonly node: Node;
  private readonly path: string;
  private at = 0;
  private open = true;
  constructor(node: Node, path: string) {
    this.node = node;
    this.path = path;
  }

  private check(): void {
    if (!this.open) throw new DiskError('EBADF', `bad file descriptor, '${this.path}'`);
  }

  private put(what: string, bytes: Uint8Array, at: number): Promise<void> {
    const { node } = this;
    const half = () => {
      const first = Math.floor(bytes.length / 2);
      if (node.kind === 'file') put(node, bytes.subarray(0, first), at);
    };
    const act = () => {
      this.check();
      writeBytes(machine.disk, node, bytes, at, world.dice.disk);
    };
    return operation(`${what} ${this.path} [${at}, ${at + bytes.length})`, 0.5, act, half);
  }

  async writeFile(data: string | Uint8Array): Promise<void> {
    const bytes = encode(data);
    const { at } = this;
    this.at += bytes.length;
    await this.put('append', bytes, at);
  }

  async write(bytes: Uint8Array, from: number, length: number, at: number) {
    await this.put('write', bytes.slice(from, from + length), at);
    return { bytesWritten: length };
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number) {
    return operation(`read ${this.path}`, 0.5, () => {
      this.check();
      const part = bytesIn(this.node).subarray(position, position + length);
      buffer.set(part, offset);
      return { bytesRead: part.length };
    });
  }

  stat() {
    return operation(`stat ${this.path}`, 0.2, () => ({
      size: this.node.kind === 'file' ? this.node.size : 0,
    }));
  }

  private flush(what: string): Promise<void> {
    return operation(`${what} ${this.path}`, 20, () => {
      this.check();
      sync(machine.disk, this.node);
    });
  }

  sync(): Promise<void> {
    return this.flush('fsync');
  }

  datasync(): Promise<void> {
    return this.flush('fdatasync');
  }

  truncate(size = 0): Promise<void> {
    return operation(`truncate ${this.path} to ${size}`, 0.2, () => {
      if (this.node.kind === 'file') cut(this.node, size);
    });
  }

  async close(): Promise<void> {
    const { current } = world;
    if (this.open && current !== null)
      machine.handles.set(current, (machine.handles.get(current) ?? 1) - 1);
    this.open = false;
    await operation(`close ${this.path}`, 0.1, () => undefined);
  }

  async *createReadStream({ encoding }: { encoding: 'utf8' }): AsyncGenerator<string> {
    const bytes = await operation(`read ${this.path} to its end`, 1, () =>
      bytesIn(this.node).slice(),
    );
    await this.close();
    const text = Buffer.from(bytes).toString(encoding);
    const half = world.dice.disk.whole(0, text.length);
    if (half > 0) yield text.slice(0, half);
    if (half < text.length) yield text.slice(half);
  }
}

export type FileHandle = Handle;

export function open(path: string, flags = 'r'): Promise<Handle> {
  return operation(`open ${path} (${flags})`, 0.5, () => {
    const node = openFile(machine.disk, path, flags);
    const { current } = world;
    if (current !== null) {
      const count = (machine.handles.get(current) ?? 0) + 1;
      machine.handles.set(current, count);
      if (count > handlesMax) violated(`${current.name} holds ${count} open files`);
    }
    return new Handle(node, path);
  });
}

export async function readFile(path: string, encoding?: 'utf8'): Promise<Buffer | string> {
  const bytes = await operation(`read all of ${path}`, 1, () => {
    const node = find(machine.disk, path);
    if (node === null) throw new DiskError('ENOENT', `no such file or directory, '${path}'`);
    return Buffer.from(bytesIn(node));
  });
  return encoding === undefined ? bytes : bytes.toString(encoding);
}

export async function writeFile(path: string, data: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(data);
  } finally {
    await handle.close();
  }
}

export const rename = (from: string, to: string): Promise<void> =>
  operation(`rename ${from} to ${to}`, 0.5, () => renameNode(machine.disk, from, to));

export const link = (from: string, to: string): Promise<void> =>
  operation(`link ${from} as ${to}`, 0.3, () => linkNode(machine.disk, from, to));

export const rm = (path: string, options: { force?: boolean } = {}): Promise<void> =>
  operation(`rm ${path}`, 0.5, () => {
    if (!removeName(machine.disk, path) && options.force !== true)
      throw new DiskError('ENOENT', `no such file or directory, '${path}'`);
  });

export const unlink = (path: string): Promise<void> => rm(path);

export const mkdir = (path: string, options: { recursive?: boolean } = {}) =>
  operation(`mkdir ${path}`, 0.3, () => makeFolder(machine.disk, path, options.recursive === true));

export const readdir = (path: string): Promise<string[]> =>
  operation(`readdir ${path}`, 0.3, () => listNames(machine.disk, path));

const inodes = new WeakMap<Node, number>();
let lastInode = 0;

function inodeOf(node: Node): number {
  const known = inodes.get(node);
  if (known !== undefined) return known;
  lastInode += 1;
  inodes.set(node, lastInode);
  return lastInode;
}

const statOf = (path: string) => {
  const node = find(machine.disk, path);
  if (node === null) throw new DiskError('ENOENT', `no such file or directory, '${path}'`);
  return {
    size: node.kind === 'file' ? node.size : 0,
    ino: inodeOf(node),
    dev: 1,
    isFile: () => node.kind === 'file',
    isDirectory: () => node.kind === 'folder',
  };
};

export const stat = (path: string) => operation(`stat ${path}`, 0.2, () => statOf(path));

export const access = (path: string): Promise<void> =>
  operation(`access ${path}`, 0.2, () => void statOf(path));

export const truncate = async (path: string, size = 0): Promise<void> => {
  const handle = await open(path, 'r+');
  await handle.truncate(size);
  await handle.close();
};

export async function copyFile(from: string, to: string): Promise<void> {
  await writeFile(to, (await readFile(from)) as Buffer);
}
