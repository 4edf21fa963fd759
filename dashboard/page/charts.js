/** A curve as a picture that can be read by eye, by pointer, by keyboard and by a screen reader. */
import { count, draw, fixed, make } from './format.js';

const size = { width: 480, height: 170, left: 46, right: 8, top: 8, bottom: 20 };

/** A round distance that cuts a range into about so many pieces. */
function roundStep(least, most, wanted) {
  const rough = (most - least) / wanted || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((n) => n * unit).find((n) => n >= rough * 0.999);
}

/** The multiples of a distance in [least, most]. */
function ticks(least, most, step) {
  const values = [];
  for (let i = Math.ceil(least / step - 1e-9); i * step <= most + 1e-9 * step; i += 1)
    values.push(i * step);
  return values;
}

/** The last step of the axis: a quarter more than there is, and no more than there will be. */
function rightEnd(reached, goal) {
  const wanted = Math.max(10, 1.25 * reached);
  const step = roundStep(0, wanted, 5);
  return Math.max(1, reached, Math.min(goal || wanted, Math.ceil(wanted / step) * step));
}

/** Digits after the point that tell the multiples of a distance apart. */
const digitsOf = (step) => {
  for (let digits = 0; digits < 9; digits += 1)
    if (Math.abs(step - Number(step.toFixed(digits))) < 1e-6 * step) return digits;
  return 9;
};

/**
 * `spec`: name, kind (its colour), show (a value as text), range ([least, most] or null), guide (a
 * height to mark or null), axis (a value and how many digits, to text). Gives the figure and how to
 * show new points [{ x, y, note }]; a note is read out after its value.
 */
export function chart(spec) {
  const readout = make('output');
  const caption = make('figcaption');
  caption.append(make('b', {}, spec.name), readout);
  const svg = draw('svg', { viewBox: `0 0 ${size.width} ${size.height}`, 'aria-hidden': 'true' });
  const figure = make('figure', { tabindex: '0', role: 'group', 'aria-label': spec.name });
  figure.append(caption, svg);
  let points = [];
  let at = -1;
  let scale = null;
  const cursor = draw('line', { class: 'cursor', y1: size.top, y2: size.height - size.bottom });

  function read() {
    const point = points[at < 0 ? points.length - 1 : at];
    readout.textContent =
      point === undefined
        ? 'no value yet'
        : `step ${count(point.x)}: ${spec.show(point.y)}${point.note ?? ''}`;
    if (at < 0 || point === undefined || scale === null) cursor.remove();
    else {
      cursor.setAttribute('x1', scale.x(point.x));
      cursor.setAttribute('x2', scale.x(point.x));
      svg.append(cursor);
    }
  }

  function show(next, steps) {
    points = next.filter(({ y }) => y !== null && Number.isFinite(y));
    if (at >= points.length) at = points.length - 1;
    svg.replaceChildren();
    const ys = points.map(({ y }) => y);
    let [least, most] = spec.range ?? [Math.min(...ys), Math.max(...ys)];
    if (points.length === 0) [least, most] = [0, 1];
    most = Math.max(most, ...ys);
    if (most - least < 1e-9) [least, most] = [least - 0.5, most + 0.5];
    // The axis ends at round values, so that both ends are named.
    const step = roundStep(least, most, 4);
    least = Math.floor(least / step + 1e-9) * step;
    most = Math.ceil(most / step - 1e-9) * step;
    const right = rightEnd(points.at(-1)?.x ?? 0, steps);
    const x = (value) => size.left + (value / right) * (size.width - size.left - size.right);
    const y = (value) =>
      size.height -
      size.bottom -
      ((value - least) / (most - least)) * (size.height - size.bottom - size.top);
    scale = { x, right };
    const axis = spec.axis ?? fixed;
    const digits = digitsOf(step);
    for (const value of ticks(least, most, step)) {
      svg.append(
        draw('line', {
          class: 'grid',
          x1: size.left,
          x2: size.width - size.right,
          y1: y(value),
          y2: y(value),
        }),
      );
      svg.append(
        draw(
          'text',
          { x: size.left - 6, y: y(value) + 4, 'text-anchor': 'end' },
          axis(value, digits),
        ),
      );
    }
    for (const value of ticks(0, right, Math.max(1, roundStep(0, right, 5))))
      svg.append(
        draw(
          'text',
          {
            ...{ x: x(value), y: size.height - 4 },
            'text-anchor': value > 0.95 * right ? 'end' : 'middle',
          },
          count(value),
        ),
      );
    if (spec.guide !== undefined)
      svg.append(
        draw('line', {
          class: 'guide',
          x1: size.left,
          x2: size.width - size.right,
          y1: y(spec.guide),
          y2: y(spec.guide),
        }),
      );
    const path = points.map((p) => `${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`).join('L');
    if (points.length > 1) svg.append(draw('path', { class: `curve ${spec.kind}`, d: `M${path}` }));
    const last = points.at(-1);
    if (last !== undefined)
      svg.append(
        draw('circle', { class: `dot ${spec.kind}`, cx: x(last.x), cy: y(last.y), r: 3.5 }),
      );
    read();
  }

  const move = (to) => {
    at = Math.max(0, Math.min(points.length - 1, to));
    read();
  };
  figure.addEventListener('keydown', (event) => {
    const here = at < 0 ? points.length - 1 : at;
    const far = Math.max(1, Math.round(points.length / 10));
    const to = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      PageDown: here - far,
      PageUp: here + far,
      Home: 0,
      End: points.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect();
    const wanted =
      (((event.clientX - box.left) / box.width) * size.width - size.left) /
      (size.width - size.left - size.right);
    let best = -1;
    for (const [i, point] of points.entries())
      if (
        best < 0 ||
        Math.abs(point.x - wanted * scale.right) < Math.abs(points[best].x - wanted * scale.right)
      )
        best = i;
    if (best >= 0) move(best);
  });
  const away = () => {
    at = -1;
    read();
  };
  svg.addEventListener('pointerleave', away);
  figure.addEventListener('blur', away);
  return { figure, show };
}
