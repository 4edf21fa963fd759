/**
 * What TensorFlow prints on its own account, past every switch that it has: told apart from what
 * somebody has to read.
 */

import { parseLogLine } from './log.ts';

/**
 * Lines in which it tells about itself. Warnings and errors are none, but for one: that uint8 has no
 * kernel in oneDNN here. It is about the cast of the pixels, which another kernel does as well.
 */
export function isChatter(line: string): boolean {
  return (
    /^(I\d{4} |WARNING: All log messages before absl|To enable the following instr)/.test(line) ||
    /^E\d{4} .* oneDNN supports DT_U?INT8 only on platforms with AVX-512/.test(line)
  );
}

/** What a worker says and nobody asked for without --verbose: that, and that all is as it should be. */
export const isUnasked = (line: string): boolean =>
  isChatter(line) || parseLogLine(line)?.level === 'info';

/** Without the time and the process, by which two workers' lines of the same words differ. */
export function withoutStamp(line: string): string {
  return line.replace(/^([WEF])\d{4} [\d:.]+ +\d+ /, '$1 ');
}
