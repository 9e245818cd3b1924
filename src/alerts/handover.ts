import { errorText } from "../core/errors.ts";
import { isNews, type News } from "./record.ts";
import type { Records } from "./records.ts";
import type { IncidentDeps } from "./telling.ts";

/** Hands news to those who tell them, and has that remembered: what is saved as untold is told by the next run. */
export class Handover {
  readonly #deps: Pick<IncidentDeps, "tell" | "kept" | "log">;
  readonly #records: Records;
  /** What could not be handed over, or not by an earlier run as far as is known; oldest first. */
  #owed: News[] = [];

  constructor(deps: Pick<IncidentDeps, "tell" | "kept" | "log">, records: Records) {
    this.#deps = deps;
    this.#records = records;
  }

  /** Takes up what may not have been told, each once. */
  owe(news: readonly News[]): void {
    const known = new Set(this.#owed.map(({ id }) => id));
    this.#owed.push(...news.filter(({ id }) => !known.has(id)));
  }

  /** Saves the state that the news are of, then hands them over. Never rejects: what is refused is owed. */
  async tell(all: readonly News[]): Promise<void> {
    await this.#records.save();
    await this.#handOver(all.filter(isNews), false);
  }

  /** Hands over what is owed. Never rejects. */
  async tellOwed(): Promise<void> {
    const owed = this.#owed;
    this.#owed = [];
    await this.#handOver(owed, true);
  }

  async #handOver(all: readonly News[], again: boolean): Promise<void> {
    const told: News[] = [];
    for (const news of all) {
      const { key } = news.incident.subject;
      try {
        await this.#deps.tell({ ...news, again });
        told.push(news);
      } catch (cause) {
        this.#owed.push(news);
        this.#deps.log.error("news not handed over yet", { alert: key, cause: errorText(cause) });
      }
    }
    if (all.length === 0) return;
    await this.#deps.kept?.();
    for (const news of told) this.#settle(news.incident.subject.key, news);
    await this.#records.save();
  }

  #settle(key: string, { id }: News): void {
    const record = this.#records.get(key);
    if (record === undefined) return;
    const untold = record.untold.filter((news) => news.id !== id);
    this.#records.set(key, { ...record, untold });
  }
}
