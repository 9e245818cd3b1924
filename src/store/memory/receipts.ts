import type { Receipt, ReceiptPort } from "../../core/delivery.ts";

/** Newest first; of two of the same moment, the one with the higher id, so that the order is always the same. */
export function newestFirst(a: Receipt, b: Receipt): number {
  return b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1);
}

/** Receipts in the memory of this agent: replaced by id, the oldest of a channel dropped past `perChannel`. */
export function createMemoryReceipts({ perChannel }: { readonly perChannel: number }): ReceiptPort {
  const channels = new Map<string, Receipt[]>();
  return {
    put: async (receipt) => {
      const others = (channels.get(receipt.channel) ?? []).filter(({ id }) => id !== receipt.id);
      channels.set(receipt.channel, [...others, receipt].sort(newestFirst).slice(0, perChannel));
    },
    find: async (channel, ids) =>
      (channels.get(channel) ?? []).filter(({ id }) => ids.includes(id)),
    list: async ({ channel, alert, limit }) => {
      const from = channel === undefined ? [...channels.values()].flat() : channels.get(channel);
      return (from ?? [])
        .filter((receipt) => alert === undefined || receipt.alert === alert)
        .sort(newestFirst)
        .slice(0, limit);
    },
  };
}
