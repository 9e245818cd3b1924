import { errorText } from "../core/errors.ts";
import type { Clock, Log, LogFields } from "../core/ports.ts";
import type { Redactor } from "./secret.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "json" | "text";
  readonly clock: Clock;
  readonly redactor: Redactor;
  /** Takes one finished line without its end. */
  readonly write: (line: string) => void;
}

function plain(value: unknown): unknown {
  return value instanceof Error ? errorText(value) : value;
}

function asText(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => {
      const shown = plain(value);
      return ` ${name}=${typeof shown === "string" && /^[\w./:@+-]+$/.test(shown) ? shown : JSON.stringify(shown)}`;
    })
    .join("");
}

/** A log of one line an event, JSON or text; secrets the redactor knows are masked in whatever is written. */
export function createLog({ level, format, clock, redactor, write }: LogOptions): Log {
  const least = logLevels.indexOf(level);
  const line = (at: LogLevel, event: string, fields: LogFields): string => {
    const time = new Date(clock.now()).toISOString();
    if (format === "text") return `${time} ${at.toUpperCase().padEnd(5)} ${event}${asText(fields)}`;
    const shown = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, plain(value)]),
    );
    return JSON.stringify({ time, level: at, event, ...shown });
  };
  const at =
    (name: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      if (logLevels.indexOf(name) >= least) write(redactor.redact(line(name, event, fields)));
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
