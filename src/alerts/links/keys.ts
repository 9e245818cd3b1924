import { randomBytes } from "node:crypto";
import { atMost } from "../../base/every.ts";
import { Secret, type Redactor } from "../../base/secret.ts";
import type { SigningKey, SigningKeyPort } from "../../core/action.ts";
import { errorText } from "../../core/errors.ts";
import type { Clock, Log } from "../../core/ports.ts";
import { keyId, type NamedKey } from "./token.ts";

export interface SigningKeysDeps {
  readonly port: SigningKeyPort;
  /** Where they are kept beside the agent, for its eyes only; neither rejects. */
  readonly saved: {
    readonly load: () => Promise<readonly SigningKey[]>;
    readonly save: (keys: readonly SigningKey[]) => Promise<void>;
  };
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Log;
}

const weekMs = 7 * 86_400_000;
/** Keys of this many weeks before are remembered, for links that were signed while the store was away. */
const rememberedWeeks = 4;
/** Anybody can send a link that names an unknown key: the store is asked no more often. */
const askEveryMs = 5_000;
/** How long who follows a link, or an agent that starts, waits for the store. */
const patienceMs = 2_000;

/** The keys of the fleet, as far as this agent knows them. */
export class SigningKeys {
  readonly #deps: SigningKeysDeps;
  /** By id, the newest last. */
  #known = new Map<string, SigningKey>();
  /** What the store is known to have. */
  #settled: { readonly period: number; readonly epoch: number } | null = null;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: SigningKeysDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier run knew. Never rejects. */
  async restore(): Promise<void> {
    this.#learn(await this.#deps.saved.load());
  }

  /** The key to sign with now; null: none is known yet. */
  get current(): NamedKey | null {
    const [id, key] = [...this.#known].at(-1) ?? [];
    return id === undefined || key === undefined ? null : { id, value: key.value };
  }

  /**
   * Has a key of this week, the fleet's. To be called from time to time; `epoch` is the store's, which may have come
   * back empty since. Never rejects: without the store, what is known stays.
   */
  async refresh(epoch: number): Promise<void> {
    const period = Math.floor(this.#deps.clock.now() / weekMs);
    if (this.#settled?.period === period && this.#settled.epoch === epoch) return;
    const known = [...this.#known.values()].findLast((key) => key.period === period);
    const mine = known ?? { period, value: randomBytes(32).toString("base64url") };
    try {
      this.#learn([await this.#deps.port.settle(mine)]);
      this.#settled = { period, epoch };
    } catch (cause) {
      this.#deps.log.debug("key for links not settled yet", { cause: errorText(cause) });
    }
  }

  /** The key of an id, also one that another agent knows; null: nobody does, or the store cannot be asked. */
  async find(id: string): Promise<NamedKey | null> {
    if (!this.#known.has(id)) await this.#ask();
    const key = this.#known.get(id);
    return key === undefined ? null : { id, value: key.value };
  }

  async #ask(): Promise<void> {
    const { port, clock, log } = this.#deps;
    if (clock.monotonic() - this.#askedAtMs < askEveryMs) return;
    this.#askedAtMs = clock.monotonic();
    const asking = port.list().then(
      (keys) => this.#learn(keys),
      (cause: unknown) => log.debug("keys for links not read", { cause: errorText(cause) }),
    );
    await atMost(clock, patienceMs, asking);
  }

  #learn(keys: readonly SigningKey[]): void {
    const before = this.#known;
    const oldest = Math.floor(this.#deps.clock.now() / weekMs) - rememberedWeeks;
    for (const { value } of keys) this.#deps.redactor.learn(new Secret(value));
    const all = new Map(before);
    for (const key of keys) {
      const id = keyId(key.period, key.value);
      // What the store has settled is what the others sign with: it counts as the newest of its week.
      all.delete(id);
      all.set(id, key);
    }
    this.#known = new Map(
      [...all]
        .filter(([, { period }]) => period >= oldest)
        .toSorted(([, a], [, b]) => a.period - b.period),
    );
    const ids = (of: ReadonlyMap<string, SigningKey>): string => [...of.keys()].join();
    // Not waited for: nobody must wait for a disk.
    if (ids(before) !== ids(this.#known)) void this.#deps.saved.save([...this.#known.values()]);
  }
}
