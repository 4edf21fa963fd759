/**
 * What a data set looks like before anyone trains on it: pure counting over its index.
 *
 * Equal files are found by hash and matter where they stand in two classes (one label must be
 * wrong) or on both sides of a split (what is measured was trained on).
 */
import type { LeftOut, Sample } from '../shared/core/sample.ts';
import { splitOf } from '../shared/core/split.ts';
import type { DatasetIndex } from '../shared/ports/dataset.ts';
import { bytes, count, oneLine, percent, plural, printable, table } from '../shared/core/format.ts';

export interface Spread {
  least: number;
  median: number;
  greatest: number;
}

export interface DataReport {
  data: string;
  images: number;
  fingerprint: string;
  /** By name; null: images without a class. */
  classes: { name: string | null; images: number; training: number; heldOut: number }[];
  bytes: Spread & { total: number };
  /** Of the sides in the files' headers, pixels; null where they are not known. */
  width: Spread | null;
  height: Spread | null;
  duplicates: {
    /** Contents that several images have. */
    contents: number;
    /** Images with such contents. */
    images: number;
    acrossClasses: number;
    acrossSplit: number;
    /** Paths of equal images; those across classes or the split first. */
    examples: string[][];
  };
  leftOut: { reason: string; files: number; examples: string[] }[];
  split: { seed: number; share: number; training: number; heldOut: number };
}

const examplesMax = 5;

function spread(values: number[]): Spread {
  values.sort((a, b) => a - b);
  const at = (share: number): number => values[Math.floor(share * (values.length - 1))] ?? 0;
  return { least: at(0), median: at(0.5), greatest: at(1) };
}

function duplicatesOf(samples: readonly Sample[], held: ReadonlySet<number>) {
  const byHash = new Map<string, Sample[]>();
  for (const sample of samples) {
    const same = byHash.get(sample.sha256);
    if (same === undefined) byHash.set(sample.sha256, [sample]);
    else same.push(sample);
  }
  const groups = [...byHash.values()].filter((same) => same.length > 1);
  const sides = (same: readonly Sample[], side: (s: Sample) => unknown): boolean =>
    new Set(same.map(side)).size > 1;
  const acrossClasses = groups.filter((same) => sides(same, (s) => s.label));
  const acrossSplit = groups.filter((same) => sides(same, (s) => held.has(s.index)));
  const telling = [...new Set([...acrossClasses, ...acrossSplit, ...groups])];
  return {
    contents: groups.length,
    images: groups.reduce((sum, same) => sum + same.length, 0),
    acrossClasses: acrossClasses.length,
    acrossSplit: acrossSplit.length,
    examples: telling
      .slice(0, examplesMax)
      .map((same) => same.slice(0, examplesMax).map((s) => s.path)),
  };
}

/** Reasons with the most files first; sizes within a reason are one reason. */
function reasonsOf(leftOut: readonly LeftOut[]): DataReport['leftOut'] {
  const byReason = new Map<string, LeftOut[]>();
  for (const one of leftOut) {
    const reason = one.reason.replace(/^\d+ × \d+ pixels, more/, 'more pixels');
    const others = byReason.get(reason);
    if (others === undefined) byReason.set(reason, [one]);
    else others.push(one);
  }
  return [...byReason]
    .map(([reason, files]) => ({
      reason,
      files: files.length,
      examples: files.slice(0, examplesMax).map(({ path }) => path),
    }))
    .sort((a, b) => b.files - a.files);
}

