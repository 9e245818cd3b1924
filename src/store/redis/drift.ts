import type { Clock } from "../../core/ports.ts";
import type { RedisConnection } from "./connection.ts";

/** The server's time against the middle of the two moments between which it was asked; null where it may not be asked. */
export async function aheadMs(connection: RedisConnection, clock: Clock): Promise<number | null> {
  try {
    const beganMs = clock.now();
    const [time] = await connection.run([["time"]]);
    const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
    if (seconds === undefined || micros === undefined) return null;
    return Math.round(seconds * 1_000 + micros / 1_000 - (beganMs + clock.now()) / 2);
  } catch {
    return null;
  }
}
