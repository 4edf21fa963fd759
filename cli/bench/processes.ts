/**
 * What Linux's /proc says of processes and groups of processes: processor time, peak of memory.
 *
 * Elsewhere, and of processes that are gone, there is no answer, which is null and never a guess.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second in /proc, everywhere that Linux runs today. */
const ticksPerSecond = 100;

interface Told {
  pid: number;
  group: number;
  /** Processor time of the process and its threads, seconds. */
  seconds: number;
}

/** What Linux's /proc says of a process; null where it is gone. */
export function processOf(pid: number): Told | null {
  try {
    // `pid (name) state parent group ...`; the name may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    return { pid, group: Number(fields[2]), seconds };
  } catch {
    return null;
  }
}

/** The processes of a group; none where there is no /proc. */
function groupOf(group: number): Told[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => processOf(Number(name)))
      .filter((told): told is Told => told?.group === group);
  } catch {
    return [];
  }
}

/** Processor time of a group's processes; null where there is none, or no /proc. */
export function groupSeconds(group: number): number | null {
  const members = groupOf(group);
  return members.length === 0 ? null : members.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** Sum of `VmHWM` of a group's processes; null where the system does not say. */
export function groupPeakBytes(group: number): number | null {
  const peaks = groupOf(group).map(({ pid }) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0);
    } catch {
      return 0; // it ended meanwhile
    }
  });
  const sum = peaks.reduce((all, peak) => all + peak, 0);
  return sum > 0 ? sum : null;
}