/** The report of an index under a split by seed and share. */
export function inspectIndex(
  data: string,
  index: DatasetIndex,
  split: { seed: number; share: number },
): DataReport {
  const { samples, leftOut, fingerprint, shapes } = index;
  const parts = splitOf(split.seed, split.share, samples.length);
  const held = new Set(parts.heldOut);
  const classes = new Map<string | null, { images: number; heldOut: number }>();
  for (const { label, index: place } of samples) {
    const counts = classes.get(label) ?? { images: 0, heldOut: 0 };
    counts.images += 1;
    if (held.has(place)) counts.heldOut += 1;
    classes.set(label, counts);
  }
  const side = (odd: 0 | 1): Spread | null =>
    shapes === undefined ? null : spread([...shapes].filter((_, i) => i % 2 === odd));
  return {
    data,
    images: samples.length,
    fingerprint,
    classes: [...classes]
      .map(([name, c]) => ({ name, ...c, training: c.images - c.heldOut }))
      .sort((a, b) => (a.name === null ? 1 : b.name === null ? -1 : a.name < b.name ? -1 : 1)),
    bytes: {
      ...spread(samples.map((s) => s.bytes)),
      total: samples.reduce((sum, s) => sum + s.bytes, 0),
    },
    width: side(0),
    height: side(1),
    duplicates: duplicatesOf(samples, held),
    leftOut: reasonsOf(leftOut),
    split: { ...split, training: parts.training.length, heldOut: parts.heldOut.length },
  };
}

const classesShown = 40;

function classTable({ classes, images, split }: DataReport): string {
  const parted = split.heldOut > 0;
  const rows = classes
    .slice(0, classesShown)
    .map((c) => [
      c.name === null ? '(no class)' : oneLine(c.name, 60),
      count(c.images),
      percent(c.images / images),
      ...(parted ? [count(c.training), count(c.heldOut)] : []),
    ]);
  const head = ['CLASS', 'IMAGES', 'SHARE', ...(parted ? ['TRAINING', 'HELD OUT'] : [])];
  const more = classes.length - rows.length;
  return `${table([head, ...rows])}${more > 0 ? `\nand ${count(more)} more classes` : ''}`;
}

/** The report for people. */
export function inspectText(report: DataReport): string {
  const { images, fingerprint, width, height, duplicates, leftOut, split } = report;
  const named = report.classes.filter((c) => c.name !== null).length;
  const kinds = named === 0 ? 'without classes' : `in ${plural(named, 'class', 'classes')}`;
  const lines = [
    `${report.data}: ${plural(images, 'image')} ${kinds}, ${bytes(report.bytes.total)}`,
    `fingerprint ${fingerprint}`,
    '',
    classTable(report),
    '',
  ];
  const three = (s: Spread, show: (n: number) => string): string =>
    `least ${show(s.least)}, median ${show(s.median)}, greatest ${show(s.greatest)}`;
  lines.push(`bytes   ${three(report.bytes, bytes)}`);
  if (width !== null && height !== null) {
    lines.push(`width   ${three(width, String)} pixels`, `height  ${three(height, String)} pixels`);
  }
  if (split.heldOut > 0) {
    const { share, seed, training, heldOut } = split;
    lines.push(
      `split   ${count(training)} for training, ${count(heldOut)} held out ` +
        `(--validation ${share}, seed ${seed})`,
    );
  }
  if (duplicates.contents > 0) {
    const { acrossClasses, acrossSplit } = duplicates;
    const where = [
      ...(acrossClasses > 0 ? [`${count(acrossClasses)} in several classes`] : []),
      ...(acrossSplit > 0 ? [`${count(acrossSplit)} on both sides of the split`] : []),
    ];
    lines.push(
      '',
      `${plural(duplicates.images, 'image')} share ${plural(duplicates.contents, 'content')}` +
        (where.length > 0 ? ` (${where.join(', ')}):` : ':'),
      ...duplicates.examples.map((paths) => `  ${oneLine(paths.join(' = '), 200)}`),
    );
  }
  if (leftOut.length > 0) {
    const files = leftOut.reduce((sum, one) => sum + one.files, 0);
    lines.push('', `left out: ${plural(files, 'entry', 'entries')}`);
    for (const { reason, files: n, examples } of leftOut) {
      const some = examples.slice(0, 3).join(', ') + (n > 3 ? ', …' : '');
      lines.push(`  ${count(n)}: ${printable(reason, 120)} (${oneLine(some, 160)})`);
    }
  }
  return `${lines.join('\n')}\n`;
}
