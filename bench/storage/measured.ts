import type { ReadCost, TickCost } from "./meter.ts";

/** What reading took, by the span that was read. */
export interface Reads {
  /** One series of one node. */
  readonly one: ReadonlyMap<string, ReadCost>;
  /** The same series of the whole fleet. */
  readonly fleet: ReadonlyMap<string, ReadCost>;
}

/** A form in which samples are kept. */
export interface Form {
  readonly name: string;
  readonly bytesASample: number;
  /** Null: not looked at. */
  readonly reads: Reads | null;
}

/** All figures of a rival. */
export interface RivalMeasured extends Form {
  readonly tick: TickCost;
}

/** All figures of ours. */
export interface OursMeasured {
  /** Blocks and heartbeats. */
  readonly writing: TickCost;
  /** The tier and the care for closed days too. */
  readonly tick: TickCost;
  /** As they are written. */
  readonly blocks: Form;
  /** As they are once their days are closed. */
  readonly compacted: Form;
  /** CPU to make a closed day's columns and its tier. */
  readonly closingMs: number;
  /** Buckets of five minutes beside them. */
  readonly tier: Form;
  /** A day of a wide fleet, in buckets. Null: not looked at. */
  readonly wide: ReadCost | null;
}

/** Everything that was measured with nodes of so many series. */
export interface Compared {
  readonly series: number;
  readonly ours: OursMeasured;
  readonly rivals: readonly RivalMeasured[];
}
