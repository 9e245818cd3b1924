import type { ComponentStatus } from "../core/ports.ts";
import type { Note } from "./event.ts";

/** Trouble that is over sooner is not worth an Event. */
const patienceMs = 60_000;

/** Parts of the agent that are in trouble, as Events of its Pod. */
export class TroubleNotes {
  /** Since when the trouble is that was told, by part. */
  readonly #told = new Map<string, number>();

  /** What is to be told now. */
  look(parts: Readonly<Record<string, ComponentStatus>>, nowMs: number): readonly Note[] {
    return Object.entries(parts).flatMap(([name, part]) => {
      const note = this.#noteOf(name, part, nowMs);
      return note === null ? [] : [note];
    });
  }

  #noteOf(
    name: string,
    { status, sinceMs, lastError }: ComponentStatus,
    nowMs: number,
  ): Note | null {
    const told = this.#told.get(name);
    const title = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    if (status === "down" || status === "degraded") {
      if (told !== undefined || nowMs - sinceMs < patienceMs) return null;
      this.#told.set(name, sinceMs);
      return {
        key: `${name}:${sinceMs}`,
        type: "Warning",
        reason: `${title}${status === "down" ? "Down" : "Degraded"}`,
        action: "Degrade",
        text: `${name} is ${status}${lastError === null ? "" : `: ${lastError}`}`,
        atMs: nowMs,
      };
    }
    if (told === undefined || status !== "ok") return null;
    this.#told.delete(name);
    return {
      key: `${name}:${told}:recovered`,
      type: "Normal",
      reason: `${title}Recovered`,
      action: "Recover",
      text: `${name} is ok again`,
      atMs: nowMs,
    };
  }
}
