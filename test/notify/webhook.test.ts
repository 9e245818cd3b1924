import assert from "node:assert/strict";
import type { HttpReply } from "../../src/base/http.ts";
import type { AlertMessage, Outcome } from "../../src/core/delivery.ts";
import { readPushReply } from "../../src/notify/push.ts";
import { channelWarnings, parseChannel } from "../../src/notify/settings.ts";
import { webhookSign } from "../../src/notify/webhook.ts";
import { ManualClock } from "../support/clock.ts";
import { startWebhook, type PushAnswer, type Pushed, type Receiver } from "../support/pushes.ts";
import { message, noFiles, openChannel, spec, startMs, withHttp } from "./kit.ts";

const never = new AbortController().signal;
const key = "signing-secret";

type Body = {
  readonly alerts: readonly [Readonly<Record<string, unknown>>];
} & Readonly<Record<string, unknown>>;

async function withReceiver<T>(work: (receiver: Receiver) => Promise<T>): Promise<T> {
  const receiver = await startWebhook({ secret: key });
  try {
    return await work(receiver);
  } finally {
    await receiver.close();
  }
}

function send(receiver: Receiver, of: AlertMessage, more: object = {}): Promise<Outcome> {
  const clock = new ManualClock(startMs);
  const settings = { type: "webhook", url: `${receiver.url}/hook`, secret: key, ...more };
  return withHttp((http) => openChannel(settings, { http, clock }).send(of, never));
}

async function sendOne(of = message(), more: object = {}): Promise<Pushed & { body: Body }> {
  return withReceiver(async (receiver) => {
    assert.deepEqual(await send(receiver, of, more), { outcome: "sent", code: "200" });
    const [request] = receiver.requests;
    assert.ok(request);
    return request as Pushed & { body: Body };
  });
}

