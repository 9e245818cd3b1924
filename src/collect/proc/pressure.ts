import type { Pressure, Stall } from "../../core/delivery.ts";
import { unexpected } from "./numbers.ts";

/** A line as the kernel writes it: `some avg10=0.15 avg60=0.57 avg300=0.91 total=59628032` (Documentation/accounting/psi). */
function stallOf(text: string, kind: "some" | "full"): Stall | null {
  const found = new RegExp(`^${kind} avg10=(\\d+\\.\\d+) avg60=(\\d+\\.\\d+) `, "m").exec(text);
  if (found === null) return null;
  return { avg10: Number(found[1]), avg60: Number(found[2]) };
}

/** Reads a file of /proc/pressure. */
export function parsePressure(text: string): Pressure {
  const some = stallOf(text, "some");
  if (some === null) throw unexpected("pressure", "a line with some, avg10 and avg60", text);
  return { some, full: stallOf(text, "full") };
}
