import type { Backend } from "../contract.ts";
import { rowsName } from "../contract.ts";
import type { Head, Held } from "./head.ts";
import { blockName, dayOf } from "../slots.ts";

interface LossesDeps {
  readonly backend: Backend;
  /** `cluster/name` of this node. */
  readonly node: string;
  readonly head: Head;
}

/** What was written last may be gone although its block is there: a replica or a file that is a little older. */
const doubtfulBlocks = 2;

/** Sent blocks that the backend has no more, each with the one before it, whose last rows may be gone too. */
function lostOf(sent: readonly Held[], isThere: (held: Held) => boolean): readonly Held[] {
  return sent.filter((held, index) => {
    const next = sent[index + 1];
    return !isThere(held) || (next !== undefined && !isThere(next));
  });
}

/** Finds out what a backend has lost that came back: sent blocks that memory still holds are to be sent again. */
export async function findLosses({ backend, node, head }: LossesDeps): Promise<void> {
  const sent = head.all().filter(({ sentChanges, blocked }) => sentChanges >= 0 && !blocked);
  const there = new Set<Held>();
  for (const [day, ofDay] of Map.groupBy(sent, ({ startMs }) => dayOf(startMs))) {
    const columns = await backend.names(node, day, "columns");
    // A day that was compacted has its rows elsewhere.
    const isCompacted = columns.includes(rowsName);
    const blocks = new Set(isCompacted ? [] : await backend.names(node, day, "blocks"));
    for (const held of ofDay) if (isCompacted || blocks.has(blockName(held))) there.add(held);
  }
  const lost = new Set([
    ...sent.slice(-doubtfulBlocks),
    ...lostOf(sent, (held) => there.has(held)),
  ]);
  for (const held of lost) held.sentChanges = -1;
}
