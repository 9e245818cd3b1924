import { eachOf } from "./meter.ts";
import type { Server } from "./server.ts";

/** A key, and the keys of the nodes that are to have the same. */
export interface Copies {
  readonly from: string;
  readonly to: readonly string[];
}

/** Gives nodes the data of another: what is read then is read by another name, and nothing else is different. */
export async function copyKeys({ redis }: Server, all: readonly Copies[]): Promise<void> {
  await eachOf(all, async ({ from, to }) => {
    for (const key of to) await redis.client.copy(from, key);
  });
}

/** Takes the copies away. */
export async function removeCopies({ redis }: Server, all: readonly Copies[]): Promise<void> {
  await eachOf(all, async ({ to }) => {
    if (to.length > 0) await redis.client.unlink(...to);
  });
}
