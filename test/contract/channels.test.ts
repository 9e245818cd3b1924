import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import assert from "node:assert/strict";
import { systemClock } from "../../src/base/clock.ts";
import { deadline } from "../../src/base/every.ts";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { longestWindowMs } from "../../src/base/window.ts";
import { createRedactor, Secret } from "../../src/base/secret.ts";
import type { Channel, Outcome } from "../../src/core/delivery.ts";
import type { AnyChannelPlugin } from "../../src/notify/contract.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { parseChannel } from "../../src/notify/settings.ts";
import { message, noFiles } from "../notify/kit.ts";
import { startAlertmanager, startWebhook, type Receiver } from "../support/pushes.ts";
import {
  startDingtalk,
  startFeishu,
  startSlack,
  startWecom,
  type Robot,
} from "../support/robots.ts";
import { startSmtp } from "../support/smtp.ts";

/** A service that records, and one that never answers, for a type of channel. */
interface Service {
  /** Settings that reach it, over the plugin's example. */
  readonly settings: Readonly<Record<string, unknown>>;
  received(): number;
  close(): Promise<void>;
}

type Kind = "works" | "hangs";

const signing = { secret: "signing-secret-of-a-robot", keyword: "告警" };

async function robotService(robot: Robot, kind: Kind, more: object = {}): Promise<Service> {
  if (kind === "hangs") robot.respondWith("hang");
  return {
    settings: { webhook_url: robot.url, ...more },
    received: () => robot.received.length,
    close: () => robot.close(),
  };
}

async function pushService(
  receiver: Receiver,
  kind: Kind,
  settings: (of: Receiver) => Service["settings"],
): Promise<Service> {
  if (kind === "hangs") receiver.respondWith("hang");
  return {
    settings: settings(receiver),
    received: () => receiver.requests.filter(({ status }) => status === 200).length,
    close: () => receiver.close(),
  };
}

const services: Readonly<Record<string, (kind: Kind) => Promise<Service>>> = {
  feishu: async (kind) => robotService(await startFeishu(signing), kind, signing),
  dingtalk: async (kind) => robotService(await startDingtalk(signing), kind, signing),
  wecom: async (kind) => robotService(await startWecom(), kind),
  slack: async (kind) => robotService(await startSlack({ limits: false }), kind),
  webhook: async (kind) =>
    pushService(await startWebhook({ secret: signing.secret }), kind, ({ url }) => ({
      url,
      secret: signing.secret,
    })),
  alertmanager: async (kind) =>
    pushService(await startAlertmanager({ clock: systemClock }), kind, ({ url }) => ({
      urls: [url],
    })),
  email: async (kind) => {
    const auth = { user: "alerts@example.com", pass: "a-password" };
    const smtp = await startSmtp({
      auth,
      ...(kind === "hangs" ? { hang: "connect" as const } : {}),
    });
    return {
      settings: { smtp_server: smtp.host, smtp_port: smtp.port, ca: smtp.ca },
      received: () => smtp.received.length,
      close: () => smtp.close(),
    };
  },
};

