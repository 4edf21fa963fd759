/** Resident memory of a process, sampled while something is done to it (Linux). */
import { readFileSync } from 'node:fs';

const pageBytes = 4096;
const everyMs = 25;

/** Bytes; 0 where the process is gone. */
export function residentBytes(pid: number): number {
  try {
    return pageBytes * Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  } catch {
    return 0;
  }
}

export interface Watched {
  /** The most since it began. */
  peak(): number;
  end(): void;
}

export function watchMemory(pid: number): Watched {
  let peak = residentBytes(pid);
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(pid));
  }, everyMs);
  return {
    peak: () => Math.max(peak, residentBytes(pid)),
    end: () => clearInterval(timer),
  };
}
