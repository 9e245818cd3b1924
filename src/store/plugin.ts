import type { Clock, Log } from "../core/ports.ts";
import type { Backend } from "./contract.ts";
import type { FileSettings } from "./file/index.ts";
import type { RedisSettings } from "./redis/settings.ts";

/** The settings of every backend; each takes its own. */
export interface StoreSettings {
  readonly redis: RedisSettings;
  readonly file: FileSettings;
}

export interface BackendDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** How long blocks, nodes, documents and receipts are kept. */
  readonly retentionDays: () => number;
}

/** A storage backend: how `storage.backend` calls it, what it is, and how it is made. */
export interface BackendPlugin {
  readonly name: string;
  readonly doc: string;
  create(settings: StoreSettings, deps: BackendDeps): Backend;
}
