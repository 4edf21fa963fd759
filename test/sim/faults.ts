/** What each fault of a scenario does to the cluster, and how it ends. */
import { unreachable } from '../../shared/core/unreachable.ts';
import type { Cluster, Member } from './cluster.ts';
import { cutPower } from './disk.ts';
import { breakConnection, hold, network, release, vanish } from './network.ts';
import type { Fault } from './scenario.ts';
import type { Stream } from './stream.ts';
import { machine } from './twins/fs-promises.ts';
import { kill, later, type Process, resume, stop, tell, world } from './world.ts';

const connectionsOf = (process: Process | null) =>
  [...network.connections].filter(({ client }) => client === process);

export function faultsFor(cluster: Cluster, fault: Fault): void {
  const { members, leaders } = cluster;
  const member = 'worker' in fault ? (members[fault.worker] as Member) : null;
  const process = member?.process ?? null;
  const leader = leaders.at(-1) ?? null;
  switch (fault.kind) {
    case 'kill-worker':
      if (process === null || member === null) return;
      kill(process, 'is killed');
      later(null, fault.awayMs, () => cluster.startWorker(member));
      return;
    case 'stop-worker':
      if (process === null) return;
      stop(process);
      later(null, fault.awayMs, () => resume(process));
      return;
    case 'slow-worker':
      if (process === null || member === null) return;
      member.slow = 10;
      process.slow = 10;
      later(null, fault.awayMs, () => {
        member.slow = 1;
        if (member.process) member.process.slow = 1;
      });
      return;
    case 'end-worker':
      if (process?.alive !== true || process.stopped) return;
      later(process, 0, () => member?.end.abort(new Error('SIGTERM')));
      return;
    case 'drain-worker': {
      if (leader === null || process === null) return;
      const { process: asked } = leader;
      const server = network.servers.findLast((one) => one.process === asked && one.listening);
      const call = { request: { worker: process.name } } as unknown as Stream;
      later(asked, 0, () => void server?.handlers['drainWorker']?.(call, () => undefined));
      return;
    }
    case 'break-connections':
      for (const connection of connectionsOf(process)) breakConnection(connection);
      return;
    case 'half-open':
      for (const connection of connectionsOf(process)) vanish(connection);
      return;
    case 'partition':
      partition(
        fault.workers.map((index) => members[index] as Member),
        fault.forMs,
      );
      return;
    case 'replay':
      replay(process, fault.results);
      return;
    case 'kill-coordinator':
      if (leader === null) return;
      kill(leader.process, 'is killed');
      cluster.restartCoordinator(fault.awayMs);
      return;
    case 'kill-coordinator-at': {
      if (leader === null) return;
      const { process: victim } = leader;
      victim.trap = { left: fault.effects, when: fault.when };
      victim.onDeath.push(() => cluster.restartCoordinator(fault.awayMs));
      return;
    }
    case 'end-coordinator':
      if (leader === null) return;
      later(leader.process, 0, () => leader.end.abort(new Error('SIGTERM')));
      return;
    case 'power-cut':
      cluster.diskFaults = true;
      for (const { process: victim } of [...leaders]) kill(victim, 'loses power');
      cutPower(machine.disk, world.dice.disk);
      cluster.checkers.afterDeath();
      cluster.restartCoordinator(fault.awayMs);
      return;
    case 'usurp':
      if (leader === null) return;
      stop(leader.process);
      cluster.startCoordinator();
      later(null, fault.stoppedMs, () => resume(leader.process));
      return;
    case 'usurp-at': {
      if (leader === null) return;
      const { process: victim } = leader;
      const caught = () => {
        cluster.startCoordinator();
        later(null, fault.stoppedMs, () => resume(victim));
      };
      victim.trap = { left: fault.effects, when: 'stopped', caught };
      // At a look at the fence: what follows is done on the strength of it.
      if (fault.atFence) victim.trap.of = 'access';
      return;
    }
    case 'disk-full':
      cluster.diskFaults = true;
      machine.disk.full = true;
      later(null, fault.forMs, () => {
        machine.disk.full = false;
      });
      return;
    case 'disk-fails':
      cluster.diskFaults = true;
      machine.disk.failing += fault.operations;
      later(null, 2000, () => {
        machine.disk.failing = 0;
      });
      return;
    case 'disk-slow':
      machine.slow = 20;
      later(null, fault.forMs, () => {
        machine.slow = 1;
      });
      return;
    default:
      unreachable(fault);
  }
}

function partition(members: Member[], forMs: number): void {
  const cut = members.flatMap(({ process }) => (process === null ? [] : [process]));
  for (const process of cut) {
    network.cut.add(process);
    for (const connection of connectionsOf(process)) hold(connection);
  }
  later(null, forMs, () => {
    tell('fault', `the partition of ${cut.map(({ name }) => name).join(' ')} heals`);
    for (const process of cut) {
      network.cut.delete(process);
      for (const connection of connectionsOf(process)) release(connection);
    }
  });
}

/** Results seen on their way before, on the worker's newest control stream. */
function replay(process: Process | null, results: number): void {
  if (process === null) return;
  const seen = network.results.filter(({ from }) => from === process.name);
  const streams = connectionsOf(process).flatMap(({ streams: all }) => [...all]);
  const control = streams.find(({ method, side }) => method === 'converse' && side === 'client');
  for (let i = 0; i < results && seen.length > 0; i += 1)
    control?.replay(world.dice.faults.oneOf(seen).message);
}