/** For a channel without a service of its own here: any HTTP server, at every address its example has. */
async function anyService(plugin: AnyChannelPlugin, kind: Kind): Promise<Service> {
  let received = 0;
  const server = http.createServer((request, response) => {
    request.resume().on("end", () => {
      received += 1;
      if (kind === "works") response.end("ok");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const addresses = Object.entries(plugin.example).filter(([, value]) =>
    /^https?:/.test(String(value)),
  );
  assert.ok(addresses.length > 0, `${plugin.type} posts to no URL: add a service to this file`);
  return {
    settings: Object.fromEntries(addresses.map(([key]) => [key, url])),
    received: () => received,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await Promise.resolve();
    },
  };
}

function secretsOf(value: unknown): string[] {
  if (value instanceof Secret) return [value.reveal()];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(secretsOf) : [];
}

function parsed(
  plugin: AnyChannelPlugin,
  more: Readonly<Record<string, unknown>> = {},
): { settings: unknown; shown: unknown } {
  const result = parseChannel({ ...plugin.example, ...more }, "channel", noFiles);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

for (const plugin of channelPlugins)
  describe(`channel ${plugin.type}`, () => {
    let client: HttpClient;
    let service: Service | undefined;
    let channel: Channel | undefined;
    beforeEach(() => {
      client = createHttpClient();
    });
    afterEach(async () => {
      await channel?.close();
      client.close();
      await service?.close();
      channel = undefined;
      service = undefined;
    });

    async function open(
      kind: Kind,
    ): Promise<{ service: Service; channel: Channel; settings: unknown }> {
      service = await (services[plugin.type]?.(kind) ?? anyService(plugin, kind));
      const { settings } = parsed(plugin, service.settings);
      channel = plugin.create(settings, {
        http: client,
        clock: systemClock,
        language: "en",
        template: null,
      });
      return { service, channel, settings };
    }

    it("has an example that parses, and of its type", () => {
      assert.equal(plugin.example["type"], plugin.type);
      parsed(plugin);
      assert.match(plugin.doc, /\.$/);
    });

    it("refuses an unknown key of the example and names the near one", () => {
      for (const key of Object.keys(plugin.example).filter((key) => key.length > 4)) {
        const misspelt = `${key.slice(0, 2)}${key.slice(3)}`;
        const { [key]: value, ...rest } = plugin.example;
        const result = parseChannel({ ...rest, [misspelt]: value }, "channel", noFiles);
        assert.ok(!result.ok, misspelt);
        const fault = result.faults.find(({ path }) => path === `channel.${misspelt}`);
        assert.match(fault?.message ?? "", new RegExp(`did you mean "${key}`));
      }
    });

    it("shows none of its secrets", () => {
      const { settings, shown } = parsed(plugin);
      const secrets = secretsOf(settings);
      assert.ok(secrets.length > 0, "an example with a secret");
      for (const secret of secrets) {
        assert.ok(!JSON.stringify(shown).includes(secret));
        assert.ok(!JSON.stringify(settings).includes(secret));
      }
    });

    it("keeps the names of settings that may come from files", () => {
      for (const key of plugin.fromFile) assert.ok(key in plugin.settings.entries, key);
    });

    it("has limits that mean something", () => {
      for (const { count, perMs } of plugin.limits)
        assert.ok(Number.isInteger(count) && count > 0 && perMs > 0 && perMs <= longestWindowMs);
    });

    it("brings every kind of message to a real server", async () => {
      const { service, channel } = await open("works");
      const kinds = ["firing", "escalated", "repeated", "flapping", "test"] as const;
      for (const kind of kinds) {
        const limit = deadline(systemClock, 5_000);
        const outcome = await channel.send(message(kind), limit.signal);
        limit.clear();
        assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
      }
      assert.equal(service.received(), kinds.length);
    });

    it("answers retry at the deadline when the service hangs", async () => {
      const { channel } = await open("hangs");
      const limit = deadline(systemClock, 300);
      const beganMs = performance.now();
      const outcome = await channel.send(message(), limit.signal);
      limit.clear();
      assert.equal(outcome.outcome, "retry");
      assert.equal(outcome.code, "timeout");
      assert.ok(performance.now() - beganMs < 3_000);
    });

    it("stops at once when it is told to", async () => {
      const { channel } = await open("hangs");
      const abort = new AbortController();
      const sending = channel.send(message(), abort.signal);
      setImmediate(() => abort.abort(new Error("stopping")));
      const outcome = await sending;
      assert.deepEqual([outcome.outcome, outcome.code], ["retry", "aborted"]);
      const again = await channel.send(message(), abort.signal);
      assert.equal(again.outcome, "retry");
    });

    it("answers retry when nobody listens, without its secrets", async () => {
      const { service, channel, settings } = await open("works");
      await service.close();
      const outcome: Outcome = await channel.send(message(), new AbortController().signal);
      assert.equal(outcome.outcome, "retry", JSON.stringify(outcome));
      for (const secret of secretsOf(settings))
        assert.ok(!JSON.stringify(outcome).includes(secret));
      const redactor = createRedactor();
      redactor.learn(settings);
      assert.equal(redactor.redact(JSON.stringify(outcome)), JSON.stringify(outcome));
    });

    it("may be closed twice", async () => {
      const { channel } = await open("works");
      await channel.close();
      await channel.close();
    });
  });
