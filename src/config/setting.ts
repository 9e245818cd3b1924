import type { Format } from "./formats.ts";

/** One setting: its place in the file is its place in the table of settings. */
export interface Setting<T> {
  readonly env: string | null;
  readonly format: Format<T>;
  readonly default: unknown;
  readonly doc: string;
  /** Secrets may also come from a file: `<key>_file`, `<ENV>_FILE`. */
  readonly secret: boolean;
}

/** A setting that may be shown. */
export function setting<T>(
  env: string | null,
  format: Format<T>,
  fallback: unknown,
  doc: string,
): Setting<T> {
  return { env, format, default: fallback, doc, secret: false };
}

/** A setting that is never shown; without a default. */
export function secretSetting<T>(env: string, format: Format<T>, doc: string): Setting<T> {
  return { env, format, default: null, doc, secret: true };
}
