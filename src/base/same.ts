import { Secret } from "./secret.ts";

function reveal(value: unknown): unknown {
  return value instanceof Secret ? { secret: value.reveal() } : value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether two settings are alike, secrets included: JSON and `isDeepStrictEqual` cannot see into those. */
export function same(first: unknown, second: unknown): boolean {
  const [a, b] = [reveal(first), reveal(second)];
  if (!isObject(a) || !isObject(b)) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a);
  const right = new Map<string, unknown>(Object.entries(b));
  return (
    left.length === right.size &&
    left.every(([key, value]) => right.has(key) && same(value, right.get(key)))
  );
}
