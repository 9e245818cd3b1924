import { createKeys } from "../../src/store/redis/keys.ts";
import { expirySeconds } from "../../src/store/series.ts";
import { blockMs, blockName, dayOf, spanAt } from "../../src/store/slots.ts";
import type { FleetWrites } from "./agents.ts";
import { openStore, SetClock, ticksAHeartbeat } from "./ours.ts";
import { messageOf, type Message } from "./resp.ts";
import { type Server, startServer } from "./server.ts";
import { nodeOf, rowAt, stepMs, type Week } from "./week.ts";

/** Rows of a block, and so forms an open block takes one after the other. */
const rowsABlock = blockMs / stepMs;
/** The closed block is sent once more with this row of the next. */
const resendAt = rowsABlock / 4;
/** From which block of the week the fleet lives: noon of its first day. */
const firstBlock = 72;
const retentionDays = 7;

/** The forms of a block while it grows, as the agent's own store wrote them. */
async function growing(server: Server, week: Week): Promise<readonly Buffer[]> {
  const prefix = "capture";
  const node = nodeOf(week);
  const clock = new SetClock(week.startMs);
  const { series, close } = await openStore({ server, prefix, node, clock });
  const first = firstBlock * rowsABlock;
  const blobs: Buffer[] = [];
  for (let at = first; at < first + rowsABlock; at++) {
    const row = rowAt(week, at);
    clock.set(row.slotMs);
    series.append(row);
    await series.flush();
    const span = spanAt(row.slotMs, blockMs);
    const key = createKeys(prefix).day("blocks", node, dayOf(row.slotMs));
    const blob = await server.redis.client.hgetBuffer(key, blockName(span));
    if (blob === null) throw new Error(`no block ${blockName(span)} of ${node}`);
    blobs.push(blob);
  }
  await close();
  return blobs;
}

/**
 * What agents of ours send, each its own node, at all stages of a block: the open block whole, the closed one once more,
 * an expiry a block and a heartbeat every three minutes. The blocks are real ones, encoded beforehand.
 */
export async function ourWrites(weeks: readonly Week[]): Promise<FleetWrites["message"]> {
  const server = await startServer();
  const kinds: (readonly Buffer[])[] = [];
  for (const week of weeks) kinds.push(await growing(server, week));
  await server.stop();
  const keys = createKeys("fleet");
  const startMs = (weeks[0]?.startMs ?? 0) + firstBlock * blockMs;
  return (agent, tick): Message => {
    const blobs = kinds[agent % kinds.length] ?? [];
    const step = ((agent * 7) % rowsABlock) + tick;
    const place = step % rowsABlock;
    const span = spanAt(startMs + step * stepMs, blockMs);
    const before = { ...span, startMs: span.startMs - blockMs };
    const node = `bench/node-${agent}`;
    const day = dayOf(span.startMs);
    const key = keys.day("blocks", node, day);
    const closed = place === resendAt ? [blockName(before), blobs.at(-1) ?? ""] : [];
    return messageOf([
      ["hset", key, ...closed, blockName(span), blobs[place] ?? ""],
      ...(place === 0 ? [["expireat", key, expirySeconds(node, day, retentionDays)]] : []),
      ...((agent + tick) % ticksAHeartbeat === 0 ? [["zadd", keys.nodes, span.startMs, node]] : []),
    ]);
  };
}
