import { once } from "node:events";
import net from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import type { Message } from "./resp.ts";
import type { Server } from "./server.ts";

/** A fleet that writes at its own pace. */
export interface FleetWrites {
  readonly agents: number;
  readonly seconds: number;
  /** Between two ticks of an agent. */
  readonly intervalMs: number;
  /** How long after the beginning of an interval an agent sends. */
  delayMs(agent: number): number;
  /** What an agent sends at its n-th tick. */
  message(agent: number, tick: number): Message;
}

/** What the fleet did to the server. */
export interface FleetCost {
  /** CPU of the server's process, percent of a core. */
  readonly corePercent: number;
  readonly commandsASecond: number;
}

/** Sent too late by more than this, the fleet was not so big. */
const toleratedMs = 1_000;
/** What is due is looked for so often. */
const lookMs = 5;
const lineEnd = 0x0a;
const errorMark = 0x2d;

function ticksOf({ seconds, intervalMs }: FleetWrites): number {
  return Math.max(1, Math.round((seconds * 1_000) / intervalMs));
}

/** One agent's connection; replies of these commands are one line each. */
interface Line {
  readonly socket: net.Socket;
  sent: number;
  answered: number;
}

/** Takes replies; one that is an error ends the run. */
function listen(line: Line, fail: (cause: Error) => void): void {
  let atBegin = true;
  line.socket.on("error", fail);
  line.socket.on("data", (chunk: Buffer) => {
    for (const byte of chunk) {
      if (atBegin && byte === errorMark) fail(new Error(chunk.toString("utf8")));
      atBegin = byte === lineEnd;
      if (atBegin) line.answered++;
    }
  });
}

async function connect(port: number, fail: (cause: Error) => void): Promise<Line> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const line = { socket, sent: 0, answered: 0 };
  listen(line, fail);
  return line;
}

async function connectAll(
  { redis }: Server,
  count: number,
  fail: (cause: Error) => void,
): Promise<readonly Line[]> {
  const lines: Line[] = [];
  while (lines.length < count) {
    const some = Math.min(100, count - lines.length);
    lines.push(
      ...(await Promise.all(Array.from({ length: some }, () => connect(redis.port, fail)))),
    );
  }
  return lines;
}

/** Sends what is due when it is due; the milliseconds by which the last was late. */
async function sendAll(lines: readonly Line[], fleet: FleetWrites): Promise<number> {
  const turns = Array.from(lines, (line, agent) => ({
    line,
    agent,
    delayMs: fleet.delayMs(agent),
  }));
  turns.sort((a, b) => a.delayMs - b.delayMs);
  const startedMs = performance.now();
  let lateMs = 0;
  for (let tick = 0; tick < ticksOf(fleet); tick++)
    for (const { line, agent, delayMs } of turns) {
      const dueMs = startedMs + tick * fleet.intervalMs + delayMs;
      while (performance.now() < dueMs) await systemClock.sleep(lookMs);
      lateMs = performance.now() - dueMs;
      const { bytes, replies } = fleet.message(agent, tick);
      line.socket.write(bytes);
      line.sent += replies;
    }
  return lateMs;
}

/** Lets a fleet write, each agent over a connection of its own, and says what that cost the server. */
export async function simulate(server: Server, fleet: FleetWrites): Promise<FleetCost> {
  const failed = Promise.withResolvers<never>();
  const lines = await connectAll(server, fleet.agents, failed.reject);
  const answered = (): number => lines.reduce((sum, line) => sum + line.answered, 0);
  const sent = (): number => lines.reduce((sum, line) => sum + line.sent, 0);
  const run = async (): Promise<FleetCost> => {
    const before = await server.cpuSeconds();
    const startedMs = performance.now();
    const lateMs = await sendAll(lines, fleet);
    while (answered() < sent()) await systemClock.sleep(lookMs);
    // The last interval ends when the next would begin.
    await systemClock.sleep(startedMs + ticksOf(fleet) * fleet.intervalMs - performance.now());
    const seconds = (performance.now() - startedMs) / 1e3;
    if (lateMs > toleratedMs) throw new Error(`the fleet was ${lateMs.toFixed(0)} ms late`);
    const corePercent = (((await server.cpuSeconds()) - before) / seconds) * 100;
    return { corePercent, commandsASecond: sent() / seconds };
  };
  try {
    return await Promise.race([run(), failed.promise]);
  } finally {
    for (const { socket } of lines) socket.destroy();
  }
}
