/**
 * What must hold in every history, watched while it happens and looked over at its end.
 *
 * - The result: ledger and checkpoint equal to the unfaulted run's, byte for byte (`oracle.ts`).
 *   With it each leaf was summed once a step, in tree order, from its own samples.
 * - Commits: what is announced is durable by then, in the file that has the ledger's name; nothing
 *   announced is ever missing afterwards, whatever dies.
 * - Fencing: no gradient is pulled that its worker has not offered to this very generation.
 * - The events: numbered without gaps, every commit told.
 * - Lies: with `--audit 1` all of this holds with a worker that computes wrongly; below, from its
 *   conviction on, at the end (who was honest is never convicted, see `cluster.ts`).
 * - Bounds: messages unread, files open, files left over (see the twins).
 */
import type { RunEvent } from '../../shared/core/events.ts';
import type { BucketWish, ConverseRequest, ConverseResponse } from '../../shared/wire/messages.ts';
import { bytesIn, type Disk, durableBytes, find, listNames, type Node } from './disk.ts';
import { epochMs } from './machine.ts';
import { network } from './network.ts';
import type { Expected } from './oracle.ts';
import type { Stream } from './stream.ts';
import { machine } from './twins/fs-promises.ts';
import { violated } from './world.ts';

export const runFolder = '/disk/run';

const text = (node: Node | null): string =>
  node?.kind === 'file' ? Buffer.from(bytesIn(node)).toString('utf8') : '';

/** The file from which the next coordinator would go on. */
function newestLedger(disk: Disk): Node | null {
  const names = find(disk, runFolder) === null ? [] : listNames(disk, runFolder);
  const [newest] = names
    .filter((name) => /^ledger\.jsonl\.\d+$/.test(name))
    .sort((a, b) => Number(b.slice(13)) - Number(a.slice(13)));
  return find(disk, `${runFolder}/${newest ?? 'ledger.jsonl'}`);
}

const linesOf = (all: string): string[] => {
  const lines = all.split('\n');
  // What follows the last newline is torn.
  lines.pop();
  return lines;
};

type NodeName = Pick<BucketWish, 'step' | 'level' | 'index'>;

export interface Checkers {
  /** Steps announced as committed so far. */
  readonly announced: number;
  /** Workers that were told that they compute wrongly. */
  readonly convicts: ReadonlySet<string>;
  /** After each death of a coordinator: what was announced is still there. */
  afterDeath(): void;
  /** The run was ended early: what there is, is the unfaulted run's. */
  atStop(result: { digest: string; step: number }): void;
  atEnd(result: { digest: string; step: number }, options: { tornEvents: boolean }): void;
}

