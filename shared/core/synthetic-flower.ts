/**
 * The flower in the middle of a drawn picture: eight classes by shape, all else drawn alike.
 *
 * What a class decides: the number and form of petals, the disc, rows, a cup or bells. What it
 * does not: colours, place, size, turn and tilt, which come from the same draws for every class.
 */
import { cos, sin } from './exact.ts';
import {
  bell,
  crescent,
  disc,
  glow,
  hsv,
  lance,
  mix,
  onCurve,
  oval,
  type Paint,
  type Painting,
  type Placement,
  type Point,
  patch,
  type Shape,
  spoon,
  stroke,
} from './painting.ts';

export const syntheticClasses = [
  'bellflower',
  'daisy',
  'pinwheel',
  'poppy',
  'rosette',
  'star',
  'sunflower',
  'tulip',
] as const;
export type SyntheticClass = (typeof syntheticClasses)[number];

/** Parts of a picture, each with draws of its own; numbers never change. */
export const parts = { backdrop: 0, noise: 1, clutter: 2, flower: 3, petals: 4, light: 5 } as const;

/** Draws of one picture: a number in [least, most) by part and number within the part. */
export type Draw = (
  part: keyof typeof parts,
  number: number,
  least?: number,
  most?: number,
) => number;

/** A flower's frame: its middle, its radius in pixels, its colours, and how it is turned. */
interface Flower {
  middle: Point;
  radius: number;
  petal: Paint;
  heart: Paint;
  stem: Paint;
  /** The vector in pixels of a direction (angle in turns) and a length in radii. */
  vector: (turns: number, length: number) => Point;
}

/** Paints the flower of a class, with its stem and its shade, over what is there. */
export function paintFlower(onto: Painting, draw: Draw, label: SyntheticClass): void {
  const flower = drawFlower(onto.size, draw);
  const { middle, radius } = flower;
  // Half of all flowers show a stem, so a stem is no sign of a tulip.
  if (isSideView(label) || draw('flower', 20) < 0.5) paintStem(onto, draw, flower, label);
  glow(onto, [middle[0], middle[1] + radius * 0.12], radius * 1.35, [0, 0, 0], 0.45);
  switch (label) {
    case 'daisy':
      ring(onto, draw, flower, 0, {
        count: count(draw, 12, 16),
        shape: oval,
        from: 0.12,
        to: 1,
        width: 0.125,
      });
      heart(onto, flower, 0.24, 0);
      return;
    case 'sunflower':
      ring(onto, draw, flower, 0, {
        count: count(draw, 17, 22),
        shape: lance,
        from: 0.4,
        to: 1,
        width: 0.13,
      });
      heart(onto, flower, 0.56, 60);
      return;
    case 'star':
      ring(onto, draw, flower, 0, {
        count: count(draw, 5, 6),
        shape: lance,
        from: 0,
        to: 1,
        width: 0.22,
      });
      heart(onto, flower, 0.11, 0);
      return;
    case 'poppy':
      ring(onto, draw, flower, 0, { count: 4, shape: spoon, from: 0, to: 1, width: 0.68 });
      heart(onto, flower, 0.17, 0);
      return;
    case 'pinwheel':
      ring(onto, draw, flower, 0, {
        count: count(draw, 6, 8),
        shape: crescent,
        from: 0,
        to: 1,
        width: 0.42,
      });
      heart(onto, flower, 0.12, 0);
      return;
    case 'rosette':
      ring(onto, draw, flower, 0, {
        count: count(draw, 8, 10),
        shape: spoon,
        from: 0,
        to: 1,
        width: 0.36,
      });
      ring(onto, draw, flower, 50, { count: 7, shape: spoon, from: 0, to: 0.74, width: 0.3 });
      ring(onto, draw, flower, 100, { count: 6, shape: spoon, from: 0, to: 0.5, width: 0.24 });
      ring(onto, draw, flower, 150, { count: 4, shape: spoon, from: 0, to: 0.28, width: 0.15 });
      return;
    case 'tulip':
      paintCup(onto, draw, flower);
      return;
    case 'bellflower':
      paintBells(onto, draw, flower);
      return;
  }
}

function isSideView(label: SyntheticClass): boolean {
  return label === 'tulip' || label === 'bellflower';
}

