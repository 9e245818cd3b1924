import * as v from "valibot";
import type { SigningKey } from "./core/action.ts";
import { errorText } from "./core/errors.ts";
import type { Clock, Log } from "./core/ports.ts";
import type { AnswerCache } from "./admin/cache.ts";
import { SigningKeys } from "./alerts/links/keys.ts";
import { Silences } from "./alerts/silences.ts";
import type { Redactor } from "./base/secret.ts";
import type { Silence } from "./core/silence.ts";
import type { Backend } from "./store/contract.ts";
import type { LocalFiles } from "./store/local.ts";
import { signingKeySchema } from "./store/link.ts";
import { silenceSchema } from "./store/silence.ts";

const stamped = v.pipe(v.string(), v.parseJson(), v.object({ received_at: v.number() }));

function receivedAt(json: string | null): number {
  const parsed = v.safeParse(stamped, json);
  return parsed.success ? parsed.output.received_at : -1;
}

/** The admin server's last good answer, in the shared store and beside the agent; the newer one is believed. */
export function createAnswerCache(deps: {
  readonly backend: Backend;
  readonly local: LocalFiles;
  readonly file: string;
  readonly node: string;
  readonly log: Log;
}): AnswerCache {
  const { backend, local, file, node, log } = deps;
  return {
    load: async () => {
      const beside = await local.read(file);
      const shared = await backend.getDocument(node, "admin").catch((cause: unknown) => {
        log.debug("admin answer not read from the store", { cause: errorText(cause) });
        return null;
      });
      return receivedAt(beside) >= receivedAt(shared) ? beside : shared;
    },
    save: async (json) => {
      await local.write(file, json);
      await backend.putDocument(node, "admin", json);
    },
  };
}

const savedSilences = v.pipe(v.string(), v.parseJson(), v.array(silenceSchema));

/** The silences of the fleet, those known last beside the agent too. */
export function createSilences(deps: {
  readonly backend: Backend;
  readonly local: LocalFiles;
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
}): Silences {
  const { backend, local, file, clock, log } = deps;
  const load = async (): Promise<readonly Silence[]> => {
    const text = await local.read(file);
    const saved = v.safeParse(savedSilences, text);
    if (saved.success) return saved.output;
    if (text !== null) log.warn("silences of an earlier run unreadable", { file });
    return [];
  };
  const save = (silences: readonly Silence[]): Promise<void> =>
    local.write(file, JSON.stringify(silences));
  return new Silences({ port: backend.silences, saved: { load, save }, clock, log });
}

const savedKeys = v.pipe(v.string(), v.parseJson(), v.array(signingKeySchema));

/** The keys that sign links, those known last beside the agent too, where only its user reads. */
export function createSigningKeys(deps: {
  readonly backend: Backend;
  readonly local: LocalFiles;
  readonly file: string;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Log;
}): SigningKeys {
  const { backend, local, file, redactor, clock, log } = deps;
  const load = async (): Promise<readonly SigningKey[]> => {
    const text = await local.read(file);
    const saved = v.safeParse(savedKeys, text);
    if (saved.success) return saved.output;
    if (text !== null) log.warn("keys for links of an earlier run unreadable", { file });
    return [];
  };
  const save = (keys: readonly SigningKey[]): Promise<void> =>
    local.write(file, JSON.stringify(keys));
  return new SigningKeys({
    port: backend.signingKeys,
    saved: { load, save },
    redactor,
    clock,
    log,
  });
}

/** Publishes a document of this node in the shared store; what could not be sent is sent with a later call. */
export class Published {
  readonly #put: (json: string) => Promise<void>;
  readonly #log: Log;
  readonly #clock: Clock;
  /** It is written again this often, so that it does not expire while nothing changes. */
  readonly #againAfterMs = 3_600_000;
  #json: string | null = null;
  #sent: string | null = null;
  #sentAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: { put: (json: string) => Promise<void>; clock: Clock; log: Log }) {
    this.#put = deps.put;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  set(document: unknown): void {
    this.#json = JSON.stringify(document);
  }

  /** Has it written again with the next flush, though it did not change. */
  resend(): void {
    this.#sent = null;
  }

  async flush(): Promise<void> {
    const json = this.#json;
    const fresh = this.#clock.monotonic() - this.#sentAtMs < this.#againAfterMs;
    if (json === null || (json === this.#sent && fresh)) return;
    try {
      await this.#put(json);
      this.#sent = json;
      this.#sentAtMs = this.#clock.monotonic();
    } catch (cause) {
      this.#log.debug("document not published yet", { cause: errorText(cause) });
    }
  }
}
