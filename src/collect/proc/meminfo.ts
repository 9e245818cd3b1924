import { procNumber, unexpected } from "./numbers.ts";

/** One line of /proc/meminfo. */
export interface MemoryField {
  /** Bytes, or a plain number (of huge pages) when `isBytes` is false. */
  readonly value: number;
  readonly isBytes: boolean;
}

/** The fields of /proc/meminfo by their names there; MemTotal is always among them and above 0. */
export type MemInfo = ReadonlyMap<string, MemoryField>;

/** Reads /proc/meminfo. Throws PROC_UNREADABLE on a garbled line or without MemTotal. */
export function parseMemInfo(text: string): MemInfo {
  const fields = new Map<string, MemoryField>();
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const [, name, number, unit] = /^([^\s:]+):\s+(\S+)(?: (kB))?\s*$/.exec(line) ?? [];
    if (name === undefined) throw unexpected("meminfo", '"Name: number kB"', line);
    const value = procNumber(number, "meminfo", line);
    fields.set(name, { value: unit === "kB" ? value * 1024 : value, isBytes: unit === "kB" });
  }
  if (!((fields.get("MemTotal")?.value ?? 0) > 0))
    throw unexpected("meminfo", "MemTotal above 0", text);
  return fields;
}
