import type * as v from "valibot";
import type { HttpClient } from "../base/http.ts";
import type { Channel, Language, RateLimit } from "../core/delivery.ts";
import type { Clock } from "../core/ports.ts";

/** What a channel may use. */
export interface ChannelDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** The language of its messages. */
  readonly language: Language;
}

/** A channel plugin: one value in one file, known by its type name. */
export interface ChannelPlugin<S> {
  readonly type: string;
  /** One sentence for the docs table. */
  readonly doc: string;
  /** The settings beyond the common ones (`name`, `type`, `enabled`, `levels`, `language`), checked and typed. */
  readonly settings: v.GenericSchema<unknown, S>;
  /** An example that parses, for docs and tests; no real address in it. */
  readonly example: Readonly<Record<string, unknown>>;
  /** What the service allows, as whole windows: never more than `count` in any `perMs`. */
  readonly limits: readonly RateLimit[];
  /** Longest body the service takes, in bytes; null: no limit. */
  readonly maxBytes: number | null;
  create(settings: S, deps: ChannelDeps): Channel;
}

export type AnyChannelPlugin = ChannelPlugin<unknown>;

/** Hides a plugin's settings type; `create` is only ever given what its own `settings` parsed. */
export function defineChannel<S>(plugin: ChannelPlugin<S>): AnyChannelPlugin {
  return plugin;
}
