import { atMost } from "../base/every.ts";
import type { Receipt, ReceiptPort } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { newestFirst } from "./memory/receipts.ts";

/** Receipts that outlast a store that is away. */
export interface KeptReceipts extends ReceiptPort {
  /** Sends what waits. Never rejects. */
  flush(): Promise<void>;
}

/** Whoever sends a message waits for its receipt no longer: two seconds are all it has from the sample to the robot. */
const patienceMs = 200;

/** Some 400 bytes each: what an outage may take of memory is 400 kB. */
const maxWaiting = 1_000;

interface KeptReceiptsDeps {
  readonly receipts: ReceiptPort;
  readonly clock: Clock;
  readonly log: Log;
}

class Kept implements KeptReceipts {
  readonly #deps: KeptReceiptsDeps;
  /** By id, those put first come first. */
  readonly #waiting = new Map<string, Receipt>();
  #sending: Promise<void> | null = null;
  #away = false;

  constructor(deps: KeptReceiptsDeps) {
    this.#deps = deps;
  }

  async put(receipt: Receipt): Promise<void> {
    this.#waiting.set(receipt.id, receipt);
    if (this.#waiting.size > maxWaiting) this.#waiting.delete(this.#oldest()?.id ?? "");
    await atMost(this.#deps.clock, patienceMs, this.flush());
  }

  /** With those that wait; while the store is away, these alone. Rejects when nothing is known. */
  async list(query: Parameters<ReceiptPort["list"]>[0]): Promise<readonly Receipt[]> {
    const { channel, alert, limit } = query;
    const own = [...this.#waiting.values()].filter(
      (receipt) =>
        (channel === undefined || receipt.channel === channel) &&
        (alert === undefined || receipt.alert === alert),
    );
    const stored = await this.#deps.receipts.list(query).catch((cause: unknown) => {
      if (own.length === 0) throw cause;
      return [];
    });
    const newer = new Set(own.map(({ id }) => id));
    return [...own, ...stored.filter(({ id }) => !newer.has(id))].sort(newestFirst).slice(0, limit);
  }

  async find(channel: string, ids: readonly string[]): Promise<readonly Receipt[]> {
    const own = ids.flatMap((id) => this.#waiting.get(id) ?? []);
    const stored = await this.#deps.receipts.find(channel, ids);
    return [...own, ...stored.filter(({ id }) => !this.#waiting.has(id))];
  }

  flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  #oldest(): Receipt | undefined {
    return this.#waiting.values().next().value;
  }

  async #sendAll(): Promise<void> {
    const { receipts, log } = this.#deps;
    try {
      for (let next = this.#oldest(); next !== undefined; next = this.#oldest()) {
        await receipts.put(next);
        // It may have been replaced by a newer one meanwhile, which is the next one then.
        if (this.#waiting.get(next.id) === next) this.#waiting.delete(next.id);
      }
      if (this.#away) log.info("receipts stored again");
      this.#away = false;
    } catch (cause) {
      if (!this.#away) log.warn("receipts wait for the store", { cause: errorText(cause) });
      this.#away = true;
    }
  }
}

/** Lets receipts wait in memory for a store that is away, or slow. */
export function createKeptReceipts(deps: KeptReceiptsDeps): KeptReceipts {
  return new Kept(deps);
}
