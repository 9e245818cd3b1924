import * as v from "valibot";
import { deadline } from "../base/every.ts";
import type { HttpReply } from "../base/http.ts";
import { AgentError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { parseJson, shortHash } from "./request.ts";

/** Where the last good answer outlives the agent. */
export interface AnswerCache {
  load(): Promise<string | null>;
  save(json: string): Promise<void>;
}

/** The last good answer, as it is kept. It may hold secrets of channels: whoever stores it keeps it private. */
const cached = v.object({
  /** The server's name for this version, or null. */
  etag: v.nullable(v.string()),
  revision: v.string(),
  /** Unix seconds. */
  received_at: v.number(),
  /** Who was asked, for whom, as a hash: a version of another server's answer must not be named to this one. */
  source: v.string(),
  /** The body as it came. */
  answer: v.string(),
});

/** The last good answer and what is known about it. */
export type CachedAnswer = v.InferOutput<typeof cached>;

/** Reads what `JSON.stringify` of a `CachedAnswer` made; null when it is something else. */
export function readCached(json: string): CachedAnswer | null {
  const result = v.safeParse(cached, parseJson(json));
  return result.success ? result.output : null;
}

/** An ETag is sent back in a header: printable, and no longer than such names sensibly are. */
const usableEtag = /^[\x21-\x7e\x80-\xff]{1,256}$/;

/** What is known about an answer as it comes in; its revision is its ETag, or else a hash of its body. */
export function received(reply: HttpReply, source: string, nowMs: number): CachedAnswer {
  const named = reply.headers.etag ?? "";
  const etag = usableEtag.test(named) ? named : null;
  return {
    etag,
    revision: etag ?? shortHash(reply.body),
    received_at: Math.floor(nowMs / 1_000),
    source,
    answer: reply.body,
  };
}

/** The cache is a help: a store that hangs must not keep the agent from asking. */
const deadlineMs = 2_000;

/** Waits for the cache, but not for long and not past a stop. Throws STORE_UNAVAILABLE then. */
export async function soon<T>(clock: Clock, work: Promise<T>, signal: AbortSignal): Promise<T> {
  const limit = deadline(clock, deadlineMs, signal);
  const late = new Promise<never>((_, reject) => {
    const giveUp = (): void =>
      reject(new AgentError("STORE_UNAVAILABLE", "the cache did not answer in time"));
    if (limit.signal.aborted) giveUp();
    else limit.signal.addEventListener("abort", giveUp, { once: true });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    limit.clear();
  }
}
