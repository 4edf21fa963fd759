/**
 * Curves over one axis, drawn twice: bare for the page, and alone as a file with title and legend.
 *
 * A curve may be smoothed (the raw one stays behind it, faint) or measured now and then (dots with
 * one standard error). Points that are not finite leave out themselves and nothing else.
 */
import {
  type Axis,
  downsampled,
  escaped,
  grouped,
  pixel,
  signed,
  smoothed,
  type Spot,
  ticks,
  trimmed,
} from '../shared/core/plotting.ts';
import type { Figure } from './contents.ts';
import { type Curve, inWords, legendRows } from './curves-text.ts';
import { curveClasses, coloursMax, figureStyle } from './figure-style.ts';

export type { Curve } from './curves-text.ts';

export interface CurvesSpec {
  id: string;
  title: string;
  across: string;
  curves: readonly Curve[];
  /** The scale takes at least these in. */
  atLeast?: readonly [number, number];
  /** The axis below goes at least so far. */
  widest?: number;
  /** A dashed line, and what it says. */
  guide?: { y: number; text: string };
  /** Values as text. */
  show: (value: number, digits: number) => string;
}

const width = 560;
const plotHeight = 250;
const pad = { left: 62, right: 18, top: 16, bottom: 46 };
const pointsMax = 400;
const rawMax = 60;

/** The figure in both forms. Equal input gives equal bytes. */
export function curvesFigure(spec: CurvesSpec): Figure {
  return { id: spec.id, inline: drawn(spec, false), file: drawn(spec, true) };
}

