import type { LogFields, Log } from "../../src/core/ports.ts";
import { createLog } from "../../src/base/log.ts";
import { createRedactor, type Redactor } from "../../src/base/secret.ts";
import { systemClock } from "../../src/base/clock.ts";

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** The real log, its lines kept for a test to look at. */
export function recordLog(redactor: Redactor = createRedactor()): {
  log: Log;
  lines: LogLine[];
  text: () => string;
  of: (level: string) => string[];
} {
  const lines: LogLine[] = [];
  const raw: string[] = [];
  const log = createLog({
    level: "debug",
    format: "json",
    clock: systemClock,
    redactor,
    write: (line) => {
      raw.push(line);
      const { level, event, ...fields } = JSON.parse(line) as { level: string; event: string };
      lines.push({ level, event, fields });
    },
  });
  return {
    log,
    lines,
    text: () => raw.join("\n"),
    of: (level) => lines.filter((line) => line.level === level).map(({ event }) => event),
  };
}
