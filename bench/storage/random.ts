/** Chances that are the same for the same seed. */
export interface Chance {
  /** In [0, 1). */
  readonly uniform: () => number;
  /** Normal, mean 0, deviation 1. */
  readonly normal: () => number;
  /** How many of rare events happen when so many are expected. */
  readonly poisson: (expected: number) => number;
  /** Log-normal factor with mean 1. */
  readonly factor: (deviation: number) => number;
}

/** From here on a Poisson count is as good as normal. */
const normalFrom = 50;
const longestCount = 400;

/** Mulberry32: 32 bits of state are enough for a week of samples, and it is the same on every machine. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function createChance(seed: number): Chance {
  const uniform = mulberry32(seed);
  const normal = (): number => {
    let first = 0;
    while (first === 0) first = uniform();
    return Math.sqrt(-2 * Math.log(first)) * Math.cos(2 * Math.PI * uniform());
  };
  return {
    uniform,
    normal,
    factor: (deviation) => Math.exp(deviation * normal() - (deviation * deviation) / 2),
    poisson: (expected) => {
      if (expected > normalFrom)
        return Math.max(0, Math.round(expected + Math.sqrt(expected) * normal()));
      let count = 0;
      let term = Math.exp(-expected);
      let sum = term;
      const drawn = uniform();
      while (drawn > sum && count < longestCount) {
        count++;
        term *= expected / count;
        sum += term;
      }
      return count;
    },
  };
}