/** A whole number in [least, most], drawn. */
function count(draw: Draw, least: number, most: number): number {
  return least + Math.floor(draw('flower', 19) * (most - least + 1));
}

/** Everything about a flower that its class does not decide. */
function drawFlower(size: number, draw: Draw): Flower {
  const hue = draw('flower', 0);
  const saturation = draw('flower', 1, 0.15, 0.95);
  const value = draw('flower', 2, 0.65, 1);
  const tip = hsv(hue, saturation, value);
  const base = mix(
    tip,
    hsv(hue + draw('flower', 3, -0.12, 0.12), saturation, value * 0.6),
    draw('flower', 4),
  );
  const heartTip = hsv(
    draw('flower', 5),
    draw('flower', 6, 0.3, 0.95),
    draw('flower', 7, 0.25, 0.95),
  );
  const green = hsv(
    draw('flower', 8, 0.2, 0.42),
    draw('flower', 9, 0.3, 0.8),
    draw('flower', 10, 0.25, 0.65),
  );
  const radius = draw('flower', 11, 0.32, 0.47) * size;
  // Tilt: lengths along one direction look shorter.
  const tilt = draw('flower', 12);
  const [tiltX, tiltY] = [cosTurns(tilt), sinTurns(tilt)];
  const flat = draw('flower', 13, 0.68, 1) - 1;
  return {
    middle: [draw('flower', 14, 0.42, 0.58) * size, draw('flower', 15, 0.42, 0.58) * size],
    radius,
    petal: { base, tip, rim: draw('flower', 16, 0.3, 0.5) },
    heart: { base: mix(heartTip, [0, 0, 0], 0.35), tip: heartTip, rim: 0.3 },
    stem: { base: mix(green, [0, 0, 0], 0.25), tip: green, rim: 0.35 },
    vector: (turns, length) => {
      const [x, y] = [cosTurns(turns) * length * radius, sinTurns(turns) * length * radius];
      const shorter = (x * tiltX + y * tiltY) * flat;
      return [x + shorter * tiltX, y + shorter * tiltY];
    },
  };
}

/** A stem from the flower (a cup's foot, a bell's bow) down and out of the picture. */
function paintStem(onto: Painting, draw: Draw, flower: Flower, label: SyntheticClass): void {
  if (label === 'bellflower') return;
  const { middle, radius } = flower;
  const foot: Point = [middle[0] + draw('flower', 21, -0.35, 0.35) * onto.size, onto.size * 1.08];
  const bow: Point = [
    middle[0] + draw('flower', 22, -0.12, 0.12) * onto.size,
    (middle[1] + foot[1]) * 0.5,
  ];
  const curve = [middle, bow, foot] as const;
  stroke(onto, curve, Math.max(1.5, radius * 0.12), flower.stem);
  for (let leaf = 0; leaf < 2; leaf++) {
    if (draw('flower', 23 + leaf) < 0.4) continue;
    const turns = 0.75 + (leaf === 0 ? 1 : -1) * draw('flower', 25 + leaf, 0.05, 0.14);
    const place = placed(
      onCurve(curve, 0.75),
      turns,
      radius * draw('flower', 27 + leaf, 0.8, 1.4),
      radius * 0.16,
    );
    patch(onto, lance, place, flower.stem);
  }
}

interface Ring {
  count: number;
  shape: Shape;
  /** Where a petal begins and ends, in radii. */
  from: number;
  to: number;
  /** Half its width, in radii. */
  width: number;
}

/** Petals all around, each a little off its place and size. */
function ring(onto: Painting, draw: Draw, flower: Flower, first: number, spec: Ring): void {
  const { middle, vector, petal } = flower;
  const turn = draw('petals', first);
  for (let i = 0; i < spec.count; i++) {
    const at = first + 1 + i * 2;
    const turns = turn + (i + draw('petals', at, -0.13, 0.13)) / spec.count;
    const length = spec.to * draw('petals', at + 1, 0.92, 1.06);
    const start = vector(turns, spec.from);
    patch(
      onto,
      spec.shape,
      {
        origin: [middle[0] + start[0], middle[1] + start[1]],
        along: vector(turns, length - spec.from),
        across: vector(turns + 0.25, spec.width),
      },
      petal,
    );
  }
}

