/**
 * What a series had in stretches of time that follow each other, in scaled integers. Where a count is 0, the others mean
 * nothing. Sums up to 2^53 are exact; beyond, they are the nearest double after each addition, in time order.
 */
export interface Points {
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly mins: Float64Array;
  readonly maxs: Float64Array;
}

export function createPoints(length: number): Points {
  return {
    counts: new Float64Array(length),
    sums: new Float64Array(length),
    mins: new Float64Array(length),
    maxs: new Float64Array(length),
  };
}

/** The number at a place that is known to be inside. */
export function numberAt(numbers: ArrayLike<number>, at: number): number {
  return numbers[at] ?? 0;
}

/** Adds a sample to the stretch `at`. */
export function addSample({ counts, sums, mins, maxs }: Points, at: number, value: number): void {
  const count = numberAt(counts, at);
  if (count === 0 || value < numberAt(mins, at)) mins[at] = value;
  if (count === 0 || value > numberAt(maxs, at)) maxs[at] = value;
  sums[at] = numberAt(sums, at) + value;
  counts[at] = count + 1;
}

/** Stretches of other points that follow each other; what they hold is multiplied by `scale`. */
export interface PointsOf {
  readonly from: Points;
  readonly begin: number;
  readonly scale: number;
}

/** Adds stretches of other points, each to the stretch that `places` names. */
export function addPoints(
  { counts, sums, mins, maxs }: Points,
  places: Uint32Array,
  { from, begin, scale }: PointsOf,
): void {
  for (let index = 0; index < places.length; index++) {
    const added = numberAt(from.counts, begin + index);
    if (added === 0) continue;
    const at = numberAt(places, index);
    const count = numberAt(counts, at);
    const min = numberAt(from.mins, begin + index) * scale;
    const max = numberAt(from.maxs, begin + index) * scale;
    if (count === 0 || min < numberAt(mins, at)) mins[at] = min;
    if (count === 0 || max > numberAt(maxs, at)) maxs[at] = max;
    sums[at] = numberAt(sums, at) + numberAt(from.sums, begin + index) * scale;
    counts[at] = count + added;
  }
}
