/**
 * A small painter for drawn samples: patches of colour on a square, anti-aliased, pure arithmetic.
 *
 * Everything painted is a *patch*: a shape in its own coordinates (u along, v across) laid onto
 * the square by an origin and two vectors, so turning, scaling and tilting are one thing. Edges
 * take 2 × 2 samples a pixel. Only + - × ÷ √ and floor, so the same bits on every engine.
 */

export type Colour = readonly [red: number, green: number, blue: number];
export type Point = readonly [x: number, y: number];

export interface Painting {
  /** Side, pixels. */
  size: number;
  /** [size, size, 3] in [0, 1]; may pass the ends until `toBytes` cuts it. */
  rgb: Float64Array;
}

/**
 * 0 at the middle line to 1 at the rim, above 1 outside. u runs over [0, 1] along a petal and
 * [-1, 1] across a disc; v over [-1, 1].
 */
export type Shape = (u: number, v: number) => number;

/** Where a patch lies: origin, the vector of u = 1 and the vector of v = 1, all in pixels. */
export interface Placement {
  origin: Point;
  along: Point;
  across: Point;
}

/** How a patch is coloured: from `base` (u = 0) to `tip` (u = 1), darker towards the rim. */
export interface Paint {
  base: Colour;
  tip: Colour;
  /** Share of the light lost at the rim. */
  rim: number;
}

export function painting(size: number): Painting {
  return { size, rgb: new Float64Array(size * size * 3) };
}

/** Hue in turns, saturation and value in [0, 1]. */
export function hsv(hue: number, saturation: number, value: number): Colour {
  const sixth = (hue - Math.floor(hue)) * 6;
  const channel = (shift: number): number => {
    const at = (sixth + shift) % 6;
    const part = at < 1 ? at : at < 3 ? 1 : at < 4 ? 4 - at : 0;
    return value * (1 - saturation + saturation * part);
  };
  return [channel(2), channel(0), channel(4)];
}

/** From `a` at 0 to `b` at 1. */
export function mix(a: Colour, b: Colour, share: number): Colour {
  return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share];
}

/** A round patch: u² + v² ≤ 1. */
export const disc: Shape = (u, v) => u * u + v * v;

/** Widest in the middle, round at both ends. */
export const oval: Shape = (u, v) => within(u, v, 4 * u * (1 - u));

/** Narrow at the base, widest two thirds along, round at the tip. */
export const spoon: Shape = (u, v) => within(u, v, 6.75 * u * u * (1 - u));

/** Pointed at the tip, widest a third along. */
export const lance: Shape = (u, v) => {
  const slope = u < 0.35 ? u / 0.35 : (1 - u) / 0.65;
  const half = slope * (1.5 - 0.5 * slope);
  return within(u, v, half * half);
};

/** A crescent: an oval bent to one side. */
export const crescent: Shape = (u, v) => oval(u, v * 1.5 + 2.4 * (u * (1 - u) - 0.125));

/** A bell that hangs along u: a round crown, straight walls, a wide lip. */
export const bell: Shape = (u, v) => {
  const crown = u < 0.3 ? (u / 0.3) * (2 - u / 0.3) : 1;
  const wall = 0.55 + 0.45 * u * u * u;
  return within(u, v, crown * wall * wall);
};

function within(u: number, v: number, halfWidthSquared: number): number {
  return u <= 0 || u >= 1 ? 2 : (v * v) / halfWidthSquared;
}

/** Paints a shape over what is there. */
export function patch(onto: Painting, shape: Shape, place: Placement, paint: Paint): void {
  const { size, rgb } = onto;
  const { origin, along, across } = place;
  const determinant = along[0] * across[1] - along[1] * across[0];
  // A patch seen from its edge shows nothing.
  if (determinant === 0) return;
  const least = shape === disc ? -1 : 0;
  const columns = extent(origin[0], along[0], across[0], least, size);
  const lines = extent(origin[1], along[1], across[1], least, size);
  // u and v of a step of one pixel to the right and down; a sample lies a quarter off the middle.
  const [uRight, uDown] = [across[1] / determinant, -across[0] / determinant];
  const [vRight, vDown] = [-along[1] / determinant, along[0] / determinant];
  const uReach = (magnitude(uRight) + magnitude(uDown)) * 0.25;
  const vReach = 1 + (magnitude(vRight) + magnitude(vDown)) * 0.25;
  for (let y = lines[0]; y < lines[1]; y++) {
    for (let x = columns[0]; x < columns[1]; x++) {
      const right = x + 0.5 - origin[0];
      const down = y + 0.5 - origin[1];
      const middleU = right * uRight + down * uDown;
      if (middleU < least - uReach || middleU > 1 + uReach) continue;
      const middleV = right * vRight + down * vDown;
      if (magnitude(middleV) > vReach) continue;
      let inside = 0;
      let sumU = 0;
      let sumRim = 0;
      for (let sample = 0; sample < 4; sample++) {
        const dx = (sample & 1) * 0.5 - 0.25;
        const dy = (sample >> 1) * 0.5 - 0.25;
        const u = middleU + dx * uRight + dy * uDown;
        const rim = shape(u, middleV + dx * vRight + dy * vDown);
        if (rim > 1) continue;
        inside++;
        sumU += u;
        sumRim += rim;
      }
      if (inside === 0) continue;
      const u = sumU / inside;
      const share = shape === disc ? (u + 1) * 0.5 : u;
      const light = 1 - (paint.rim * sumRim) / inside;
      const cover = inside * 0.25;
      const at = (y * size + x) * 3;
      for (let c = 0; c < 3; c++) {
        const colour = (paint.base[c]! + (paint.tip[c]! - paint.base[c]!) * share) * light;
        rgb[at + c] = rgb[at + c]! + (colour - rgb[at + c]!) * cover;
      }
    }
  }
}

