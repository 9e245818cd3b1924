const prefixes = ["", "k", "M", "G", "T", "P"];

/** A number with no more decimals than asked; a very small one keeps two digits. */
export function plainNumber(value: number, decimals: number): string {
  if (value !== 0 && Math.abs(value) < 10 ** -decimals) return String(Number(value.toPrecision(2)));
  return String(Number(value.toFixed(decimals)));
}

/**
 * A value in no more digits than it is worth, and the prefix of its unit: bytes and bytes a second in powers of 1000, as
 * network and disk makers count them.
 */
export function splitValue(
  value: number,
  unit: string,
): { readonly number: string; readonly prefix: string } {
  if (unit !== "B" && unit !== "B/s")
    return { number: plainNumber(value, unit === "%" ? 1 : 2), prefix: "" };
  let rest = value;
  let power = 0;
  // 999.95 would be shown as 1000.
  while (Math.abs(rest) >= 999.95 && power < prefixes.length - 1) {
    rest /= 1_000;
    power += 1;
  }
  return { number: plainNumber(rest, 1), prefix: prefixes[power] ?? "" };
}

/** A value with its unit: `97.3 %`, `12.5 MB/s`, `4.25`. */
export function formatValue(value: number, unit: string): string {
  const { number, prefix } = splitValue(value, unit);
  return unit === "" ? number : `${number} ${prefix}${unit}`;
}
