/**
 * The picture of a run: loss above, std·√d below, as one SVG file that needs nothing else.
 *
 * std·√d is the collapse monitor: near 1 the outputs fill their space, at 0 they have collapsed to
 * one point (SimSiam, section 4.1). The horizontal axis is the whole schedule, so a run that
 * stopped early is seen to have stopped. Colours follow the reader's light or dark scheme.
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
} from './plotting.ts';

export interface LossPoint {
  /** Steps committed, from 1. */
  step: number;
  /** Epochs finished by the end of this step, a fraction. */
  epoch: number;
  loss: number;
  /** Per-channel std of z/‖z‖. */
  std: number;
  learningRate: number;
}

export interface LossPlot {
  title: string;
  /** In order of step. Points that are not finite leave a gap. */
  points: readonly LossPoint[];
  /** Width d of z. */
  outputWidth: number;
  /** Steps of the whole schedule. */
  totalSteps: number;
  /** Pixels. */
  width?: number;
  height?: number;
}

export const plotPointsMax = 600;
/** With more steps than this a smoothed line is drawn over the raw one. */
const rawPointsMax = 60;

const margin = { left: 64, right: 74, top: 88, bottom: 52, between: 44 };

/** The SVG text. Equal input gives equal bytes. */
export function lossPlot(plot: LossPlot): string {
  const { width = 880, height = 560, outputWidth } = plot;
  const finite = plot.points.filter((p) => Number.isFinite(p.loss) && Number.isFinite(p.std));
  const last = finite.at(-1);
  const least = Math.max(1, plot.totalSteps, last?.step ?? 0);
  const across: Axis = { least: 0, most: least, from: margin.left, to: width - margin.right };
  const room = height - margin.top - margin.bottom - margin.between;
  const split = margin.top + Math.floor(room * 0.62);
  const root = Math.sqrt(outputWidth);
  const losses = finite.map((p) => ({ x: p.step, y: p.loss }));
  const stds = finite.map((p) => ({ x: p.step, y: p.std * root }));
  const lossAxis = axisOf(losses, split, margin.top, null);
  const stdAxis = axisOf(stds, height - margin.bottom, split + margin.between, [0, 1.2]);
  const parts = [
    head(plot, width, height, last),
    epochAxis(across, last, margin.top),
    panel('loss', 'Loss', losses, across, lossAxis),
    guide(across, stdAxis),
    panel('std', 'std · √d', stds, across, stdAxis),
    stepAxis(across, height - margin.bottom),
    last === undefined ? nothingYet(width, (margin.top + split) / 2) : '',
    '</svg>\n',
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** A scale for the spots, its ends round; pixels run from the bottom up. */
function axisOf(
  spots: readonly Spot[],
  bottom: number,
  top: number,
  atLeast: [number, number] | null,
): Axis {
  let [least, most] = atLeast ?? [Infinity, -Infinity];
  for (const { y } of spots) {
    least = Math.min(least, y);
    most = Math.max(most, y);
  }
  if (least > most) [least, most] = [-1, 0];
  // A flat line lies in the middle of a scale that still has ticks.
  const padding = atLeast === null ? Math.max((most - least) * 0.06, 0.02) : 0;
  return { least: least - padding, most: most + padding, from: bottom, to: top };
}

function head(plot: LossPlot, width: number, height: number, last: LossPoint | undefined): string {
  const title = escaped(plot.title);
  const root = Math.sqrt(plot.outputWidth);
  const state =
    last === undefined
      ? `no step of ${grouped(plot.totalSteps)} yet`
      : `step ${grouped(last.step)} of ${grouped(plot.totalSteps)} · ` +
        `${trimmed(last.epoch, 1)} epochs · loss ${signed(last.loss, 4)} · ` +
        `std·√d ${signed(last.std * root, 3)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="plot-title plot-desc" \
viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title id="plot-title">${title}</title>
<desc id="plot-desc">Two curves over training steps. Above: the loss, which falls from 0 towards −1. \
Below: the standard deviation of the normalised outputs times the square root of their width; near 1 \
is healthy, 0 is collapsed. Now: ${escaped(state)}.</desc>
<style>
${styles}
</style>
<rect class="paper" width="${width}" height="${height}" rx="6"/>
<text class="title" x="${margin.left}" y="34">${title}</text>
<text class="state" x="${margin.left}" y="54">${escaped(state)}</text>`;
}

const styles = `svg { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', \
'DejaVu Sans', Arial, sans-serif; font-size: 12px; }
.paper { fill: #ffffff; }
.title { font-size: 17px; font-weight: 600; fill: #1c2430; }
.state { fill: #5b6675; }
.name { font-weight: 600; fill: #1c2430; }
.tick { fill: #5b6675; font-variant-numeric: tabular-nums; }
.grid { stroke: #e6e9ee; stroke-width: 1; }
.edge { stroke: #aeb6c2; stroke-width: 1; }
.guide { stroke: #8a94a3; stroke-width: 1; stroke-dasharray: 5 4; }
.raw, .line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.raw { stroke-width: 1; opacity: 0.35; }
.line { stroke-width: 2; }
.loss { stroke: #2563c9; }
.std { stroke: #c2570c; }
.end { stroke: #ffffff; stroke-width: 1.5; }
.loss-end { fill: #2563c9; }
.std-end { fill: #c2570c; }
.value { font-weight: 600; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) {
.paper { fill: #12161c; }
.title, .name { fill: #e8ecf2; }
.state, .tick { fill: #9aa5b4; }
.grid { stroke: #232a34; }
.edge { stroke: #4a5563; }
.guide { stroke: #7d8897; }
.loss { stroke: #6ea8ff; }
.std { stroke: #ffa057; }
.end { stroke: #12161c; }
.loss-end { fill: #6ea8ff; }
.std-end { fill: #ffa057; }
}`;

/** A curve with its grid, scale and last value. */
function panel(
  kind: 'loss' | 'std',
  name: string,
  spots: readonly Spot[],
  across: Axis,
  up: Axis,
): string {
  const lines: string[] = [];
  const { values, digits } = ticks(up.least, up.most, 5);
  for (const value of values) {
    const y = pixel(up, value);
    // The guide stands at 1.
    if (kind === 'loss' || Math.round(value * 1000) !== 1000) {
      lines.push(`<line class="grid" x1="${across.from}" x2="${across.to}" y1="${y}" y2="${y}"/>`);
    }
    lines.push(
      `<text class="tick" x="${across.from - 10}" y="${y}" dy="0.35em" text-anchor="end">` +
        `${signed(value, digits)}</text>`,
    );
  }
  lines.push(`<text class="name" x="${across.from}" y="${up.to - 10}">${name}</text>`);
  const smooth = spots.length > rawPointsMax;
  if (smooth) lines.push(path(`raw ${kind}`, spots, across, up));
  lines.push(path(`line ${kind}`, smooth ? smoothed(spots) : spots, across, up));
  const last = spots.at(-1);
  if (last !== undefined) {
    const [x, y] = [pixel(across, last.x), pixel(up, last.y)];
    lines.push(
      `<circle class="end ${kind}-end" cx="${x}" cy="${y}" r="4"/>`,
      `<text class="value ${kind}-end" x="${x + 9}" y="${y}" dy="0.35em">` +
        `${signed(last.y, kind === 'loss' ? 3 : 2)}</text>`,
    );
  }
  return lines.join('\n');
}

/** The line at 1, where healthy outputs stay. */
function guide(across: Axis, up: Axis): string {
  const y = pixel(up, 1);
  return (
    `<line class="guide" x1="${across.from}" x2="${across.to}" y1="${y}" y2="${y}"/>\n` +
    `<text class="tick" x="${across.to}" y="${up.to - 10}" text-anchor="end">` +
    'dashed: healthy · 0: collapsed</text>'
  );
}

function stepAxis(across: Axis, bottom: number): string {
  const { values } = ticks(0, across.most, 8, 1);
  const lines = [
    `<line class="edge" x1="${across.from}" x2="${across.to}" y1="${bottom}" y2="${bottom}"/>`,
  ];
  for (const value of values) {
    const x = pixel(across, value);
    lines.push(
      `<line class="edge" x1="${x}" x2="${x}" y1="${bottom}" y2="${bottom + 5}"/>`,
      `<text class="tick" x="${x}" y="${bottom + 20}" text-anchor="middle">${grouped(value)}</text>`,
    );
  }
  const middle = (across.from + across.to) / 2;
  lines.push(
    `<text class="name" x="${middle}" y="${bottom + 40}" text-anchor="middle">Steps</text>`,
  );
  return lines.join('\n');
}

/** Epochs along the top; they grow evenly with the steps. */
function epochAxis(across: Axis, last: LossPoint | undefined, top: number): string {
  const lines = [
    `<line class="edge" x1="${across.from}" x2="${across.to}" y1="${top}" y2="${top}"/>`,
  ];
  if (last === undefined || !(last.epoch > 0) || !(last.step > 0)) return lines.join('\n');
  const most = (last.epoch / last.step) * across.most;
  const { values, digits } = ticks(0, most, 8);
  for (const value of values) {
    const x = pixel({ ...across, most }, value);
    lines.push(`<line class="edge" x1="${x}" x2="${x}" y1="${top - 5}" y2="${top}"/>`);
    // The panel's name stands at the left end.
    if (x - across.from < 44) continue;
    lines.push(
      `<text class="tick" x="${x}" y="${top - 10}" text-anchor="middle">` +
        `${trimmed(value, digits)}</text>`,
    );
  }
  lines.push(`<text class="name" x="${across.to + 12}" y="${top}" dy="0.1em">Epochs</text>`);
  return lines.join('\n');
}

function nothingYet(width: number, y: number): string {
  return `<text class="state" x="${width / 2}" y="${y}" text-anchor="middle">No step yet</text>`;
}

/** A line through at most `plotPointsMax` of the spots. */
function path(classes: string, spots: readonly Spot[], across: Axis, up: Axis): string {
  const pairs = downsampled(spots, plotPointsMax).map(
    ({ x, y }) => `${pixel(across, x)} ${pixel(up, y)}`,
  );
  return pairs.length < 2 ? '' : `<path class="${classes}" d="M${pairs.join('L')}"/>`;
}
