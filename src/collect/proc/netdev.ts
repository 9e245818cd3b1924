import { procNumber, unexpected } from "./numbers.ts";

/** What an interface counted in one direction since it came up; the columns of /proc/net/dev that both directions have. */
export interface DirectionCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errs: number;
  readonly drop: number;
}

/** A line of /proc/net/dev. */
export interface InterfaceCounters {
  readonly name: string;
  readonly receive: DirectionCounters;
  readonly transmit: DirectionCounters;
}

/** Eight columns of received, eight of sent, since Linux 2.2; both begin with bytes, packets, errs and drop. */
const columnsPerDirection = 8;

/** Old kernels leave no space behind the colon of a long number, and let names contain colons. */
const interfaceLine = /^\s*(\S+):([^:]*)$/;

function parseCounters(numbers: string, line: string): Omit<InterfaceCounters, "name"> {
  const words = numbers.trim().split(/\s+/);
  if (words.length < 2 * columnsPerDirection) throw unexpected("net/dev", "sixteen numbers", line);
  const direction = (first: number): DirectionCounters => ({
    bytes: procNumber(words[first], "net/dev", line),
    packets: procNumber(words[first + 1], "net/dev", line),
    errs: procNumber(words[first + 2], "net/dev", line),
    drop: procNumber(words[first + 3], "net/dev", line),
  });
  return { receive: direction(0), transmit: direction(columnsPerDirection) };
}

/**
 * Reads /proc/net/dev, of whose interfaces only those wanted. A namespace without any is no error: then there are just
 * two lines of headings. Throws PROC_UNREADABLE on anything else.
 */
export function parseNetDev(
  text: string,
  wanted: (name: string) => boolean = () => true,
): readonly InterfaceCounters[] {
  const [title, headings, ...lines] = text.split("\n");
  if (!title?.includes("|") || !headings?.includes("|bytes"))
    throw unexpected("net/dev", "two lines of headings", text);
  return lines.flatMap((line) => {
    if (line.trim() === "") return [];
    const [, name, numbers = ""] = interfaceLine.exec(line) ?? [];
    if (name === undefined) throw unexpected("net/dev", 'a line "name: numbers"', line);
    return wanted(name) ? [{ name, ...parseCounters(numbers, line) }] : [];
  });
}
