import type { Log } from "../core/ports.ts";
import type { Drainer } from "./drainer.ts";

/** Drainers of one name on their way out. */
interface Ending {
  readonly drainers: readonly Drainer[];
  readonly done: Promise<void>;
}

/** What still goes on of drainers that were replaced or removed. */
export class Endings {
  readonly #log: Log;
  readonly #endings = new Map<string, Ending>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Over when no drainer of the name is on its way out. */
  over(name: string): Promise<void> {
    return this.#endings.get(name)?.done ?? Promise.resolve();
  }

  /** Ends a drainer in the background; a new one of the same name waits for it. */
  end(name: string, drainer: Drainer, work: () => Promise<void>): void {
    const done = work().catch((cause: unknown) => {
      this.#log.warn("channel.close_failed", { channel: name, cause });
    });
    const before = this.#endings.get(name);
    const ending = {
      drainers: [...(before?.drainers ?? []), drainer],
      done: Promise.all([before?.done, done]).then(() => {}),
    };
    this.#endings.set(name, ending);
    void ending.done.then(() => {
      if (this.#endings.get(name) === ending) this.#endings.delete(name);
    });
  }

  /** Has all of them over within the grace. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all(
      [...this.#endings.values()].flatMap(({ drainers, done }) => [
        ...drainers.map((drainer) => drainer.stop(graceMs)),
        done,
      ]),
    );
  }
}
