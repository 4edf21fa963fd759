/**
 * WebDataset tars: images by name, classes from the member `.cls` (or `.json`) of the same stem.
 *
 * Names are only names: nothing is unpacked, no path is opened by them, links lead nowhere. A stem
 * is the path up to the first dot of its last part, as WebDataset has it. Where the archive ends
 * without its closing zeros it may still be whole; where it ends within a member it is damaged.
 */
import { Failure } from '../core/failures.ts';
import {
  blockBytes,
  decimal,
  metadataBytesMax,
  paddedBytes,
  paxRecords,
  type TarHeader,
  tarHeader,
} from '../wire/tar.ts';
import { imageName } from './folder-walk.ts';
import { imageBytesMax } from './image-header.ts';
import { damaged, type ShardEntry, type ShardFile, type ShardKind } from './shard.ts';

const nameBytesMax = 4096;
const classBytesMax = 64 * 1024;

/** What the header before a member says of it in its place. */
interface Override {
  name?: Uint8Array;
  size?: number;
}

/** A member that is a file, after GNU's and PAX's amendments. */
export interface TarMember {
  name: Uint8Array;
  offset: number;
  size: number;
  type: string;
}

/** Members of an archive in order, folders and metadata left away. Throws `data-damaged`. */
export async function* tarMembers(
  file: ShardFile,
  signal?: AbortSignal,
): AsyncGenerator<TarMember> {
  let override: Override = {};
  for (let at = 0; at < file.size; ) {
    if (signal?.aborted) throw new Failure('interrupted', `Indexing ${file.path} was interrupted.`);
    const block = await file.view(at, blockBytes);
    if (block === null) throw damaged(file, at, `${file.size - at} bytes where a header has 512`);
    const header = tarHeader(block);
    if (header === 'end') return;
    if ('fault' in header) throw damaged(file, at, `${header.fault}${hint(block, at)}`);
    const offset = at + blockBytes;
    const size = override.size ?? header.size;
    if (size > file.size - offset) {
      throw damaged(file, at, `a member of ${size} bytes, and ${file.size - offset} are left`);
    }
    if (isMetadata(header)) {
      override = { ...override, ...(await amendment(file, header, offset)) };
    } else {
      const name = override.name ?? header.name;
      override = {};
      if (header.type !== '5') yield { name, offset, size, type: header.type };
    }
    at = offset + paddedBytes(size);
  }
}

const isMetadata = ({ type }: TarHeader): boolean => ['L', 'K', 'x', 'g'].includes(type);

/** Compressed archives come here by a wrong name. */
function hint(block: Uint8Array, at: number): string {
  const gzip = at === 0 && block[0] === 0x1f && block[1] === 0x8b;
  return gzip ? ' (it is compressed: gunzip it first)' : '';
}

async function amendment(file: ShardFile, header: TarHeader, offset: number): Promise<Override> {
  const { type, size } = header;
  // Links' names, and what is said for all members, change no file's name or size.
  if (type === 'K' || type === 'g') return {};
  if (size > metadataBytesMax) throw damaged(file, offset, `a name or PAX header of ${size} bytes`);
  const bytes = Uint8Array.from((await file.view(offset, size)) ?? []);
  if (type === 'L') {
    const end = bytes.indexOf(0);
    return { name: end < 0 ? bytes : bytes.subarray(0, end) };
  }
  try {
    const records = paxRecords(bytes);
    const name = records.get('path');
    const written = records.get('size');
    const length = written === undefined ? undefined : decimal(written);
    if (length === null) throw new Error('a PAX size that is no number');
    return { ...(name ? { name } : {}), ...(length === undefined ? {} : { size: length }) };
  } catch (error) {
    throw damaged(file, offset, (error as Error).message);
  }
}

/** A name as a path of the sample list, or null where it is not UTF-8. */
export function memberPath(name: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(name);
    return text.normalize('NFC').replace(/^(\.\/+)+/, '');
  } catch {
    return null;
  }
}

function stemOf(path: string): string {
  const folder = path.lastIndexOf('/') + 1;
  const dot = path.indexOf('.', folder);
  return dot < 0 ? path : path.slice(0, dot);
}

/** Why a member is no sample by its name and type; null where it may be one. */
function unfit(member: TarMember, path: string | null): string | null {
  if (path === null || path.includes('\0')) return 'its name is not UTF-8';
  if (member.name.length > nameBytesMax) return `a name of more than ${nameBytesMax} bytes`;
  if (path.split('/').some((part) => part.startsWith('.') && !/^\.\.?$/.test(part)))
    return 'hidden';
  if (!['0', '7'].includes(member.type)) return 'neither a file nor a folder';
  if (!imageName.test(path)) return 'not an image by its name';
  if (member.size === 0) return 'an empty file';
  if (member.size > imageBytesMax) return `larger than ${imageBytesMax} bytes`;
  return null;
}

async function entries(file: ShardFile, signal?: AbortSignal): Promise<ShardEntry[]> {
  const found: ShardEntry[] = [];
  const classes = new Map<string, string>();
  let index = 0;
  for await (const member of tarMembers(file, signal)) {
    const path = memberPath(member.name);
    const said = path === null ? null : await classIn(file, member, path);
    if (path !== null && said !== null) classes.set(stemOf(path), said);
    const reason = said === null ? unfit(member, path) : null;
    const name = path === null || member.name.length > nameBytesMax ? null : path;
    if (reason !== null) found.push({ name, index, reason });
    else if (said === null) {
      found.push({ name, index, offset: member.offset, bytes: member.size, label: null });
    }
    index++;
  }
  return found.map((entry) =>
    'reason' in entry || entry.name === null
      ? entry
      : { ...entry, label: classes.get(stemOf(entry.name)) ?? null },
  );
}

/** The class that a member `.cls` or `.json` gives to its stem; null where it is none. */
async function classIn(file: ShardFile, member: TarMember, path: string): Promise<string | null> {
  const kind = /\.(cls|json)$/i.exec(path)?.[1]?.toLowerCase();
  if (kind === undefined || member.type !== '0' || member.size > classBytesMax) return null;
  const bytes = await file.view(member.offset, member.size);
  const text = Buffer.from(bytes ?? [])
    .toString('utf8')
    .trim();
  if (kind === 'cls') return text === '' || text.length > 256 ? null : text;
  try {
    const { label } = JSON.parse(text) as { label?: unknown };
    return typeof label === 'string' || typeof label === 'number' ? String(label) : null;
  } catch {
    return null;
  }
}

export const tarShard: ShardKind = { kind: 'tar', entries, classFiles: [] };
