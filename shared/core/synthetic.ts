/**
 * Drawn flowers: the data set that needs no download.
 *
 * Eight classes that differ in shape alone: how many petals, of what form, how large a disc, a
 * double row, a cup or bells seen from the side. Everything else is nuisance and drawn the same
 * way for all classes: hue, saturation, place, size, turn, tilt, background, clutter, light. So a
 * mean colour says nothing about the class, and a network must look at shapes.
 *
 * An image is a function of (seed, index): each draw has an address (seed, 'synthetic', index,
 * part of the picture, number within the part).
 */
import { uniform } from './draws.ts';
import {
  addNoise,
  type Colour,
  glow,
  hsv,
  lance,
  mix,
  oval,
  type Paint,
  type Painting,
  type Point,
  painting,
  patch,
  spoon,
  stroke,
  toBytes,
} from './painting.ts';
import {
  cosTurns,
  type Draw,
  paintFlower,
  parts,
  placed,
  type SyntheticClass,
  sinTurns,
  syntheticClasses,
} from './synthetic-flower.ts';

export interface SyntheticImage {
  width: number;
  height: number;
  /** [height, width, 3], RGB, row by row. */
  pixels: Uint8Array;
  label: SyntheticClass;
}

export interface SyntheticOptions {
  /** Side of the image, pixels. */
  size: number;
}

export const syntheticDefaults: SyntheticOptions = { size: 96 };

/** The class of an image: each in turn, so that all are equally many. */
export function syntheticLabel(index: number): SyntheticClass {
  return syntheticClasses[index % syntheticClasses.length]!;
}

/** The image at an index. */
export function syntheticImage(
  seed: number,
  index: number,
  { size }: SyntheticOptions = syntheticDefaults,
): SyntheticImage {
  const draw: Draw = (part, number, least = 0, most = 1) =>
    least + (most - least) * uniform(seed, 'synthetic', index, parts[part], number);
  const label = syntheticLabel(index);
  const onto = painting(size);
  paintBackdrop(onto, draw);
  paintClutter(onto, draw);
  paintFlower(onto, draw, label);
  paintLight(onto, draw);
  return { width: size, height: size, pixels: toBytes(onto, draw('light', 0, 0.7, 1.2)), label };
}

/** A slope between two colours, often greenish, under noise of three sizes. */
function paintBackdrop(onto: Painting, draw: Draw): void {
  const { size, rgb } = onto;
  const colour = (number: number): Colour => {
    const hue =
      draw('backdrop', number) < 0.5
        ? draw('backdrop', number + 1, 0.2, 0.45)
        : draw('backdrop', number + 1);
    return hsv(
      hue,
      draw('backdrop', number + 2, 0.05, 0.65),
      draw('backdrop', number + 3, 0.12, 0.75),
    );
  };
  const [from, to] = [colour(0), colour(4)];
  const turns = draw('backdrop', 8);
  const [slopeX, slopeY] = [cosTurns(turns), sinTurns(turns)];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const along = ((x + 0.5) / size - 0.5) * slopeX + ((y + 0.5) / size - 0.5) * slopeY;
      const share = 0.5 + along / 1.4143;
      const at = (y * size + x) * 3;
      for (let c = 0; c < 3; c++) rgb[at + c] = from[c]! + (to[c]! - from[c]!) * share;
    }
  }
  const tint = mix([1, 1, 1], hsv(draw('backdrop', 9), 1, 1), 0.4);
  let first = 0;
  for (const [scale, cells] of [4, 11, 32].entries()) {
    const corners = new Float64Array((cells + 1) * (cells + 1));
    for (let i = 0; i < corners.length; i++) corners[i] = draw('noise', first + i);
    first += corners.length;
    addNoise(
      onto,
      corners,
      cells,
      draw('backdrop', 10 + scale, 0, [0.18, 0.12, 0.05][scale]),
      tint,
    );
  }
}

/** Spots out of focus, leaves, blades of grass and lone petals behind the flower. */
function paintClutter(onto: Painting, draw: Draw): void {
  const { size } = onto;
  const counts = [6, 4, 6, 3].map((most, kind) => Math.floor(draw('clutter', kind, 0, most + 1)));
  const somewhere = (number: number): Point => [
    draw('clutter', number, -0.05, 1.05) * size,
    draw('clutter', number + 1, -0.05, 1.05) * size,
  ];
  const leafPaint = (number: number): Paint => {
    const hue =
      draw('clutter', number) < 0.7
        ? draw('clutter', number + 1, 0.2, 0.42)
        : draw('clutter', number + 1);
    const base = hsv(
      hue,
      draw('clutter', number + 2, 0.25, 0.8),
      draw('clutter', number + 3, 0.2, 0.7),
    );
    return { base, tip: mix(base, [1, 1, 1], 0.15), rim: 0.25 };
  };
  for (let i = 0; i < counts[0]!; i++) {
    const at = 100 + i * 10;
    const colour = hsv(
      draw('clutter', at + 2),
      draw('clutter', at + 3, 0, 0.7),
      draw('clutter', at + 4, 0.4, 1),
    );
    const radius = draw('clutter', at + 5, 0.05, 0.22) * size;
    glow(onto, somewhere(at), radius, colour, draw('clutter', at + 6, 0.15, 0.6));
  }
  for (let i = 0; i < counts[1]!; i++) {
    const at = 200 + i * 10;
    const reach = draw('clutter', at + 3, 0.3, 0.6) * size;
    const width = draw('clutter', at + 4, 0.06, 0.13) * size;
    const place = placed(somewhere(at), draw('clutter', at + 2), reach, width);
    patch(onto, lance, place, leafPaint(at + 5));
  }
  for (let i = 0; i < counts[2]!; i++) {
    const at = 300 + i * 10;
    const foot: Point = [draw('clutter', at, 0, 1) * size, size * 1.05];
    const top: Point = [
      draw('clutter', at + 1, 0, 1) * size,
      draw('clutter', at + 2, 0.1, 0.8) * size,
    ];
    const bow: Point = [foot[0], (foot[1] + top[1]) * 0.5];
    stroke(onto, [foot, bow, top], draw('clutter', at + 3, 0.008, 0.025) * size, leafPaint(at + 4));
  }
  for (let i = 0; i < counts[3]!; i++) {
    const at = 400 + i * 10;
    const base = hsv(
      draw('clutter', at + 3),
      draw('clutter', at + 4, 0.1, 0.9),
      draw('clutter', at + 5, 0.5, 1),
    );
    const reach = draw('clutter', at + 6, 0.08, 0.16) * size;
    const place = placed(somewhere(at), draw('clutter', at + 2), reach, reach * 0.35);
    patch(onto, i % 2 === 0 ? oval : spoon, place, { base, tip: base, rim: 0.3 });
  }
}

/** One soft light and one soft shade over everything. */
function paintLight(onto: Painting, draw: Draw): void {
  const { size } = onto;
  const somewhere = (number: number): Point => [
    draw('light', number) * size,
    draw('light', number + 1) * size,
  ];
  glow(onto, somewhere(1), size * 0.8, [1, 1, 0.95], draw('light', 3, 0, 0.25));
  glow(onto, somewhere(4), size * 0.9, [0, 0, 0.05], draw('light', 6, 0, 0.4));
}