function drawn(spec: CurvesSpec, alone: boolean): string {
  const curves = spec.curves.map((curve) => ({
    ...curve,
    points: curve.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
  }));
  const legend = alone ? legendRows(curves, width) : [];
  const top = pad.top + (alone ? 34 + 20 * legend.length : 0);
  const height = top + plotHeight + pad.bottom;
  const across = acrossAxis(curves, spec.widest ?? 0);
  const up = upAxis(curves, spec, top + plotHeight, top);
  const names = `${spec.id}-title ${spec.id}-desc`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="${names}" ` +
      `viewBox="0 0 ${width} ${height}"${alone ? ` width="${width}" height="${height}"` : ''}>`,
    `<title id="${spec.id}-title">${escaped(spec.title)}</title>`,
    `<desc id="${spec.id}-desc">${escaped(inWords(spec, curves))}</desc>`,
    alone ? `<style>${figureStyle}</style>` : '',
    alone ? `<rect class="paper" width="${width}" height="${height}"/>` : '',
    alone ? `<text class="title" x="16" y="28">${escaped(spec.title)}</text>` : '',
    ...legend,
    grid(spec, across, up),
    ...curves.flatMap((curve) => curveParts(curve, spec, across, up)),
    curves.every(({ points }) => points.length === 0)
      ? `<text class="tick" x="${width / 2}" y="${top + plotHeight / 2}" text-anchor="middle">nothing measured</text>`
      : '',
    '</svg>',
  ];
  return `${parts.filter((part) => part !== '').join('\n')}\n`;
}

function acrossAxis(curves: readonly Curve[], widest: number): Axis {
  const most = Math.max(widest, ...curves.map(({ points }) => points.at(-1)?.x ?? 0));
  return { least: 0, most: most > 0 ? most : 1, from: pad.left, to: width - pad.right };
}

function upAxis(
  curves: readonly Curve[],
  { atLeast, guide }: CurvesSpec,
  bottom: number,
  top: number,
): Axis {
  let [least, most] = atLeast ?? [Infinity, -Infinity];
  for (const { points } of curves)
    for (const { y, error = 0 } of points) {
      least = Math.min(least, y - error);
      most = Math.max(most, y + error);
    }
  if (guide) most = Math.max(most, guide.y);
  if (!(least <= most)) [least, most] = [0, 1];
  if (most - least < 1e-9) [least, most] = [least - 0.5, most + 0.5];
  const room = (most - least) * 0.05;
  // A scale that begins at nought keeps it as its floor.
  return { least: least === 0 ? 0 : least - room, most: most + room, from: bottom, to: top };
}

function grid({ across: name, guide, show }: CurvesSpec, across: Axis, up: Axis): string {
  const lines: string[] = [];
  const rows = ticks(up.least, up.most, 6);
  for (const value of rows.values) {
    const y = pixel(up, value);
    lines.push(
      `<line class="grid" x1="${across.from}" x2="${across.to}" y1="${y}" y2="${y}"/>`,
      `<text class="tick" x="${across.from - 8}" y="${y}" dy="0.35em" text-anchor="end">` +
        `${escaped(show(value, rows.digits))}</text>`,
    );
  }
  const columns = ticks(0, across.most, 5);
  for (const value of columns.values) {
    const x = pixel(across, value);
    const text = across.most >= 1000 ? grouped(value) : trimmed(value, columns.digits);
    lines.push(
      `<text class="tick" x="${x}" y="${up.from + 18}" text-anchor="middle">${text}</text>`,
    );
  }
  const middle = (across.from + across.to) / 2;
  lines.push(
    `<line class="edge" x1="${across.from}" x2="${across.to}" y1="${up.from}" y2="${up.from}"/>`,
    `<text class="name" x="${middle}" y="${up.from + 38}" text-anchor="middle">${escaped(name)}</text>`,
  );
  if (guide) {
    const y = pixel(up, guide.y);
    lines.push(
      `<line class="guide" x1="${across.from}" x2="${across.to}" y1="${y}" y2="${y}"/>`,
      `<text class="tick" x="${across.to}" y="${y - 6}" text-anchor="end">${escaped(guide.text)}</text>`,
    );
  }
  return lines.join('\n');
}

function curveParts(curve: Curve, spec: CurvesSpec, across: Axis, up: Axis): string[] {
  const { points, index, kind, name } = curve;
  const classes = curveClasses(index);
  const line = (spots: readonly Spot[], weight: 'line' | 'raw'): string => {
    const pairs = downsampled(spots, pointsMax).map(
      ({ x, y }) => `${pixel(across, x)} ${pixel(up, y)}`,
    );
    return pairs.length < 2 ? '' : `<path class="${weight} ${classes}" d="M${pairs.join('L')}"/>`;
  };
  const fill = `f${index % coloursMax}`;
  if (kind === 'measured') {
    const dots = points.map(({ x, y, error = 0 }) => {
      const [cx, cy] = [pixel(across, x), pixel(up, y)];
      const [low, high] = [pixel(up, y - error), pixel(up, y + error)];
      const told = `${name}: ${spec.show(y, 4)}${error > 0 ? ` ± ${spec.show(error, 4)}` : ''}`;
      return (
        (error > 0
          ? `<line class="whisker c${index % coloursMax}" x1="${cx}" x2="${cx}" y1="${low}" y2="${high}"/>`
          : '') +
        `<circle class="ring ${fill}" cx="${cx}" cy="${cy}" r="4"><title>${escaped(told)}</title></circle>`
      );
    });
    return [line(points, 'line'), ...dots];
  }
  const last = points.at(-1);
  const soft = kind === 'smoothed' && points.length > rawMax;
  return [
    soft ? line(points, 'raw') : '',
    line(soft ? smoothed(points) : points, 'line'),
    last === undefined
      ? ''
      : `<circle class="ring ${fill}" cx="${pixel(across, last.x)}" cy="${pixel(up, last.y)}" r="4">` +
        `<title>${escaped(`${name}: ${spec.show(last.y, 4)}`)}</title></circle>`,
  ];
}

/** Fixed digits for scales, as they are in the figures of a run. */
export const plainNumber = (value: number, digits: number): string => signed(value, digits);
export const percentNumber = (value: number, digits: number): string =>
  `${trimmed(100 * value, Math.max(0, digits - 2))} %`;