/** The pixels [first, end) that a patch may touch in one direction, cut to the square. */
function extent(
  origin: number,
  along: number,
  across: number,
  least: number,
  size: number,
): [number, number] {
  const side = magnitude(across);
  const low = origin + Math.min(along * least, along) - side;
  const high = origin + Math.max(along * least, along) + side;
  return [Math.max(0, Math.floor(low)), Math.min(size, Math.floor(high) + 1)];
}

function magnitude(value: number): number {
  return value < 0 ? -value : value;
}

/** A soft round spot: full strength in the middle, nothing at the radius. */
export function glow(
  onto: Painting,
  middle: Point,
  radius: number,
  colour: Colour,
  strength: number,
): void {
  const { size, rgb } = onto;
  const columns = extent(middle[0], radius, radius, -1, size);
  const lines = extent(middle[1], radius, radius, -1, size);
  for (let y = lines[0]; y < lines[1]; y++) {
    for (let x = columns[0]; x < columns[1]; x++) {
      const dx = (x + 0.5 - middle[0]) / radius;
      const dy = (y + 0.5 - middle[1]) / radius;
      const near = 1 - dx * dx - dy * dy;
      if (near <= 0) continue;
      const cover = strength * near * near;
      const at = (y * size + x) * 3;
      for (let c = 0; c < 3; c++) rgb[at + c] = rgb[at + c]! + (colour[c]! - rgb[at + c]!) * cover;
    }
  }
}

/** A stroke along a quadratic curve, `width` pixels wide; corners of the curve are round. */
export function stroke(
  onto: Painting,
  curve: readonly [Point, Point, Point],
  width: number,
  paint: Paint,
): void {
  const pieces = 10;
  for (let piece = 0; piece < pieces; piece++) {
    const from = onCurve(curve, piece / pieces);
    const to = onCurve(curve, (piece + 1) / pieces);
    const dx = to[0] - from[0];
    const dy = to[1] - from[1];
    const length = Math.sqrt(dx * dx + dy * dy);
    if (length === 0) continue;
    // A little longer than the piece, so that neighbours overlap.
    const longer = 0.5 + (0.35 * width) / length;
    patch(
      onto,
      bar,
      {
        origin: [from[0] - dx * (longer - 0.5), from[1] - dy * (longer - 0.5)],
        along: [dx * 2 * longer, dy * 2 * longer],
        across: [(-dy / length) * 0.5 * width, (dx / length) * 0.5 * width],
      },
      { ...paint, base: mix(paint.base, paint.tip, piece / pieces) },
    );
  }
}

const bar: Shape = (u, v) => within(u, v, 1);

/** The point at `share` of a quadratic Bézier curve. */
export function onCurve(curve: readonly [Point, Point, Point], share: number): Point {
  const rest = 1 - share;
  const weights = [rest * rest, 2 * rest * share, share * share] as const;
  const at = (axis: 0 | 1): number =>
    weights[0] * curve[0][axis] + weights[1] * curve[1][axis] + weights[2] * curve[2][axis];
  return [at(0), at(1)];
}

/**
 * Smooth noise: adds ± `strength` × `tint`, from values in [0, 1) at the corners of a grid of
 * `cells` × `cells` cells ([cells + 1, cells + 1], row by row).
 */
export function addNoise(
  onto: Painting,
  corners: Float64Array,
  cells: number,
  strength: number,
  tint: Colour,
): void {
  const { size, rgb } = onto;
  const row = cells + 1;
  for (let y = 0; y < size; y++) {
    const line = ((y + 0.5) * cells) / size;
    const cellY = Math.floor(line);
    const shareY = eased(line - cellY);
    for (let x = 0; x < size; x++) {
      const column = ((x + 0.5) * cells) / size;
      const cellX = Math.floor(column);
      const shareX = eased(column - cellX);
      const at = cellY * row + cellX;
      const top = corners[at]! + (corners[at + 1]! - corners[at]!) * shareX;
      const low = corners[at + row]! + (corners[at + row + 1]! - corners[at + row]!) * shareX;
      const value = (top + (low - top) * shareY - 0.5) * 2 * strength;
      for (let c = 0; c < 3; c++) rgb[(y * size + x) * 3 + c]! += value * tint[c]!;
    }
  }
}

function eased(share: number): number {
  return share * share * (3 - 2 * share);
}

/** The painting as 8-bit RGB, [size, size, 3], with all light multiplied by `gain`. */
export function toBytes({ rgb }: Painting, gain: number): Uint8Array {
  const bytes = new Uint8Array(rgb.length);
  for (let i = 0; i < rgb.length; i++) {
    bytes[i] = Math.floor(Math.min(1, Math.max(0, rgb[i]! * gain)) * 255 + 0.5);
  }
  return bytes;
}
