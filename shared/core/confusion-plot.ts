/**
 * The confusion of an evaluation as a picture: a row a class, a column for what it was taken for,
 * darker where more of the row went. Equal input gives equal bytes. SVG text, no scripts, no fonts.
 */
import type { Evaluation } from './evaluation.ts';

/** With more classes than this a picture says nothing. */
export const confusionClassesMax = 60;

const margin = { left: 130, top: 92, right: 24, bottom: 20 };

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).slice(0, 200);

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const styles = `svg { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', \
'DejaVu Sans', Arial, sans-serif; font-size: 12px; }
.paper { fill: #ffffff; } .title { font-size: 16px; font-weight: 600; fill: #1c2430; }
.state, .label { fill: #5b6675; } .cell { fill: #1f5fa8; } .frame { fill: none; stroke: #aeb6c2; }
.right { fill: #1b7f4d; } .share { fill: #1c2430; } .share.light { fill: #ffffff; }`;

/** The SVG text, or null where there are too many classes. */
export function confusionPlot({ perClass, confusion, accuracy, kind, checkpoint }: Evaluation) {
  const n = perClass.length;
  if (n === 0 || n > confusionClassesMax) return null;
  const side = Math.max(14, Math.min(64, Math.floor(640 / n)));
  const [width, height] = [
    Math.max(420, margin.left + n * side + margin.right),
    margin.top + n * side + margin.bottom,
  ];
  const title = `${checkpoint.run}, step ${checkpoint.step}: ${kind === 'knn' ? 'kNN' : kind} accuracy ${percent(accuracy)}`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${escaped(title)}" \
viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<style>\n${styles}\n</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="6"/>`,
    `<text class="title" x="16" y="28">${escaped(title)}</text>`,
    '<text class="state" x="16" y="48">rows: the class; columns: what it was taken for</text>',
  ];
  const labelled = n <= 24;
  for (const [i, { label }] of perClass.entries()) {
    const y = margin.top + i * side;
    const x = margin.left + i * side + side / 2;
    if (labelled) {
      const name = escaped(label.length > 16 ? `${label.slice(0, 15)}…` : label);
      parts.push(
        `<text class="label" x="${margin.left - 8}" y="${y + side / 2 + 4}" text-anchor="end">${name}</text>`,
        `<text class="label" transform="translate(${x} ${margin.top - 8}) rotate(-30)">${name.slice(0, 10)}</text>`,
      );
    }
    const row = confusion[i] ?? [];
    const all = row.reduce((sum, count) => sum + count, 0);
    for (const [j, count] of row.entries()) {
      const share = all === 0 ? 0 : count / all;
      const left = margin.left + j * side;
      const colour = i === j ? 'cell right' : 'cell';
      parts.push(
        `<rect class="${colour}" x="${left}" y="${y}" width="${side - 1}" height="${side - 1}" \
fill-opacity="${share.toFixed(3)}"/>`,
      );
      if (side >= 32 && count > 0) {
        const ink = share > 0.5 ? 'share light' : 'share';
        parts.push(
          `<text class="${ink}" x="${left + side / 2}" y="${y + side / 2 + 4}" text-anchor="middle">\
${Math.round(100 * share)}</text>`,
        );
      }
    }
  }
  parts.push(
    `<rect class="frame" x="${margin.left - 1}" y="${margin.top - 1}" width="${n * side + 1}" \
height="${n * side + 1}"/>`,
    '</svg>\n',
  );
  return parts.join('\n');
}
