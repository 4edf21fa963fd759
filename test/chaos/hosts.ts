/**
 * Where the processes of a chaos run live: all on loopback, or each on a host of its own.
 *
 * A host is a network namespace whose only device is a tun device; a relay of ours (`relay.py`) sits
 * between them, delays every packet and drops a share of them, and can cut hosts off from the rest.
 * This needs Linux, root, `ip` (iproute2), Python 3 and /dev/net/tun. Packets never leave the machine.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../support/nats-server.ts';

const call = promisify(execFile);
const relayProgram = fileURLToPath(new URL('../../../test/chaos/relay.py', import.meta.url));
const relayReadyMs = 15_000;
const port = 7070;
/** As on most links. */
const packetBytes = 1500;

export interface PacketCounts {
  passed: number;
  bytes: number;
  lost: number;
  cut: number;
  overflow: number;
}

export interface Hosts {
  /** Where the coordinator listens. */
  listen: string;
  /** Program and arguments of a Node process on the host of the coordinator (0) or of a worker. */
  command(host: number, args: readonly string[]): [program: string, args: string[]];
  /** Cuts these hosts off from all others; none: everybody hears everybody. */
  cut(hosts: readonly number[]): void;
  /** What the relay has done; null on loopback. */
  packets(): Promise<PacketCounts | null>;
  close(): Promise<void>;
}

/** All on this host's loopback: nothing is delayed, nobody can be cut off. */
export async function loopback(): Promise<Hosts> {
  return {
    listen: `127.0.0.1:${await freePort()}`,
    command: (_, args) => [process.execPath, [...args]],
    cut: (hosts) => {
      if (hosts.length > 0) throw new Error('a partition needs network namespaces: --network');
    },
    packets: async () => null,
    close: async () => undefined,
  };
}

/** Why network namespaces cannot be had here, or null. */
export function namespacesRefusal(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are a part of Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces takes root';
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun';
  const paths = (process.env['PATH'] ?? '').split(':');
  for (const program of ['ip', 'python3'])
    if (!paths.some((path) => existsSync(`${path}/${program}`))) return `${program} is missing`;
  return null;
}

export interface LinkOptions {
  /** Hosts beside the coordinator's. */
  workers: number;
  delayMs: number;
  /** Share of packets that are lost, each way. */
  loss: number;
  seed: number;
  /** TCP congestion control of all hosts, or the kernel's own. */
  congestion: string | null;
}

const address = (host: number) => `10.77.0.${host + 1}`;

/** A namespace for the coordinator and one for each worker, joined by the relay. */
export async function namespaces(options: LinkOptions): Promise<Hosts> {
  const refusal = namespacesRefusal();
  if (refusal !== null) throw new Error(`--network cannot be had here: ${refusal}`);
  const spaces = Array.from({ length: options.workers + 1 }, (_, i) => `chaos-${process.pid}-${i}`);
  const devices = spaces.map((_, i) => `ch${process.pid}-${i}`);
  const { delayMs, loss, seed, congestion } = options;
  const relay = await startRelay([`${delayMs}`, `${loss}`, `${seed}`, ...devices]);
  const made: string[] = [];
  const close = async (): Promise<void> => {
    relay.stdin?.end();
    relay.kill('SIGTERM');
    for (const space of made) await call('ip', ['netns', 'del', space]).catch(() => undefined);
  };
  try {
    for (const [host, space] of spaces.entries()) {
      const device = devices[host] as string;
      await call('ip', ['netns', 'add', space]);
      made.push(space);
      await call('ip', ['link', 'set', device, 'netns', space]);
      for (const words of [
        `addr add ${address(host)}/24 dev ${device}`,
        `link set dev ${device} mtu ${packetBytes} up`,
        'link set dev lo up',
      ])
        await call('ip', ['-n', space, ...words.split(' ')]);
      if (congestion === null) continue;
      const write = `echo ${congestion} > /proc/sys/net/ipv4/tcp_congestion_control`;
      await call('ip', ['netns', 'exec', space, 'sh', '-c', write]).catch((cause: unknown) => {
        throw new Error(`this kernel has no --congestion ${congestion}`, { cause });
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    listen: `${address(0)}:${port}`,
    command: (host, args) => [
      'ip',
      ['netns', 'exec', spaces[host] as string, process.execPath, ...args],
    ],
    cut: (hosts) =>
      void relay.stdin?.write(hosts.length ? `cut ${hosts.map(address).join(' ')}\n` : 'heal\n'),
    packets: async () => {
      const line = nextLine(relay);
      relay.stdin?.write('count\n');
      return JSON.parse(await line) as PacketCounts;
    },
    close,
  };
}

async function startRelay(args: string[]): Promise<ChildProcess> {
  const relay = spawn('python3', [relayProgram, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  relay.stdin?.on('error', () => undefined);
  try {
    await nextLine(relay);
  } catch (error) {
    relay.kill('SIGKILL');
    throw error;
  }
  return relay;
}

/** The next line of the relay's answers. */
function nextLine(relay: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the relay does not answer')), relayReadyMs);
    relay.once('exit', (code) => reject(new Error(`the relay ended with ${code}`)));
    relay.stdout?.once('data', (data) => {
      clearTimeout(late);
      resolve(String(data).trim());
    });
  });
}
