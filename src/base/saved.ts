import type { StatePort } from "../core/ports.ts";

/** Changes on their way to a state port: what could not be saved stays until it can. */
export class Unsaved {
  readonly #port: StatePort;
  #changes = new Map<string, string | null>();

  constructor(port: StatePort) {
    this.#port = port;
  }

  set(key: string, value: string | null): void {
    this.#changes.set(key, value);
  }

  /** Saves everything that changed. Rejects when the port does, with all changes kept. */
  async save(): Promise<void> {
    if (this.#changes.size === 0) return;
    const changes = this.#changes;
    this.#changes = new Map();
    try {
      await this.#port.save(changes);
    } catch (cause) {
      this.#changes = new Map([...changes, ...this.#changes]);
      throw cause;
    }
  }
}
