import { AgentError } from "../../core/errors.ts";

function unexpected(what: string): AgentError {
  return new AgentError("STORE_UNAVAILABLE", `redis answered with something else than ${what}`);
}

/** A reply that is a list. */
export function listReply(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unexpected("a list");
  return reply;
}

/** A list of texts; null where there is nothing. */
export function textsReply(reply: unknown): readonly (string | null)[] {
  return listReply(reply).map((item) => {
    if (item !== null && typeof item !== "string") throw unexpected("texts");
    return item;
  });
}

/** A list of texts none of which may be missing. */
export function namesReply(reply: unknown): readonly string[] {
  return textsReply(reply).filter((item) => item !== null);
}

/** A list of bytes; null where there is nothing. */
export function bytesReply(reply: unknown): readonly (Uint8Array | null)[] {
  return listReply(reply).map((item) => {
    if (item !== null && !(item instanceof Uint8Array)) throw unexpected("bytes");
    return item;
  });
}

/** Names and values in turn, as HGETALL and WITHSCORES answer. */
export function pairsReply(reply: unknown): readonly (readonly [string, string])[] {
  // A pipeline makes an object of what HGETALL answers.
  if (typeof reply === "object" && reply !== null && !Array.isArray(reply))
    return Object.entries(reply).map(([name, value]) => [name, String(value)]);
  const flat = namesReply(reply);
  return flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""]] : []));
}

/** An integer. */
export function countReply(reply: unknown): number {
  if (typeof reply !== "number") throw unexpected("a number");
  return reply;
}

/** A list of numbers, as scripts answer. */
export function numbersReply(reply: unknown): readonly number[] {
  return listReply(reply).map((item) => {
    if (typeof item !== "number") throw unexpected("numbers");
    return item;
  });
}
