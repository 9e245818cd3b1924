import assert from "node:assert/strict";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { deadline } from "../../src/base/every.ts";
import { systemClock } from "../../src/base/clock.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { parseChannel } from "../../src/notify/settings.ts";
import { reachUrl, type Reached } from "../../src/notify/reach.ts";
import { freePort } from "../support/redis.ts";
import { startSmtp } from "../support/smtp.ts";
import { makeTls } from "../support/tls.ts";

async function within(work: (signal: AbortSignal) => Promise<Reached>): Promise<Reached> {
  const limit = deadline(systemClock, 5_000);
  try {
    return await work(limit.signal);
  } finally {
    limit.clear();
  }
}

function stepOf(reached: Reached): string {
  return reached.ok ? "end" : reached.step;
}

describe("reaching a service", () => {
  it("names the step that failed: name, connection, certificate", async () => {
    const { key, cert } = makeTls();
    let requests = 0;
    const server = https.createServer({ key, cert }, () => (requests += 1));
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const reach = (url: string): Promise<Reached> =>
      within((signal) => reachUrl(new URL(url), signal));
    try {
      assert.equal(stepOf(await reach("https://robot.invalid/x")), "dns");
      assert.equal(stepOf(await reach(`http://127.0.0.1:${await freePort()}/x`)), "tcp");
      const untrusted = await reach(`https://localhost:${port}/x`);
      assert.ok(!untrusted.ok);
      assert.equal(untrusted.step, "tls");
      assert.match(untrusted.reason, /certificate/);
      assert.equal(stepOf(await reach(`http://127.0.0.1:${port}/x`)), "end");
      assert.equal(requests, 0);
    } finally {
      server.close();
    }
  });

  it("tells a certificate from a login of a mail server", async () => {
    const server = await startSmtp({ auth: { user: "ops", pass: "right-password" } });
    const plugin = channelPlugins.find(({ type }) => type === "email");
    const reach = async (more: Record<string, unknown>): Promise<Reached> => {
      const input = {
        type: "email",
        smtp_server: "localhost",
        smtp_port: server.port,
        to_emails: ["duty@example.com"],
        ...more,
      };
      const parsed = parseChannel(input, "channel", { readFile: () => "" });
      assert.ok(parsed.ok && plugin !== undefined);
      return within((signal) => plugin.reach(parsed.value.settings, signal));
    };
    const ops = { username: "ops", password: "right-password" };
    try {
      assert.equal(stepOf(await reach(ops)), "tls");
      assert.equal(stepOf(await reach({ ...ops, ca: server.ca, password: "wrong-one" })), "auth");
      assert.equal(stepOf(await reach({ ...ops, ca: server.ca })), "end");
      assert.equal(stepOf(await reach({ smtp_server: "mail.invalid" })), "dns");
    } finally {
      await server.close();
    }
  });

  it("goes nowhere when it is told to stop", async () => {
    const stopped = AbortSignal.abort(new Error("stopping"));
    const reached = await reachUrl(new URL("http://127.0.0.1:1/x"), stopped);
    assert.ok(!reached.ok);
    assert.equal(reached.reason, "stopping");
  });
});