describe("webhook", () => {
  it("sends what Alertmanager sends, with one alert", async () => {
    const of = message("firing", { id: "inc-9" }, { publicUrl: "https://agent.example" });
    const { path, headers, body } = await sendOne(of);
    assert.equal(path, "/hook");
    assert.equal(headers["content-type"], "application/json");
    const { annotations, labels } = body.alerts[0];
    const group = { alertname: "cpu-high", index: "cpu", node: "node-1", cluster: "prod" };
    assert.deepEqual(body, {
      version: "4",
      groupKey:
        '{}:{alertname="cpu-high",cluster="prod",index="cpu",instance="10.0.0.1",node="node-1"}',
      truncatedAlerts: 0,
      status: "firing",
      receiver: "webhook",
      groupLabels: { ...group, instance: "10.0.0.1" },
      commonLabels: labels,
      commonAnnotations: annotations,
      externalURL: "https://agent.example",
      alerts: [
        {
          status: "firing",
          labels: { ...group, severity: "critical", instance: "10.0.0.1" },
          annotations,
          startsAt: "2026-01-05T12:00:00.000Z",
          endsAt: "0001-01-01T00:00:00Z",
          generatorURL: "https://agent.example/api/alerts/inc-9",
          fingerprint: body.alerts[0]["fingerprint"],
        },
      ],
    });
    assert.match(String(body.alerts[0]["fingerprint"]), /^[0-9a-f]{16}$/);
  });

  it("sends many alerts as one, with what they have in common, and counts those beyond a thousand", async () => {
    const items = Array.from({ length: 1_003 }, (_, at) => {
      const subject = { node: { cluster: "prod", name: `node-${at}`, ip: "10.0.0.1" } };
      return { message: message("firing", { id: `inc-${at}`, subject }), isFirst: true };
    });
    const over = message("resolved", { id: "inc-1", status: "resolved", value: 12 });
    const tell = async (receiver: Receiver, id: string, of: typeof items): Promise<Body> => {
      const clock = new ManualClock(startMs);
      const settings = { type: "webhook", url: receiver.url, secret: key };
      const digest = { id, atMs: startMs, items: of, publicUrl: null };
      const outcome = await withHttp(async (http) =>
        openChannel(settings, { http, clock }).sendDigest?.(digest, never),
      );
      assert.deepEqual(outcome, { outcome: "sent", code: "200" });
      return receiver.requests.at(-1)?.body as Body;
    };
    await withReceiver(async (receiver) => {
      const long = await tell(receiver, "digest-7", items);
      assert.deepEqual([long.alerts.length, long["truncatedAlerts"]], [1_000, 3]);
      assert.equal(receiver.requests[0]?.headers["idempotency-key"], "digest-7");
      const common = { alertname: "cpu-high", index: "cpu", cluster: "prod", instance: "10.0.0.1" };
      assert.deepEqual(long["commonLabels"], { ...common, severity: "critical" });
      assert.deepEqual(long["groupLabels"], common);
      assert.equal(
        long["groupKey"],
        '{}/{digest="digest-7"}:{alertname="cpu-high",cluster="prod",index="cpu",instance="10.0.0.1"}',
      );
      assert.deepEqual(await tell(receiver, "digest-7", items), long);
      const other = await tell(receiver, "digest-8", items.slice(0, 3));
      assert.notEqual(other["groupKey"], long["groupKey"]);
      assert.deepEqual([other.alerts.length, other["truncatedAlerts"]], [3, 0]);
      const mixed = await tell(receiver, "digest-9", [
        ...items.slice(0, 1),
        { message: over, isFirst: false },
      ]);
      assert.equal(mixed["status"], "firing");
      const ended = await tell(receiver, "digest-9", [{ message: over, isFirst: false }]);
      assert.equal(ended["status"], "resolved");
    });
  });

  it("keeps its group from firing through every level to the end", async () => {
    const fired = (await sendOne(message("firing", { level: "warning" }))).body;
    const over = (
      await sendOne(message("resolved", { status: "resolved", value: 12, endedAtMs: startMs + 5 }))
    ).body;
    assert.equal(over["groupKey"], fired["groupKey"]);
    assert.equal(over["status"], "resolved");
    assert.equal(over.alerts[0]["status"], "resolved");
    assert.equal(over.alerts[0]["endsAt"], "2026-01-05T12:00:00.005Z");
  });

  it("says of one that flaps whether it fires", async () => {
    const over = message("flapping", { status: "resolved", endedAtMs: startMs, flapping: true });
    assert.equal((await sendOne(over)).body["status"], "resolved");
    assert.equal((await sendOne(message("flapping", { flapping: true }))).body["status"], "firing");
  });

  it("signs time and body as the documentation says", () => {
    // The example in docs/channels.md; `openssl dgst -sha256 -hmac` says the same.
    assert.equal(
      webhookSign("1767614400", '{"version":"4"}', "a-signing-secret"),
      "a8b89558a54178aaa3d0cbe91173ef1ba0268479a8a1b989ce3acfc0175cfd0f",
    );
  });

  it("shows a receiver that the message is ours, and which one it is", async () => {
    const of = message();
    const { headers } = await sendOne(of, { token: "receiver-token" });
    assert.equal(headers["x-timestamp"], String(startMs / 1_000));
    assert.match(String(headers["x-signature"]), /^sha256=[0-9a-f]{64}$/);
    assert.equal(headers["idempotency-key"], of.id);
    assert.equal(headers.authorization, "Bearer receiver-token");
  });

  it("is refused with another secret, in the receiver's words", async () => {
    const outcome = await withReceiver((receiver) =>
      send(receiver, message(), { secret: "another-secret" }),
    );
    assert.deepEqual(outcome, {
      outcome: "refused",
      code: "http_401",
      reason: "HTTP 401: wrong signature; check the credentials",
    });
  });

  it("follows no redirect", async () => {
    const [outcome, followed] = await withReceiver(async (receiver) => {
      const Location = `${receiver.url}/elsewhere`;
      receiver.respondWith({ status: 307, headers: { Location } });
      return [await send(receiver, message()), receiver.arrived()] as const;
    });
    assert.equal(outcome.outcome, "refused");
    assert.equal(outcome.code, "http_307");
    assert.equal(followed, 1);
  });

  it("gives every try of a message the same key", async () => {
    const of = message();
    await withReceiver(async (receiver) => {
      receiver.respondWith({ status: 503 });
      assert.equal((await send(receiver, of)).outcome, "retry");
      receiver.respondWith(null);
      assert.equal((await send(receiver, of)).outcome, "sent");
      const keys = receiver.requests.map(({ headers }) => headers["idempotency-key"]);
      assert.deepEqual(keys, [of.id, of.id]);
    });
  });

  it("warns of an address in clear, but not of this machine's", () => {
    const warned = (url: string): readonly string[] =>
      channelWarnings(spec({ type: "webhook", url }));
    assert.match(warned("http://hooks.example.com/x").join(), /^url: http:\/\/ shows/);
    assert.deepEqual(warned("https://hooks.example.com/x"), []);
    assert.deepEqual(warned("http://127.0.0.1:9000/x"), []);
  });

  it("refuses settings no request can be made of, and shows none of them", () => {
    const input = { type: "webhook", url: "ftp://hunter2", token: "hunter2 ü" };
    const result = parseChannel(input, "channel", noFiles);
    assert.ok(!result.ok);
    assert.deepEqual(result.faults.map(({ path }) => path).sort(), [
      "channel.token",
      "channel.url",
    ]);
    assert.ok(!JSON.stringify(result).includes("hunter2"));
  });
});

