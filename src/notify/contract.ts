import type * as v from "valibot";
import type { HttpClient } from "../base/http.ts";
import type { Channel, Language, RateLimit, Template } from "../core/delivery.ts";
import type { Clock } from "../core/ports.ts";
import type { Reached } from "./reach.ts";

/** What a channel may use. */
export interface ChannelDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** The language of its messages. */
  readonly language: Language;
  /** What they say instead; null: nothing. */
  readonly template: Template | null;
}

/** An object schema whose keys can be listed, so that a misspelt one is told the nearest. */
export type SettingsSchema<S> = v.GenericSchema<unknown, S> & {
  readonly entries: v.ObjectEntries;
};

/** A channel plugin: one value in one file, known by its type name. */
export interface ChannelPlugin<S> {
  readonly type: string;
  /** One sentence for the docs table. */
  readonly doc: string;
  /** The settings beyond the common ones (`name`, `type`, `enabled`, `levels`, `language`), checked and typed. */
  readonly settings: SettingsSchema<S>;
  /** Settings whose value may stand in a file that `<setting>_file` names; the output keeps their names. */
  readonly fromFile: readonly string[];
  /** An example that parses, for docs and tests; no real address in it. */
  readonly example: Readonly<Record<string, unknown>>;
  /** What the service allows, as whole windows: never more than `count` in any `perMs`. */
  readonly limits: readonly RateLimit[];
  /** Longest body, or text in it, as the service counts, in bytes; null: no limit. */
  readonly maxBytes: number | null;
  /** Its messages are data with a form of their own, which no template can change. */
  readonly isForMachines?: true;
  /** What the service counts messages by: channels of one robot share its limits. */
  robot(settings: S): string;
  /** What works but should be known, such as a secret that travels in clear. */
  warnings(settings: S): readonly string[];
  /** Goes to the service as far as that is possible without sending a message, until the signal aborts. */
  reach(settings: S, signal: AbortSignal): Promise<Reached>;
  create(settings: S, deps: ChannelDeps): Channel;
}

export type AnyChannelPlugin = ChannelPlugin<unknown>;

/** Hides a plugin's settings type; `create` is only ever given what its own `settings` parsed. */
export function defineChannel<S>(plugin: ChannelPlugin<S>): AnyChannelPlugin {
  return plugin;
}
