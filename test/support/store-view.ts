import type { BucketResult, SeriesResult } from "../../src/api/ports.ts";
import { nodeId, type NodeInfo } from "../../src/core/node.ts";
import type { IndexDefinition, SeriesKey } from "../../src/core/series.ts";
import type { Backend, BucketQuery, SeriesQuery, SeriesStore } from "../../src/store/contract.ts";
import type { ManualClock } from "./clock.ts";
import { row, seriesStore } from "./store.ts";
import { MemoryView } from "./view.ts";

/** A fleet that is filled at once: what each node had at each slot. */
export interface FleetPlan {
  readonly names: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
  readonly values: (name: string, slotMs: number) => Record<SeriesKey, number | null> | null;
}

/** The port of an agent whose series are in a real store. */
export class StoreView extends MemoryView {
  readonly #backend: Backend;
  readonly #clock: ManualClock;
  readonly #store: SeriesStore;

  constructor(backend: Backend, clock: ManualClock, definitions: readonly IndexDefinition[]) {
    super();
    this.#backend = backend;
    this.#clock = clock;
    this.definitions = [...definitions];
    this.#store = this.#storeOf(nodeId(this.node));
  }

  #storeOf(node: string): SeriesStore {
    return seriesStore(this.#backend, this.#clock, {
      node,
      definitions: this.definitions,
      stepMs: () => this.intervalMs,
      retentionDays: () => this.keptDays,
    });
  }

  /** Writes as the agents of these nodes would have; afterwards their memory is gone. */
  async fillFleet({ names, fromMs, toMs, stepMs, values }: FleetPlan): Promise<void> {
    const cluster = this.node.cluster;
    for (const name of names) {
      const store = this.#storeOf(`${cluster}/${name}`);
      for (let slotMs = fromMs; slotMs <= toMs; slotMs += stepMs) {
        const given = values(name, slotMs);
        if (given !== null) store.append(row(slotMs, given));
      }
      // What is sent in one round is bounded.
      do await store.flush();
      while (store.counters().dirtyBlocks > 0);
      const lastSeenMs = this.#clock.now();
      await this.#backend.heartbeat({ cluster, name, ip: "", version: "1.2.3", lastSeenMs });
    }
  }

  /** Puts a row of this node's into memory only. */
  append(slotMs: number, values: Record<SeriesKey, number | null>): void {
    this.#store.append(row(slotMs, values));
  }

  override readSeries(query: SeriesQuery): Promise<SeriesResult> {
    this.reads++;
    return this.#store.read(query);
  }

  override readBuckets(query: BucketQuery): Promise<BucketResult> {
    this.reads++;
    return this.#store.readBuckets(query);
  }

  override async seriesKeys(query: Omit<SeriesQuery, "selectors">): Promise<SeriesKey[]> {
    return [...(await this.#store.seriesKeys(query))];
  }

  override async nodes(): Promise<NodeInfo[]> {
    return [...(await this.#backend.nodes())];
  }
}
