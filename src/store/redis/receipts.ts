import type { Receipt, ReceiptPort } from "../../core/delivery.ts";
import { newestFirst } from "../memory/receipts.ts";
import { receiptSchema, receiptsPerChannel } from "../receipt.ts";
import { dayMs } from "../slots.ts";
import { createRefresh } from "./refresh.ts";
import { retentionSeconds, type SmallDeps } from "./nodes.ts";
import { put } from "./outbox-scripts.ts";
import { namesReply, textsReply } from "./replies.ts";

/** Channels whose receipts are kept. */
const maxChannels = 1_000;

/** Knows which channels have receipts, so that a list of all finds them. */
export interface ChannelNotes {
  note(channel: string): Promise<void>;
  names(): Promise<readonly string[]>;
}

export function createChannelNotes({
  connection,
  keys,
  clock,
  retentionDays,
}: SmallDeps): ChannelNotes {
  const refreshed = createRefresh(clock, connection);
  return {
    note: async (channel: string): Promise<void> => {
      if (!refreshed.due(channel)) return;
      const oldestMs = clock.now() - retentionDays() * dayMs;
      await connection.run([
        ["zadd", keys.channels, clock.now(), channel],
        ["zremrangebyscore", keys.channels, "-inf", `(${oldestMs}`],
        ["zremrangebyrank", keys.channels, 0, -maxChannels - 1],
        ["expire", keys.channels, retentionSeconds(retentionDays)],
      ]);
      refreshed.done(channel);
    },
    names: async (): Promise<readonly string[]> => {
      const [reply] = await connection.run([["zrevrange", keys.channels, 0, maxChannels - 1]]);
      return namesReply(reply);
    },
  };
}

/** The receipts of one channel. */
function createEntries({ connection, keys, readJson, retentionDays }: SmallDeps) {
  const find = async (channel: string, ids: readonly string[]): Promise<readonly Receipt[]> => {
    if (ids.length === 0) return [];
    const [entries] = await connection.run([["hmget", keys.receipts(channel), ...ids]]);
    return textsReply(entries).flatMap((text) => {
      const receipt = text === null ? null : readJson(receiptSchema, text, "receipt");
      return receipt === null ? [] : [receipt];
    });
  };
  return {
    put: async (receipt: Receipt): Promise<void> => {
      const { channel, id, createdAtMs } = receipt;
      const places = [keys.receiptIds(channel), keys.receipts(channel)];
      const about = [id, JSON.stringify(receipt), createdAtMs, retentionSeconds(retentionDays)];
      await connection.run([["eval", put, places.length, ...places, ...about]]);
    },
    find,
    list: async (channel: string, count: number): Promise<readonly Receipt[]> => {
      const [reply] = await connection.run([["zrevrange", keys.receiptIds(channel), 0, count - 1]]);
      return find(channel, namesReply(reply));
    },
  };
}

/** Receipts of the whole fleet: by channel, ids in the order of time, the receipts beside them. */
export function createRedisReceipts(
  deps: SmallDeps & { readonly channels: ChannelNotes },
): ReceiptPort {
  const { channels } = deps;
  const entries = createEntries(deps);
  return {
    put: async (receipt) => {
      await entries.put(receipt);
      await channels.note(receipt.channel);
    },
    find: (channel, ids) => entries.find(channel, ids),
    list: async ({ channel, alert, limit }) => {
      if (limit <= 0) return [];
      const names = channel === undefined ? await channels.names() : [channel];
      const count = alert === undefined ? Math.min(limit, receiptsPerChannel) : receiptsPerChannel;
      const lists = await Promise.all(names.map((name) => entries.list(name, count)));
      return lists
        .flat()
        .filter((receipt) => alert === undefined || receipt.alert === alert)
        .sort(newestFirst)
        .slice(0, limit);
    },
  };
}
