import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import type { Queue } from "../../src/core/delivery.ts";
import { eventually } from "../support/clock.ts";
import { job, pending } from "../support/jobs.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { openQueues } from "../support/redis-outbox.ts";

const program = fileURLToPath(new URL("../support/drainer-process.ts", import.meta.url));
const queue: Queue = { channel: "ops", robot: "test:1", isOwn: false };
const kills = 100;
const leadMs = 150;

/** A service that takes up to 20 ms for each message, and remembers how often it got it. */
async function startService(): Promise<{
  url: string;
  got: Map<string, number>;
  close(): Promise<void>;
}> {
  const got = new Map<string, number>();
  const server = http.createServer((request, reply) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      got.set(body, (got.get(body) ?? 0) + 1);
      setTimeout(() => reply.end("ok"), Math.random() * 20);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    got,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("messages whose agents are killed while they send them", () => {
  let server: TestRedis;
  let service: Awaited<ReturnType<typeof startService>>;
  const children = new Set<ChildProcess>();
  before(async () => {
    server = await startRedis();
    service = await startService();
  });
  after(async () => {
    for (const child of children) child.kill("SIGKILL");
    await service.close();
    await server.stop();
  });

  /** Resolves when it sends its first message, or has ended. */
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(
      process.execPath,
      [program, String(server.port), service.url, String(leadMs)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    children.add(child);
    child.once("exit", () => children.delete(child));
    await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
    child.stdout.resume();
    return child;
  };

  it("arrive all, at most one of them twice for each that is killed", async () => {
    const owner = await openQueues(server.settings());
    const wanted: string[] = [];
    const add = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const id = `${wanted.length}`;
        wanted.push(`message-${id}`);
        const answer = await owner.outbox.enqueue(queue, job(id), pending(job(id)));
        assert.equal(answer, "waits");
      }
    };
    await add(50);
    let next = start();
    for (let n = 0; n < kills; n++) {
      const child = await next;
      // There is always something to be sent, and somebody on the way to take over.
      await add(20);
      next = start();
      await systemClock.sleep(Math.random() * 60);
      const isStopped = n % 10 === 0;
      if (isStopped) {
        // It comes back when another leads: what it says then must change nothing.
        child.kill("SIGSTOP");
        await systemClock.sleep(leadMs * 2);
        child.kill("SIGCONT");
        await systemClock.sleep(20);
      }
      child.kill("SIGKILL");
    }
    await next;
    await eventually(
      "everything is over",
      async () => (await owner.outbox.depth(queue)) === 0,
      60_000,
    );
    const missing = wanted.filter((id) => !service.got.has(id));
    assert.deepEqual(missing, []);
    const more = [...service.got.values()].reduce((sum, times) => sum + times - 1, 0);
    // Who is stopped loses the lead while a message is on its way, and is killed afterwards.
    assert.ok(more <= kills + kills / 10, `${more} twice for ${kills} kills`);
    const receipts = await owner.receipts.list({ limit: 1_000 });
    assert.equal(receipts.length, 1_000, "as many as are kept");
    assert.deepEqual(new Set(receipts.map(({ outcome }) => outcome)), new Set(["sent"]));
    const over = await owner.outbox.look(
      queue,
      wanted.map((id) => id.replace("message-", "")),
    );
    assert.equal([...over.values()].filter((state) => state === "over").length, wanted.length);
    await owner.stop();
  }).timeout(180_000);
});
