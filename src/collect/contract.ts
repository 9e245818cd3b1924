import type { IndexDefinition, Reading } from "../core/series.ts";
import type { Family } from "../core/family.ts";
import type { Filesystem } from "./filesystems.ts";

export type { Family } from "../core/family.ts";

/** Where the host's trees are mounted: `/host/proc` in a container, `/proc` on a plain server. */
export interface HostRoots {
  readonly proc: string;
  readonly sys: string;
  readonly root: string;
}

/** What collectors may ask the host. */
export interface Host {
  readonly roots: HostRoots;
  /**
   * The text of a file below `proc`, read at once (a synchronous read of /proc is cheaper than a hop through the
   * thread pool and cannot hang); only its beginning when `maxBytes` is given. Throws PROC_UNREADABLE naming the file.
   */
  readProc(path: string, maxBytes?: number): string;
  /** Every real mount with its sizes; one look is shared by all who ask within the same second. */
  filesystems(): Promise<readonly Filesystem[]>;
}

/** The look before this one, for what is a rate or a share of an interval. */
export interface Before<Raw> {
  readonly raw: Raw;
  readonly elapsedSeconds: number;
}

/**
 * A collector is one value in one file: it reads something of the host, and turns what it read into stored series
 * and into families for /metrics. Only `read` does I/O; it keeps no state, the runner hands it the look before.
 */
export interface Collector<Raw> {
  readonly name: string;
  /** One sentence for the docs table. */
  readonly doc: string;
  readonly defaultOn: boolean;
  readonly indexes: readonly IndexDefinition[];
  /** Throws PROC_UNREADABLE when the host does not have it. */
  read(host: Host): Raw | Promise<Raw>;
  readings(now: Raw, before: Before<Raw> | undefined): readonly Reading[];
  families(now: Raw): readonly Family[];
}

/** A collector whose raw type is its own business, so that unlike ones share a list. */
export type AnyCollector = Collector<unknown>;

/** Hides a collector's raw type. The runner gives `readings` and `families` only what `read` of the same one gave. */
export function defineCollector<Raw>(collector: Collector<Raw>): AnyCollector {
  return collector;
}

/** How a collector's last run went. */
export interface CollectorStatus {
  readonly name: string;
  readonly success: boolean;
  readonly durationSeconds: number;
  readonly lastError: string | null;
}
