import type { Channel, Outcome } from "../core/delivery.ts";
import type { ChannelDeps } from "./contract.ts";
import { renderDigest } from "./digest.ts";
import { renderMessage, type Rendered } from "./render.ts";

/** Gives a service what is to be said, under an id that is the same at every try. */
export type Say = (rendered: Rendered, messageId: string, signal: AbortSignal) => Promise<Outcome>;

/** A channel whose messages are texts for people: one of an alert and one of many alerts go the same way. */
export function createTextChannel(
  { language, template }: Pick<ChannelDeps, "language" | "template">,
  say: Say,
): Channel {
  return {
    send: (message, signal) => say(renderMessage(message, language, template), message.id, signal),
    sendDigest: (digest, signal) => say(renderDigest(digest, language), digest.id, signal),
    close: async () => {},
  };
}
