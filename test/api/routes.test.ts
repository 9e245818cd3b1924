import assert from "node:assert/strict";
import { AgentError } from "../../src/core/errors.ts";
import { Secret } from "../../src/base/secret.ts";
import { startApi, type ProblemJson, type TestApi } from "../support/api.ts";
import type { ManualClock } from "../support/clock.ts";
import { channel, incident, noonMs, receipt, rule, status } from "../support/view.ts";

const noon = noonMs / 1_000;
const node = (name: string, ip: string, ageMs = 0, cluster = "east") => ({
  cluster,
  name,
  ip,
  version: "1.0.0",
  lastSeenMs: noonMs - ageMs,
});

type Item = Readonly<Record<string, unknown>>;
interface Page {
  readonly items: Item[];
  readonly limit: number;
  readonly cursor: string | null;
}

describe("the routes", () => {
  let t: TestApi;
  const items = async (path: string): Promise<Item[]> => {
    const answer = await t.ask(path);
    assert.equal(answer.status, 200, answer.text);
    return (answer.json as Page).items;
  };
  const names = async (path: string) => (await items(path)).map((item) => item.name ?? item.id);
  const post = (path: string, body?: unknown) =>
    t.ask(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });

  beforeEach(async () => {
    t = await startApi();
  });
  afterEach(() => t.api.stop());

  describe("/health and /ready", () => {
    it("say what the agent is and how its parts are", async () => {
      t.view.parts = {
        collect: status(),
        kubernetes: status("disabled"),
        admin: status("starting"),
      };
      const { json, status: code } = await t.ask("/health");
      assert.equal(code, 200);
      assert.deepEqual(json, {
        status: "ok",
        node: "node-1",
        ip: "192.0.2.10",
        cluster: "east",
        version: "1.2.3",
        uptime_seconds: 3_600,
        components: {
          collect: { status: "ok", since: noon - 60, last_error: null },
          kubernetes: { status: "disabled", since: noon - 60, last_error: null },
          admin: { status: "starting", since: noon - 60, last_error: null },
        },
      });
    });

    it("stay at 200 whatever is down, with secrets masked", async () => {
      t.redactor.learn(new Secret("hunter2"));
      for (const state of ["degraded", "down"] as const) {
        t.view.parts = { collect: status(), redis: status(state, "AUTH hunter2 failed") };
        const answer = await t.ask("/health");
        assert.equal(answer.status, 200);
        assert.equal((answer.json as Item).status, "degraded");
        assert.equal(
          (answer.json as { components: { redis: Item } }).components.redis.last_error,
          "AUTH *** failed",
        );
      }
    });

    it("are ready only after the first sample", async () => {
      assert.equal((await t.ask("/ready")).status, 200);
      t.view.isReady = false;
      const answer = await t.ask("/ready?probe=1");
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["content-type"], "application/problem+json");
    });
  });

  describe("/api/config", () => {
    const ask = (headers: Record<string, string>) => t.ask("/api/config", { headers });
    beforeEach(() => {
      t.view.others = [
        node("node-2", "192.0.2.11"),
        node("twin-a", "192.0.2.12"),
        node("twin-b", "192.0.2.12"),
        node("six", "2001:db8::1"),
        node("node-1", "192.0.2.19", 0, "west"),
      ];
      for (const name of ["node-2", "twin-a", "twin-b", "six"])
        t.view.configs.set(`east/${name}`, { node: { name } });
      t.view.configs.set("west/node-1", { node: { name: "west" } });
    });

    it("is this node's own without a header, with a loopback or its own address", async () => {
      for (const ip of [
        null,
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "192.0.2.10",
        "::ffff:192.0.2.10",
      ]) {
        const answer = await ask(ip === null ? {} : { "X-Client-IP": ip });
        assert.deepEqual(answer.json, t.view.config, String(ip));
      }
      assert.deepEqual((await ask({ "X-Node-Name": "node-1" })).json, t.view.config);
    });

    it("is another node's by its address in any form, or by its name", async () => {
      const name = async (headers: Record<string, string>) =>
        ((await ask(headers)).json as { node: Item }).node.name;
      assert.equal(await name({ "X-Client-IP": "192.0.2.11" }), "node-2");
      assert.equal(await name({ "X-Client-IP": "::ffff:c000:20b" }), "node-2");
      assert.equal(await name({ "X-Client-IP": "2001:DB8:0:0::1" }), "six");
      assert.equal(await name({ "X-Node-Name": "node-2" }), "node-2");
      assert.equal(await name({ "X-Node-Name": "west/node-1" }), "west");
      assert.equal(await name({ "X-Client-IP": "192.0.2.12", "X-Node-Name": "twin-b" }), "twin-b");
    });

    it("is a 409 too when the address that several share is our own, unless a name chooses", async () => {
      t.view.others = [node("twin", "192.0.2.10")];
      const headers = { "X-Client-IP": "192.0.2.10" };
      assert.equal((await t.ask("/api/config", { headers })).status, 409);
      const named = { ...headers, "X-Node-Name": "node-1" };
      assert.equal((await t.ask("/api/config", { headers: named })).status, 200);
    });

    it("is a 404 for an unknown address, a 400 for none, a 409 for one that several share", async () => {
      assert.equal((await ask({ "X-Client-IP": "192.0.2.99" })).status, 404);
      assert.equal((await ask({ "X-Node-Name": "nobody" })).status, 404);
      assert.equal(
        (await ask({ "X-Client-IP": "192.0.2.11", "X-Node-Name": "node-1" })).status,
        404,
      );
      for (const bad of ["", "192.0.2", "192.0.2.11, 192.0.2.12", "node-2", "<script>"]) {
        const answer = await ask({ "X-Client-IP": bad });
        assert.equal(answer.status, 400, bad);
        assert.equal((answer.json as ProblemJson).errors[0]?.path, "X-Client-IP");
      }
      const shared = await ask({ "X-Client-IP": "192.0.2.12" });
      assert.equal(shared.status, 409);
      assert.match(shared.text, /east\/twin-a, east\/twin-b/);
      t.view.configs.delete("east/node-2");
      assert.equal((await ask({ "X-Client-IP": "192.0.2.11" })).status, 404);
    });

    it("needs no store for its own, and is a 503 without one for others", async () => {
      t.view.failure = new AgentError("STORE_UNAVAILABLE", "redis did not answer");
      assert.equal((await ask({ "X-Client-IP": "192.0.2.10" })).status, 200);
      const answer = await ask({ "X-Client-IP": "192.0.2.11" });
      assert.equal(answer.status, 503);
      assert.equal((answer.json as ProblemJson).detail, "redis did not answer");
    });
  });

  describe("/api/alert", () => {
    const alert = {
      index: "queue.length",
      threshold: 80,
      current_value: 91.5,
      timestamp: noon - 5,
    };

    it("takes the four members the first version knew, and fills in the rest", async () => {
      const answer = await post("/api/alert", alert);
      assert.equal(answer.status, 202);
      assert.deepEqual(answer.json, { id: "alert-9", status: "accepted", reason: null });
      assert.deepEqual(t.view.accepted, [
        {
          index: "queue.length",
          threshold: 80,
          value: 91.5,
          atMs: noonMs - 5_000,
          operator: ">",
          level: "warning",
          message: null,
          labels: {},
          node: null,
        },
      ]);
    });

    it("takes everything else too, and says which incident covers a suppressed one", async () => {
      t.view.outcome = { status: "suppressed", id: "alert-3", reason: "covered by alert-3" };
      const more = {
        operator: "lte",
        level: "critical",
        message: "队列已满\nsecond line",
        labels: { queue: "a" },
        node: "east/node-2",
        timestamp: "2026-01-05T11:59:55Z",
      };
      const answer = await post("/api/alert", { ...alert, ...more });
      assert.deepEqual(answer.json, {
        id: "alert-3",
        status: "suppressed",
        reason: "covered by alert-3",
      });
      const { timestamp, ...rest } = more;
      assert.deepEqual(t.view.accepted[0], {
        index: "queue.length",
        threshold: 80,
        value: 91.5,
        atMs: Date.parse(timestamp),
        ...rest,
        operator: "<=",
      });
    });

    it("takes the operator by which the value breaches when none is named", async () => {
      for (const current_value of [79, 80, 81])
        await post("/api/alert", { ...alert, current_value });
      assert.deepEqual(
        t.view.accepted.map(({ operator }) => operator),
        ["<", ">=", ">"],
      );
    });

    it("refuses what is missing, wrong or unknown, all faults at once", async () => {
      const fault = async (body: unknown): Promise<string[]> => {
        const answer = await post("/api/alert", body);
        assert.equal(answer.status, 400, JSON.stringify(body));
        return (answer.json as ProblemJson).errors.map(({ path }) => path).toSorted();
      };
      assert.deepEqual(await fault({}), ["current_value", "index", "threshold", "timestamp"]);
      assert.deepEqual(await fault({ ...alert, threshold: "80", levle: "info" }), [
        "levle",
        "threshold",
      ]);
      assert.deepEqual(await fault({ ...alert, level: "fatal", operator: "=" }), [
        "level",
        "operator",
      ]);
      assert.deepEqual(await fault({ ...alert, labels: { a: 1 } }), ["labels.a"]);
      assert.deepEqual(await fault({ ...alert, labels: [] }), ["labels"]);
      assert.deepEqual(await fault({ ...alert, labels: { 'a"}': "x" } }), ['labels.a"}']);
      assert.deepEqual(await fault({ ...alert, index: "" }), ["index"]);
      assert.deepEqual(await fault({ ...alert, index: "a\nb" }), ["index"]);
      assert.deepEqual(await fault({ ...alert, index: "x".repeat(201) }), ["index"]);
      assert.deepEqual(await fault({ ...alert, timestamp: noonMs }), ["timestamp"]);
      assert.deepEqual(await fault({ ...alert, message: "x".repeat(4_001) }), ["message"]);
      const many = Object.fromEntries(Array.from({ length: 31 }, (_, at) => [`l${at}`, "x"]));
      assert.deepEqual(await fault({ ...alert, labels: many }), ["labels"]);
      for (const body of [[], null, 7, "text"])
        assert.deepEqual(
          await fault(
            body === null ? "null" : body === "text" ? '"text"' : body === 7 ? "7" : body,
          ),
          [""],
        );
      assert.equal(t.view.accepted.length, 0);
    });
  });

  describe("/api/alerts", () => {
    beforeEach(() => {
      t.view.incidentList = [
        incident({ id: "old", startedAtMs: noonMs - 9_000 }),
        incident({ id: "new", startedAtMs: noonMs - 1_000, level: "critical" }),
        incident({
          id: "gone",
          startedAtMs: noonMs - 5_000,
          status: "resolved",
          endedAtMs: noonMs,
        }),
      ];
      t.view.receiptList = [receipt({ alert: "new" }), receipt({ id: "r2", alert: "old" })];
    });

    it("lists the newest first, by status and level", async () => {
      assert.deepEqual(await names("/api/alerts"), ["new", "gone", "old"]);
      assert.deepEqual(await names("/api/alerts?status=firing"), ["new", "old"]);
      assert.deepEqual(await names("/api/alerts?status=resolved"), ["gone"]);
      assert.deepEqual(await names("/api/alerts?level=critical"), ["new"]);
      for (const bad of [
        "status=burning",
        "level=fatal",
        "statsu=firing",
        "status=firing&status=resolved",
      ])
        assert.equal((await t.ask(`/api/alerts?${bad}`)).status, 400, bad);
    });

    it("shows one with its deliveries", async () => {
      const json = (await t.ask("/api/alerts/new")).json as Item & { deliveries: Item[] };
      assert.equal(json.id, "new");
      assert.equal(json.current_value, 91.5);
      assert.equal(json.started_at, noon - 1);
      assert.equal(json.ended_at, null);
      assert.deepEqual(
        json.deliveries.map(({ id }) => id),
        ["receipt-1"],
      );
      assert.equal((await t.ask("/api/alerts/unknown")).status, 404);
      assert.equal((await t.ask("/api/alerts/..%2F..%2Fetc")).status, 404);
    });

    it("acknowledges, with or without a name", async () => {
      const named = await post("/api/alerts/new/ack", { by: "李雷" });
      assert.equal(named.status, 200);
      assert.equal((named.json as Item).acknowledged_by, "李雷");
      assert.equal(((await post("/api/alerts/old/ack")).json as Item).acknowledged_by, "api");
      assert.equal((await post("/api/alerts/unknown/ack", {})).status, 404);
      for (const body of [{ by: "" }, { by: 7 }, { who: "li" }, { by: "x".repeat(101) }])
        assert.equal((await post("/api/alerts/new/ack", body)).status, 400);
    });
  });

  describe("lists", () => {
    it("are given page by page, and nothing is lost or repeated when they change meanwhile", async () => {
      t.view.incidentList = Array.from({ length: 25 }, (_, at) =>
        incident({ id: `i${at}`, startedAtMs: noonMs - at * 1_000 }),
      );
      const seen: string[] = [];
      let cursor: string | null = "";
      while (cursor !== null) {
        const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
        const json: Page = (await t.ask(`/api/alerts?limit=10${query}`)).json as Page;
        assert.equal(json.limit, 10);
        seen.push(...json.items.map(({ id }) => String(id)));
        t.view.incidentList.push(
          incident({ id: `late${seen.length}`, startedAtMs: noonMs + 1_000 }),
        );
        cursor = json.cursor;
        if (cursor !== null) assert.match(cursor, /^[\w-]+$/);
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 25 }, (_, at) => `i${at}`),
      );
    });

    it("refuse cursors they did not give and limits that are none", async () => {
      t.view.incidentList = [incident({ id: "a" }), incident({ id: "b" })];
      t.view.receiptList = [receipt()];
      const { cursor } = (await t.ask("/api/alerts?limit=1")).json as Page;
      assert.equal((await t.ask(`/api/deliveries?cursor=${String(cursor)}`)).status, 400);
      for (const bad of ["x", "%00", "e30", "", "bnVsbA", "WzEsMl0"])
        assert.equal((await t.ask(`/api/alerts?cursor=${bad}`)).status, 400, bad);
      for (const bad of ["0", "-1", "1001", "1.5", "ten", "", "1e2", "99999999999"])
        assert.equal((await t.ask(`/api/rules?limit=${bad}`)).status, 400, bad);
      assert.equal((await t.ask("/api/rules?limit=1000")).status, 200);
      for (const path of ["indexes", "nodes", "rules", "channels", "deliveries", "alerts"]) {
        const wrong = await t.ask(`/api/${path}?limitt=1`);
        assert.equal(wrong.status, 400);
        assert.match(wrong.text, /did you mean \\"limit\\"/);
      }
    });
  });

  it("lists indexes", async () => {
    assert.deepEqual((await items("/api/indexes"))[1], {
      name: "disk",
      unit: "%",
      labels: ["mount"],
      help: "disk in use",
    });
  });

  it("lists nodes, stale after three intervals but not before seven minutes", async () => {
    t.view.others = [node("a420", "192.0.2.3", 420_000), node("n421", "192.0.2.4", 421_000)];
    const stale = async () =>
      Object.fromEntries(
        (await items("/api/nodes")).map(({ name, stale }) => [String(name), stale]),
      );
    assert.deepEqual(await stale(), { "node-1": false, a420: false, n421: true });
    t.view.intervalMs = 160_000;
    assert.deepEqual(await stale(), { "node-1": false, a420: false, n421: false });
    await (t.clock as ManualClock).advance(60_000);
    assert.deepEqual(await stale(), { "node-1": false, a420: false, n421: true });
    assert.deepEqual((await items("/api/nodes"))[0], {
      cluster: "east",
      name: "a420",
      ip: "192.0.2.3",
      version: "1.0.0",
      last_seen: noon - 420,
      stale: false,
    });
  });

  it("lists rules in the words of the configuration", async () => {
    t.view.ruleList = [rule({ cooldownMs: 600_000, thresholds: { warning: 80, critical: 95 } })];
    assert.deepEqual(await items("/api/rules"), [
      {
        name: "cpu-high",
        index: "cpu",
        operator: ">",
        levels: { warning: 80, critical: 95 },
        for: 300,
        clear: 75,
        keep_firing_for: 0,
        cooldown_minutes: 10,
        labels: {},
        channels: null,
        nodes: null,
        message: null,
        runbook_url: null,
        enabled: true,
        source: "file",
        revision: "r1",
      },
    ]);
  });

  it("lists channels with their state and no secret", async () => {
    t.redactor.learn(new Secret("https://robot.example/hook/abcdef0123456789"));
    const failing = {
      status: status("down", "POST https://robot.example/hook/abcdef0123456789: 502"),
    };
    t.view.channelList = [channel({}, { ...failing, pending: 4, tokensLeft: 0 })];
    const [shown = {}] = await items("/api/channels");
    assert.equal(shown.last_error, "POST ***: 502");
    assert.deepEqual(shown.settings, { webhook_url: "***" });
    assert.deepEqual(
      [shown.status, shown.pending, shown.tokens_left, shown.sent_today],
      ["down", 4, 0, 2],
    );
  });

  it("tests a channel and tells its answer", async () => {
    assert.deepEqual((await post("/api/channels/ops/test")).json, {
      outcome: "sent",
      code: "0",
      reason: null,
    });
    t.redactor.learn(new Secret("hunter2"));
    t.view.testOutcome = {
      outcome: "refused",
      code: "19021",
      reason: "sign of hunter2 does not match",
    };
    assert.deepEqual((await post("/api/channels/ops/test", {})).json, {
      outcome: "refused",
      code: "19021",
      reason: "sign of *** does not match",
    });
    assert.equal((await post("/api/channels/nobody/test")).status, 404);
    assert.equal((await post("/api/channels/ops/test", { now: true })).status, 400);
    t.view.channelList = [channel({ name: "值班/ops" })];
    assert.equal((await post(`/api/channels/${encodeURIComponent("值班/ops")}/test`)).status, 200);
  });

  it("lists deliveries by channel and alert, the newest first", async () => {
    t.view.receiptList = [
      receipt(),
      receipt({
        id: "r2",
        channel: "mail",
        createdAtMs: noonMs,
        settledAtMs: null,
        outcome: "pending",
      }),
      receipt({ id: "r3", alert: "alert-2", createdAtMs: noonMs - 60_000 }),
    ];
    assert.deepEqual(await names("/api/deliveries"), ["r2", "receipt-1", "r3"]);
    assert.deepEqual(await names("/api/deliveries?channel=mail"), ["r2"]);
    assert.deepEqual(await names("/api/deliveries?alert=alert-2"), ["r3"]);
    const outcomes = ["sent", "dead", "refused", "retrying", "pending"];
    const chosen = await Promise.all(
      outcomes.map((outcome) => names(`/api/deliveries?outcome=${outcome}`)),
    );
    assert.deepEqual(new Set(chosen.flat()), new Set(["r2", "r3", "receipt-1"]));
    assert.ok(chosen.every((some) => some.length < 3));
    const [pending = {}, sent] = await items("/api/deliveries");
    assert.deepEqual([pending.settled_at, pending.latency_seconds], [null, null]);
    assert.deepEqual(sent, {
      id: "receipt-1",
      alert: "alert-1",
      channel: "ops",
      type: "feishu",
      kind: "firing",
      outcome: "sent",
      attempts: 1,
      code: "0",
      message: null,
      digest: null,
      created_at: noon - 5,
      settled_at: noon - 5,
      latency_seconds: 0.25,
    });
  });

  it("gives /metrics as Prometheus reads it", async () => {
    const answer = await t.ask("/metrics");
    assert.equal(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert.match(answer.text, /^# TYPE up gauge\nup 1\n$/);
  });

  it("tells a client nothing of what broke inside, and the log everything", async () => {
    t.view.failure = new Error("cannot read properties of /etc/shadow");
    const answer = await t.ask("/metrics");
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /shadow/);
    assert.ok(t.log.some((line) => /request failed/.test(line) && /shadow/.test(line)));
    t.view.failure = Object.assign(new Error("forbidden"), {
      status: 403,
      statusCode: 403,
      expose: true,
    });
    assert.equal((await t.ask("/metrics")).status, 500);
    t.view.failure = new AgentError("HTTP_FAILED", "secret inside");
    assert.doesNotMatch((await t.ask("/metrics")).text, /inside/);
  });
});
