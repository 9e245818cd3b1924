import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import { deadline } from "../../src/base/every.ts";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { longestWindowMs } from "../../src/base/window.ts";
import { createRedactor, Secret } from "../../src/base/secret.ts";
import type { Channel, DigestItem, Outcome } from "../../src/core/delivery.ts";
import { levels } from "../../src/core/rule.ts";
import type { AnyChannelPlugin } from "../../src/notify/contract.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { parseChannel } from "../../src/notify/settings.ts";
import { message, noFiles, startMs } from "../notify/kit.ts";
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
  /** What the last message it took says, as it stands in it. */
  said(): string;
  close(): Promise<void>;
}

type Kind = "works" | "hangs";

const signing = { secret: "signing-secret-of-a-robot", keyword: "告警" };

async function robotService(robot: Robot, kind: Kind, more: object = {}): Promise<Service> {
  if (kind === "hangs") robot.respondWith("hang");
  return {
    settings: { webhook_url: robot.url, ...more },
    received: () => robot.received.length,
    said: () => robot.received.at(-1)?.text ?? "",
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
    said: () => receiver.requests.at(-1)?.raw ?? "",
    close: () => receiver.close(),
  };
}

const services: Readonly<Record<string, (kind: Kind) => Promise<Service>>> = {
  feishu: async (kind) =>
    robotService(await startFeishu({ ...signing, limits: false }), kind, signing),
  dingtalk: async (kind) =>
    robotService(await startDingtalk({ ...signing, limits: false }), kind, signing),
  wecom: async (kind) => robotService(await startWecom({ limits: false }), kind),
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
      said: () => smtp.received.at(-1)?.parts.get("text/plain") ?? "",
      close: () => smtp.close(),
    };
  },
};

/** For a channel without a service of its own here: any HTTP server, at every address its example has. */
async function anyService(plugin: AnyChannelPlugin, kind: Kind): Promise<Service> {
  let received = 0;
  let said = "";
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      received += 1;
      said = Buffer.concat(chunks).toString("utf8");
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
    said: () => said,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await Promise.resolve();
    },
  };
}

/** Texts somebody may have put into a name to call people, to fake a link or to break a text. */
const nameParts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 90 }),
  fc.constantFrom("](https://evil.example)", "<at id=all></at>", "<@all>", "<!channel>", "\ud83d"),
  fc.constantFrom("节点一号", "🔥🔥", "**", "&amp;", "'\"\r\n"),
);

/** Names with marks around them, by which one that was cut is known. */
const digestItems = fc
  .array(
    fc.record({
      part: nameParts.map((text) => text.replaceAll(/[«»]/g, "")),
      level: fc.constantFrom(...levels),
      rule: fc.constantFrom("cpu-high", "disk-full", "负载", "r4", "r5"),
      over: fc.boolean(),
      isFirst: fc.boolean(),
      value: fc.double({ min: 0, max: 100, noNaN: true }),
    }),
    { minLength: 1, maxLength: 400, size: "max" },
  )
  .map((all) =>
    all
      .map(({ part, level, rule, over, isFirst, value }, at): DigestItem => {
        const node = { cluster: "prod", name: `«${at}-${part}-${at}»`, ip: "192.0.2.1" };
        const about = { id: `alert-${at}`, level, value, subject: { rule, node } };
        const ended = { status: "resolved", endedAtMs: startMs + 120_000 } as const;
        return {
          isFirst,
          message: message(over ? "resolved" : "firing", { ...about, ...(over ? ended : {}) }),
        };
      })
      .toSorted((a, b) => urgency(b) - urgency(a)),
  );

function urgency({ message: { kind, incident } }: DigestItem): number {
  return kind === "resolved" ? -1 : levels.indexOf(incident.level);
}

/** Checks that a text has names whole and in order, and counts those it has not. */
function assertAccounted(items: readonly DigestItem[], text: string): void {
  assert.ok(text.isWellFormed());
  const whole = [...text.matchAll(/«(\d+)-[^«»]*-\1»/g)];
  assert.equal(whole.length, text.split("«").length - 1, "a name that is cut");
  const named = new Set(whole.map(([, at]) => `alert-${at}`));
  const counted = [...text.matchAll(/(?:and |以及另外 )(\d+)(?: more| 条)/g)].map(([, count]) =>
    Number(count),
  );
  assert.equal(named.size + counted.reduce((sum, count) => sum + count, 0), items.length);
  const urgencies = new Map(items.map((item) => [item.message.incident.id, urgency(item)]));
  const order = [...named].map((id) => urgencies.get(id));
  assert.deepEqual(
    order,
    order.toSorted((a = -1, b = -1) => b - a),
  );
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

    for (const language of ["en", "zh-CN"] as const)
      it(`brings many alerts as one message, names whole or counted (${language})`, async () => {
        const { service, settings } = await open("works");
        const deps = { http: client, clock: systemClock, language, template: null };
        const digesting = plugin.create(settings, deps);
        let sent = 0;
        await fc.assert(
          fc.asyncProperty(digestItems, async (items) => {
            const limit = deadline(systemClock, 5_000);
            const content = { id: `digest-${sent}`, atMs: startMs, items, publicUrl: null };
            const outcome = await digesting.sendDigest?.(content, limit.signal);
            limit.clear();
            sent += 1;
            assert.equal(outcome?.outcome, "sent", JSON.stringify(outcome));
            assert.equal(service.received(), sent);
            assertAccounted(items, service.said());
          }),
          { numRuns: 15 },
        );
        await digesting.close();
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