describe("a reply to a push", () => {
  const inAMinute = new Date(startMs + 60_000).toUTCString();
  const table: readonly [PushAnswer, Outcome][] = [
    ...[200, 201, 202, 204].map((status): [PushAnswer, Outcome] => [
      { status, body: "whatever" },
      { outcome: "sent", code: String(status) },
    ]),
    ...[408, 500, 502, 503, 504].map((status): [PushAnswer, Outcome] => [
      { status },
      { outcome: "retry", code: `http_${status}`, reason: `HTTP ${status}` },
    ]),
    [
      { status: 429, headers: { "retry-after": "17" }, body: "\n  slow down \nplease" },
      {
        outcome: "retry",
        code: "http_429",
        reason: "HTTP 429: slow down",
        retryAfterMs: 17_000,
      },
    ],
    [
      { status: 503, headers: { "retry-after": inAMinute } },
      { outcome: "retry", code: "http_503", reason: "HTTP 503", retryAfterMs: 60_000 },
    ],
    [
      { status: 503, headers: { "retry-after": "999999999" } },
      { outcome: "retry", code: "http_503", reason: "HTTP 503", retryAfterMs: 86_400_000 },
    ],
    [
      { status: 503, headers: { "retry-after": "soon" } },
      { outcome: "retry", code: "http_503", reason: "HTTP 503" },
    ],
    ...[400, 404, 410, 422].map((status): [PushAnswer, Outcome] => [
      { status, body: "no \u001b[31msuch hook\r\nsecond line" },
      { outcome: "refused", code: `http_${status}`, reason: `HTTP ${status}: no such hook` },
    ]),
    [
      { status: 403 },
      {
        outcome: "refused",
        code: "http_403",
        reason: "HTTP 403; check the credentials",
      },
    ],
    ...[301, 302, 304, 308].map((status): [PushAnswer, Outcome] => [
      { status, body: "moved" },
      {
        outcome: "refused",
        code: `http_${status}`,
        reason: `HTTP ${status}; redirects are not followed; set the address it leads to`,
      },
    ]),
  ];
  for (const [{ status, headers = {}, body = "" }, outcome] of table)
    it(`HTTP ${status} ${JSON.stringify(headers)} ${JSON.stringify(body)}`, () => {
      const reply: HttpReply = { status, headers, body };
      assert.deepEqual(readPushReply(reply, startMs), outcome);
    });
});
