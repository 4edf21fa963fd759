/**
 * The sample list as text: `samples.jsonl` of a run folder, and what a worker is sent on joining.
 *
 * One JSON object a line, samples first and in order (a sample's index is its place), then the
 * files that indexing left out. Keys stand in one order, so equal lists are equal bytes.
 */
import { Failure } from '../core/failures.ts';
import type { LeftOut, Sample } from '../core/sample.ts';

/**
 * The list, or a stretch of it, as text with a newline after each line. Samples must stand in
 * index order without gaps; texts of stretches that follow each other are joined as they are.
 */
export function samplesToJsonl(
  samples: readonly Sample[],
  leftOut: readonly LeftOut[] = [],
): string {
  const first = samples[0]?.index ?? 0;
  const lines = samples.map(({ path, sha256, bytes, label }, place) => {
    if (samples[place]!.index !== first + place) {
      throw new Error(
        `sample ${path} of index ${samples[place]!.index} stands at ${first + place}`,
      );
    }
    return `${JSON.stringify({ path, sha256, bytes, label })}\n`;
  });
  for (const { path, reason } of leftOut) {
    lines.push(`${JSON.stringify({ path, leftOut: reason })}\n`);
  }
  return lines.join('');
}

/** The samples of a list. Throws `bad-message`, naming the line that is not as written here. */
export function parseSamples(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const { record, line } of records(text)) {
    if ('leftOut' in record) continue;
    const { path, sha256, bytes, label } = record;
    const whole =
      typeof path === 'string' &&
      path !== '' &&
      typeof sha256 === 'string' &&
      /^[0-9a-f]{64}$/.test(sha256) &&
      typeof bytes === 'number' &&
      Number.isSafeInteger(bytes) &&
      bytes >= 0 &&
      (label === null || typeof label === 'string');
    if (!whole) throw badLine(line, 'path, sha256 (64 hex digits), bytes and label');
    samples.push({ index: samples.length, path, sha256, bytes, label });
  }
  return samples;
}

/** The files that indexing left out. Throws as `parseSamples` does. */
export function parseLeftOut(text: string): LeftOut[] {
  const leftOut: LeftOut[] = [];
  for (const { record, line } of records(text)) {
    if (!('leftOut' in record)) continue;
    const { path, leftOut: reason } = record;
    if (typeof path !== 'string' || typeof reason !== 'string') {
      throw badLine(line, 'path and leftOut');
    }
    leftOut.push({ path, reason });
  }
  return leftOut;
}

function* records(text: string): Generator<{ record: Record<string, unknown>; line: number }> {
  let line = 0;
  let start = 0;
  while (start < text.length) {
    line++;
    const newline = text.indexOf('\n', start);
    // A list that was cut short must not pass for a shorter one.
    if (newline < 0) throw badLine(line, 'a newline at its end');
    yield { record: parseLine(text.slice(start, newline), line), line };
    start = newline + 1;
  }
}

function parseLine(source: string, line: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw badLine(line, 'one JSON object');
  }
  if (typeof value !== 'object' || value === null) throw badLine(line, 'one JSON object');
  return value as Record<string, unknown>;
}

function badLine(line: number, expected: string): Failure {
  return new Failure(
    'bad-message',
    `Line ${line} of the sample list: expected ${expected}, found something else. ` +
      'The list is damaged: take it from the run folder or the coordinator again.',
  );
}
