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

/** A stretch of other points; what it holds is multiplied by `scale`. */
export interface PointOf {
  readonly from: Points;
  readonly index: number;
  readonly scale: number;
}

/** Adds a stretch of other points to the stretch `at`. */
export function addPoint(into: Points, at: number, { from, index, scale }: PointOf): void {
  const added = numberAt(from.counts, index);
  if (added === 0) return;
  const count = numberAt(into.counts, at);
  const min = numberAt(from.mins, index) * scale;
  const max = numberAt(from.maxs, index) * scale;
  if (count === 0 || min < numberAt(into.mins, at)) into.mins[at] = min;
  if (count === 0 || max > numberAt(into.maxs, at)) into.maxs[at] = max;
  into.sums[at] = numberAt(into.sums, at) + numberAt(from.sums, index) * scale;
  into.counts[at] = count + added;
}
