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
  readonly tick: TickCost;
  /** As they are written. */
  readonly blocks: Form;
  /** As they are once their days are closed; null: they stay blocks. */
  readonly compacted: (Form & { readonly cpuMsADay: number }) | null;
  /** Buckets of five minutes beside them; null: there are none. */
  readonly tier: Form | null;
  /** A day of a wide fleet, in buckets. */
  readonly wide: ReadCost | null;
}

/** Everything that was measured with nodes of so many series. */
export interface Compared {
  readonly series: number;
  readonly ours: OursMeasured;
  readonly rivals: readonly RivalMeasured[];
}
