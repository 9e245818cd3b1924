import type { IndexedPicture } from "./png.ts";

/** A place on a canvas: pixels from the top left corner, fractions allowed. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Something to draw on. What lies outside of it is not drawn. */
export interface Canvas {
  /** Fills whole pixels. */
  rectangle(from: Point, to: Point, colour: number): void;
  /** Draws lines from point to point, with smooth edges; a lone point becomes a dot. */
  stroke(lines: readonly (readonly Point[])[], width: number, colour: number): void;
  picture(): IndexedPicture;
}

/**
 * Steps from nothing to the full colour at the edge of a line. More look no smoother at this size, and make more colours
 * and a bigger file.
 */
const edgeSteps = 4;

function mixed(under: number, over: number, share: number): number {
  const part = (shift: number): number => {
    const from = (under >> shift) & 0xff;
    const to = (over >> shift) & 0xff;
    return Math.round(from + (to - from) * share) << shift;
  };
  return part(16) | part(8) | part(0);
}

/** How far a place is from the nearest point of a line. */
function distance(x: number, y: number, from: Point, end: Point): number {
  const [dx, dy] = [end.x - from.x, end.y - from.y];
  const squared = dx * dx + dy * dy;
  const along = squared === 0 ? 0 : ((x - from.x) * dx + (y - from.y) * dy) / squared;
  const share = Math.min(1, Math.max(0, along));
  const [acrossX, acrossY] = [x - from.x - share * dx, y - from.y - share * dy];
  return Math.sqrt(acrossX * acrossX + acrossY * acrossY);
}

/** Visits the pixels of a rectangle that are on a canvas. */
function eachIn(
  size: { readonly width: number; readonly height: number },
  from: Point,
  to: Point,
  visit: (at: number, x: number, y: number) => void,
): void {
  const { width, height } = size;
  const [left, right] = [Math.max(0, Math.floor(from.x)), Math.min(width, Math.ceil(to.x))];
  const [top, bottom] = [Math.max(0, Math.floor(from.y)), Math.min(height, Math.ceil(to.y))];
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) visit(y * width + x, x, y);
}

/** The picture of colours, with a palette of those that are there. */
function indexed(width: number, height: number, colours: Uint32Array): IndexedPicture {
  const places = new Map<number, number>();
  const pixels = new Uint8Array(colours.length);
  for (const [at, colour] of colours.entries()) {
    const place = places.get(colour) ?? places.size;
    if (place === places.size) places.set(colour, place);
    pixels[at] = place;
  }
  return { width, height, palette: [...places.keys()], pixels };
}

/** Creates a canvas of one colour. Colours are 0xRRGGBB. */
export function createCanvas(width: number, height: number, background: number): Canvas {
  const size = { width, height };
  const colours = new Uint32Array(width * height).fill(background);
  /** Lines that meet cover the place where they meet once. */
  const cover = (covered: Uint8Array, [from, end]: readonly [Point, Point], half: number): void => {
    const reach = half + 1;
    const low = { x: Math.min(from.x, end.x) - reach, y: Math.min(from.y, end.y) - reach };
    const high = { x: Math.max(from.x, end.x) + reach, y: Math.max(from.y, end.y) + reach };
    eachIn(size, low, high, (at, x, y) => {
      const away = distance(x + 0.5, y + 0.5, from, end);
      const share = Math.min(1, Math.max(0, half + 0.5 - away));
      covered[at] = Math.max(covered[at] ?? 0, Math.round(share * edgeSteps));
    });
  };
  return {
    rectangle: (from, to, colour) => {
      eachIn(size, from, to, (at) => {
        colours[at] = colour;
      });
    },
    stroke: (lines, lineWidth, colour) => {
      const covered = new Uint8Array(colours.length);
      for (const points of lines)
        for (const [at, point] of points.entries())
          cover(covered, [points[at - 1] ?? point, point], lineWidth / 2);
      for (const [at, steps] of covered.entries())
        if (steps > 0) colours[at] = mixed(colours[at] ?? background, colour, steps / edgeSteps);
    },
    picture: () => indexed(width, height, colours),
  };
}