/** `mayErr`: a lie may have been committed, and is only to be gone once its maker is convicted. */
export function watch(disk: () => Disk, expected: Expected, mayErr: boolean): Checkers {
  let announced = 0;
  let told = -1;
  const convicts = new Set<string>();

  /** The ledger as a power cut now would leave it, its name taken as it stands. */
  const durableLines = () =>
    linesOf(Buffer.from(durableBytes(newestLedger(disk()))).toString('utf8'));

  /** The generation that each worker's control stream was welcomed by. */
  const welcomed = new WeakMap<Stream, number>();
  /** Nodes that workers said they have, by worker and generation. */
  const offered = new Set<string>();
  const nameOf = (worker: string, generation: unknown, node: NodeName) =>
    `${worker} ${String(generation)} ${node.step}/${node.level}/${node.index}`;

  network.onMessage = (stream: Stream, message: unknown) => {
    if (stream.side === 'client') {
      const { nodeReady, ready } = message as ConverseRequest;
      for (const node of ready?.held ?? [])
        offered.add(nameOf(stream.owner.name, welcomed.get(stream), node));
      if (nodeReady) offered.add(nameOf(stream.owner.name, nodeReady.generation, nodeReady));
      return;
    }
    if (stream.method === 'pushGradients') {
      const metadata = stream.metadata as { get(name: string): unknown[] };
      const [worker] = metadata.get('worker');
      const wish = message as BucketWish;
      const name = nameOf(String(worker), metadata.get('generation')[0], wish);
      if (!offered.has(name)) violated(`a node is pulled that was not offered: ${name}`);
      return;
    }
    if (stream.method !== 'converse') return;
    const { stepCommitted, welcome, refused } = message as ConverseResponse;
    if (welcome && stream.peer) welcomed.set(stream.peer, welcome.generation);
    if (refused?.code === 'quarantined' && stream.peer) convicts.add(stream.peer.owner.name);
    if (!stepCommitted) return;
    const { step, weightsHash } = stepCommitted;
    if (mayErr) {
      if (step === told) return;
      told = step;
      const line = durableLines()[step];
      const record = line === undefined ? null : (JSON.parse(line) as { weights: string });
      if (record?.weights !== weightsHash)
        violated(`step ${step} is announced before its record is durable`);
      return;
    }
    if (weightsHash !== expected.weights[step + 1])
      violated(`step ${step} is announced with other weights than the unfaulted run has`);
    if (step < announced) return;
    if (durableLines()[step] !== expected.lines[step])
      violated(`step ${step} is announced before its record is durable`);
    announced = step + 1;
  };

  const ledgerFault = (lines: readonly string[]): string | null => {
    if (lines.length < announced)
      return `the ledger holds ${lines.length} steps where ${announced} were announced`;
    const other = lines.findIndex((line, step) => line !== expected.lines[step]);
    return other < 0 ? null : `record ${other} is not the unfaulted run's`;
  };

  return {
    get announced() {
      return announced;
    },
    convicts,
    afterDeath() {
      if (mayErr) return;
      const fault = ledgerFault(linesOf(text(newestLedger(disk()))));
      if (fault !== null) violated(`after the death of a coordinator ${fault}`);
    },
    atStop({ digest, step }) {
      const lines = linesOf(text(find(disk(), `${runFolder}/ledger.jsonl`)));
      if (lines.length !== step) violated(`${lines.length} records after ${step} steps`);
      const fault = ledgerFault(lines);
      if (fault !== null) violated(fault);
      if (digest !== expected.digests[step]) violated(`the digest is ${digest}`);
    },
    atEnd({ digest, step }, { tornEvents }) {
      const lines = linesOf(text(find(disk(), `${runFolder}/ledger.jsonl`)));
      if (step !== expected.lines.length) violated(`the run ended after ${step} steps`);
      if (lines.length !== expected.lines.length)
        violated(`the ledger ends with ${lines.length} steps`);
      // A lie that no audit met stays; once its maker is convicted nothing of it may.
      if (mayErr && convicts.size === 0) return;
      const fault = ledgerFault(lines);
      if (fault !== null) violated(fault);
      if (digest !== expected.digests[step]) violated(`the digest is ${digest}`);
      checkEvents(linesOf(text(find(disk(), `${runFolder}/events.jsonl`))), expected, tornEvents);
      checkLeftOver(disk());
    },
  };
}

export interface Mark {
  kind: string;
  /** Virtual milliseconds. */
  ms: number;
}

/** What the events of the run tell, and when each was written. */
export function marksNow(): Mark[] {
  const events = text(find(machine.disk, `${runFolder}/events.jsonl`));
  return linesOf(events).flatMap((line) => {
    try {
      const { kind, time } = JSON.parse(line) as RunEvent;
      return [{ kind, ms: Date.parse(time) - epochMs }];
    } catch {
      return [];
    }
  });
}

function checkEvents(lines: readonly string[], expected: Expected, tornEvents: boolean): void {
  const told = new Set<string>();
  let seq = 0;
  for (const line of lines) {
    let event: RunEvent;
    try {
      event = JSON.parse(line) as RunEvent;
    } catch {
      if (tornEvents) continue;
      violated(`a line of events.jsonl is no event: ${line.slice(0, 80)}`);
      return;
    }
    if (event.seq <= seq) violated(`event ${event.seq} follows event ${seq}`);
    if (event.seq !== seq + 1 && !tornEvents) violated(`event ${event.seq} follows event ${seq}`);
    seq = event.seq;
    if (event.kind === 'step-committed') told.add(event.record);
  }
  if (tornEvents) return;
  const missing = expected.lines.findIndex(
    (line) => !told.has((JSON.parse(line) as { hash: string }).hash),
  );
  if (missing >= 0) violated(`no event tells of the commit of step ${missing}`);
}

/** Names in a folder: what belongs there, and what crashes may leave until the next life tidies. */
const namesMax = 24;

function checkLeftOver(disk: Disk): void {
  for (const part of ['', '/checkpoints', '/warm']) {
    const names = listNames(disk, runFolder + part);
    if (names.length > namesMax) violated(`too much lies in ${part}: ${names.join(' ')}`);
  }
}