/** The disc in the middle, with `seeds` seeds in a spiral. */
function heart(onto: Painting, flower: Flower, width: number, seeds: number): void {
  const { middle, vector } = flower;
  const round = (origin: Point, of: number): Placement => ({
    origin,
    along: vector(0, of),
    across: vector(0.25, of),
  });
  patch(onto, disc, round(middle, width), flower.heart);
  const seed: Paint = {
    base: mix(flower.heart.tip, [0, 0, 0], 0.6),
    tip: flower.heart.base,
    rim: 0,
  };
  for (let i = 0; i < seeds; i++) {
    // The golden angle, as in a real head of seeds.
    const out = vector(i * 0.381966011, width * 0.94 * Math.sqrt((i + 0.5) / seeds));
    patch(onto, disc, round([middle[0] + out[0], middle[1] + out[1]], width * 0.07), seed);
  }
}

/** A tulip from the side: three petals that stand close together on the stem. */
function paintCup(onto: Painting, draw: Draw, flower: Flower): void {
  const { middle, radius, petal } = flower;
  const lean = 0.75 + draw('petals', 0, -0.07, 0.07);
  const opening = draw('petals', 1, 0.045, 0.085);
  const foot: Point = [
    middle[0] - cosTurns(lean) * radius * 0.75,
    middle[1] - sinTurns(lean) * radius * 0.75,
  ];
  stroke(onto, [middle, foot, foot], Math.max(1.5, radius * 0.12), flower.stem);
  const darker: Paint = {
    ...petal,
    base: mix(petal.base, [0, 0, 0], 0.25),
    tip: mix(petal.tip, [0, 0, 0], 0.18),
  };
  const cup: readonly [number, number, number, Paint][] = [
    [-0.4 * opening, 1.5, 0.4, darker],
    [0.4 * opening, 1.5, 0.4, darker],
    [-opening, 1.62, 0.42, petal],
    [opening, 1.62, 0.42, petal],
    [0, 1.42, 0.5, petal],
  ];
  for (const [turns, length, width, paint] of cup) {
    patch(onto, lance, placed(foot, lean + turns, radius * length, radius * width), paint);
  }
}

/** Bells that hang from a bowed stem. */
function paintBells(onto: Painting, draw: Draw, flower: Flower): void {
  const { middle, radius, petal } = flower;
  const side = draw('petals', 0) < 0.5 ? -1 : 1;
  const size = onto.size;
  const foot: Point = [middle[0] - side * radius * draw('petals', 1, 0.9, 1.3), size * 1.08];
  const bow: Point = [
    middle[0] - side * radius * 0.8,
    middle[1] - radius * draw('petals', 2, 1.5, 2),
  ];
  const end: Point = [
    middle[0] + side * radius * 1.05,
    middle[1] - radius * draw('petals', 3, 0, 0.25),
  ];
  const curve = [foot, bow, end] as const;
  stroke(onto, curve, Math.max(1.4, radius * 0.09), flower.stem);
  const bells = count(draw, 3, 4);
  const lip: Paint = {
    base: mix(petal.base, [0, 0, 0], 0.5),
    tip: mix(petal.tip, [0, 0, 0], 0.4),
    rim: 0.2,
  };
  for (let i = 0; i < bells; i++) {
    const from = onCurve(curve, 0.5 + (0.5 * i) / (bells - 1));
    const turns = 0.25 + draw('petals', 10 + i * 2, -0.05, 0.05);
    const length = radius * draw('petals', 11 + i * 2, 0.72, 0.88);
    const place = placed(from, turns, length, length * 0.48);
    patch(onto, bell, place, petal);
    const opening: Point = [from[0] + place.along[0] * 0.97, from[1] + place.along[1] * 0.97];
    patch(onto, disc, placed(opening, turns, length * 0.13, length * 0.46), lip);
  }
}

/** A patch from a point in a direction (turns), `length` and half `width` in pixels. */
export function placed(origin: Point, turns: number, length: number, width: number): Placement {
  const [x, y] = [cosTurns(turns), sinTurns(turns)];
  return { origin, along: [x * length, y * length], across: [-y * width, x * width] };
}

const tau = 6.283185307179586;

/** Cosine of an angle in turns. */
export function cosTurns(turns: number): number {
  return cos(turns * tau);
}

/** Sine of an angle in turns. */
export function sinTurns(turns: number): number {
  return sin(turns * tau);
}
