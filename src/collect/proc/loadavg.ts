import { procNumber } from "./numbers.ts";

/** Runnable and uninterruptible tasks, averaged over 1, 5 and 15 minutes. */
export interface LoadAverages {
  readonly load1: number;
  readonly load5: number;
  readonly load15: number;
}

/** Reads /proc/loadavg. Throws PROC_UNREADABLE when it does not begin with three numbers. */
export function parseLoadAverages(text: string): LoadAverages {
  const words = text.trim().split(/\s+/);
  const [load1 = 0, load5 = 0, load15 = 0] = [0, 1, 2].map((column) =>
    procNumber(words[column], "loadavg", text),
  );
  return { load1, load5, load15 };
}
