import * as v from "valibot";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock, Running } from "../core/ports.ts";
import { backoffMs } from "../base/backoff.ts";
import { idleDeadline, loop } from "../base/every.ts";
import type { KubeClient } from "./client.ts";
import {
  configMap,
  configMapList,
  refusalOf,
  watchEvent,
  type ConfigMap,
  type Refusal,
} from "./objects.ts";
import { explainRefusal, rights } from "./rights.ts";

/** What a watch sees: the object, that there is none, or why it cannot look. */
export type Sight =
  | { readonly kind: "object"; readonly object: ConfigMap }
  | { readonly kind: "absent" }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "unreachable"; readonly reason: string };

export interface WatchDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly namespace: string;
  readonly name: string;
  /** Told every sight; the same one may be told again. */
  readonly see: (sight: Sight) => void;
}

/**
 * The server ends a watch after this long; then everything is listed anew, which is also the plain look every five
 * minutes that finds what a watch may have missed. Random, so that a fleet does not come back in one instant.
 */
const leastSeconds = 240;
const mostSeconds = 300;
/** Bookmarks come about once a minute (`bookmarkFrequency` of the API server): silence beyond this is a dead peer. */
const idleMs = 150_000;
const backoffLimits = { firstMs: 1_000, maxMs: 30_000 };
/** A watch that ends sooner did not work, whatever it said. */
const shortMs = 5_000;
/** A ConfigMap holds 1 MiB at most (`MaxSecretSize`), JSON escapes may make it some times longer. */
const maxLineBytes = 8 * 1024 * 1024;

/** The lines of a stream; a torn last one is dropped. */
async function* linesOf(chunks: AsyncIterable<Buffer>, heard: () => void): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    heard();
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (rest.length > maxLineBytes)
      throw new AgentError("HTTP_FAILED", `line of a watch longer than ${maxLineBytes} bytes`);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield rest.toString("utf8", 0, end);
      rest = rest.subarray(end + 1);
    }
  }
}

class Watch {
  readonly #deps: WatchDeps;
  readonly #path: string;
  #failures = 0;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#path = `/api/v1/namespaces/${encodeURIComponent(deps.namespace)}/configmaps`;
  }

  /** Lists, then watches until that ends; the delay before the next round. */
  async round(signal: AbortSignal): Promise<number> {
    const version = await this.#list(signal);
    if (version === null) return this.#later();
    const startedMs = this.#deps.clock.monotonic();
    const isOver = await this.#follow(version, signal);
    const hasWorked = this.#deps.clock.monotonic() - startedMs >= shortMs;
    if (hasWorked) this.#failures = 0;
    return isOver && hasWorked ? 0 : this.#later();
  }

  failed(cause: unknown): number {
    this.#deps.see({ kind: "unreachable", reason: errorText(cause) });
    return this.#later();
  }

  #later(): number {
    this.#failures += 1;
    return backoffMs(this.#failures, backoffLimits, this.#deps.random);
  }

  /** With this selector a Role that names the one object is enough; without it the API server answers 403. */
  #query(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { fieldSelector: `metadata.name=${this.#deps.name}`, ...more };
  }

  /** The version to watch from; null when the list was refused. */
  async #list(signal: AbortSignal): Promise<string | null> {
    const { client, see } = this.#deps;
    const query = this.#query();
    const reply = await client.request({ method: "GET", path: this.#path, query, signal });
    if (reply.status !== 200) return this.#refused(refusalOf(reply.status, reply.body));
    const list = v.safeParse(configMapList, reply.body);
    if (!list.success) throw new AgentError("HTTP_FAILED", "API server: not a list of ConfigMaps");
    const [object] = list.output.items ?? [];
    see(object === undefined ? { kind: "absent" } : { kind: "object", object });
    return list.output.metadata.resourceVersion;
  }

  /** Only 403 speaks of rights; 401 comes and goes, with rotated tokens and servers that just start. */
  #refused(refusal: Refusal): null {
    this.#deps.see(
      refusal.code === 403
        ? { kind: "refused", refusal }
        : { kind: "unreachable", reason: explainRefusal(rights.configmap, "", refusal) },
    );
    return null;
  }

  /** Follows changes until the server ends the watch; whether it ended in good order. */
  async #follow(resourceVersion: string, signal: AbortSignal): Promise<boolean> {
    const { client, clock, random } = this.#deps;
    const seconds = leastSeconds + Math.floor((mostSeconds - leastSeconds) * random());
    const query = this.#query({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: String(seconds),
    });
    const idle = idleDeadline(clock, idleMs, signal);
    try {
      const stream = await client.stream({ path: this.#path, query, signal: idle.signal });
      if (stream.ok) return await this.#read(linesOf(stream.chunks, () => idle.touch()));
      const refusal = refusalOf(stream.reply.status, stream.reply.body);
      // 410: that version is compacted away; a new list begins anew.
      if (refusal.code !== 410) this.#refused(refusal);
      return false;
    } finally {
      idle.clear();
    }
  }

  /** Takes lines until there are no more; false when one was no good. */
  async #read(lines: AsyncIterable<string>): Promise<boolean> {
    try {
      for await (const line of lines) if (!this.#take(line)) return false;
    } catch {
      // A connection that broke or fell silent is an end like any other: whether the server is there, the list tells.
    }
    return true;
  }

  /** One line; false when the watch has to begin anew. */
  #take(line: string): boolean {
    const event = v.safeParse(v.pipe(v.string(), v.parseJson(), watchEvent), line);
    if (!event.success) return false;
    const { type, object } = event.output;
    if (type === "BOOKMARK") return true;
    if (type === "ERROR") return false;
    if (type === "DELETED") this.#deps.see({ kind: "absent" });
    else {
      const changed = v.safeParse(configMap, object);
      if (!changed.success) return false;
      this.#deps.see({ kind: "object", object: changed.output });
    }
    return true;
  }
}

/** Watches one ConfigMap for as long as it runs: list, watch, and the same again, whatever happens in between. */
export function watchConfigMap(deps: WatchDeps): Running {
  const watch = new Watch(deps);
  return loop(
    deps.clock,
    (signal) => watch.round(signal),
    (cause) => watch.failed(cause),
  );
}
