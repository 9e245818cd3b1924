/**
 * How many Events an object may get: what client-go's own recorder allows (tools/record/events_cache.go:
 * defaultSpamBurst, defaultSpamQPS), so that a flapping alert does not flood the API server.
 */
const burst = 25;
const refillMs = 5 * 60_000;
/** Objects that are remembered; the agent speaks of three. */
const maxObjects = 100;

interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

/** A bucket of Events for every object. */
export class EventBudget {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes one; false when there is none left. `nowMs` is monotonic. */
  take(object: string, nowMs: number): boolean {
    const { tokens, atMs } = this.#buckets.get(object) ?? { tokens: burst, atMs: nowMs };
    const now = Math.min(burst, tokens + (nowMs - atMs) / refillMs);
    this.#buckets.delete(object);
    if (this.#buckets.size >= maxObjects) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    this.#buckets.set(object, { tokens: now >= 1 ? now - 1 : now, atMs: nowMs });
    return now >= 1;
  }
}
