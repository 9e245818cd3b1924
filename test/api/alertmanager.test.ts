import assert from "node:assert/strict";
import http from "node:http";
import fc from "fast-check";
import { fingerprint, hostOf } from "../../src/api/alertmanager/map.ts";
import type { ReportedAlert } from "../../src/api/ports.ts";
import { startApi, type ProblemJson, type TestApi } from "../support/api.ts";
import { eventually } from "../support/clock.ts";
import { noonMs } from "../support/view.ts";

const minute = 60_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const alert = { labels: { alertname: "HighLatency" } };
const webhook = {
  version: "4",
  groupKey: '{}:{alertname="HighLatency"}',
  truncatedAlerts: 0,
  status: "firing",
  receiver: "targetvpc",
  groupLabels: { alertname: "HighLatency" },
  commonLabels: {},
  commonAnnotations: {},
  externalURL: "http://alertmanager:9093",
  alerts: [
    {
      status: "firing",
      labels: { alertname: "HighLatency" },
      annotations: {},
      startsAt: iso(noonMs - minute),
      endsAt: "0001-01-01T00:00:00Z",
      generatorURL: "",
      fingerprint: "c5e1a3b7",
    },
  ],
};

describe("the ways in for alerts of Prometheus", () => {
  let t: TestApi;
  const post = (path: string, body: unknown) =>
    t.ask(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
  const v2 = (body: unknown) => post("/api/v2/alerts", body);
  const one = async (body: unknown, path = "/api/v2/alerts"): Promise<ReportedAlert> => {
    t.view.reported = [];
    const answer = await post(path, body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(t.view.reported.length, 1);
    return t.view.reported[0]!;
  };
  const faults = async (body: unknown, path = "/api/v2/alerts") => {
    const answer = await post(path, body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.equal(answer.headers["content-type"], "application/problem+json");
    return (answer.json as ProblemJson).errors.map(({ path, message }) => `${path}: ${message}`);
  };

  beforeEach(async () => {
    t = await startApi();
  });
  afterEach(() => t.api.stop());

  describe("/api/v2/alerts", () => {
    it("answers as an Alertmanager: 200 and nothing", async () => {
      const answer = await v2([alert]);
      assert.equal(answer.status, 200);
      assert.equal(answer.text, "");
      assert.equal((await v2([])).status, 200);
    });

    it("puts what Prometheus sends into our words", async () => {
      const sent = {
        labels: {
          alertname: "HighLatency",
          severity: "page",
          instance: "node-7:9100",
          node: "node-7",
          cluster: "west",
          job: "api",
          empty: "",
        },
        annotations: {
          summary: "p99 above 2 s",
          description: "p99 above 2 s",
          message: "for five minutes",
          runbook_url: "https://wiki.example/latency",
          value: "2.5e+00",
        },
        startsAt: "2026-01-05T11:58:00.123456789Z",
        endsAt: "2026-01-05T20:04:00+08:00",
        generatorURL: "http://prometheus:9090/graph?g0.expr=up",
      };
      assert.deepEqual(await one([sent]), {
        fingerprint: fingerprint({
          alertname: "HighLatency",
          severity: "page",
          instance: "node-7:9100",
          node: "node-7",
          cluster: "west",
          job: "api",
        }),
        rule: "HighLatency",
        index: "HighLatency",
        labels: { instance: "node-7:9100", job: "api" },
        level: "critical",
        node: "node-7",
        cluster: "west",
        value: 2.5,
        message: "p99 above 2 s\nfor five minutes",
        runbookUrl: "https://wiki.example/latency",
        sourceUrl: "http://prometheus:9090/graph?g0.expr=up",
        state: "firing",
        atMs: Date.parse("2026-01-05T11:58:00.123Z"),
        untilMs: noonMs + 4 * minute,
      });
    });

    it("takes the levels people use, and what it does not know as a warning", async () => {
      for (const [severity, level] of [
        ["critical", "critical"],
        ["error", "critical"],
        ["Page", "critical"],
        ["warning", "warning"],
        ["info", "info"],
        ["none", "info"],
        ["P1", "warning"],
      ] as const) {
        const found = await one([{ labels: { alertname: "A", severity } }]);
        assert.equal(found.level, level, severity);
        assert.deepEqual(found.labels, severity === "P1" ? { severity } : {}, severity);
      }
      assert.equal((await one([alert])).level, "warning");
    });

    it("knows the node, the index and the name of an alert by its labels", async () => {
      const node = async (labels: object) => (await one([{ labels }])).node;
      assert.equal(await node({ a: "b" }), null);
      assert.equal(await node({ nodename: "n", instance: "x:1" }), "n");
      assert.equal(await node({ instance: "10.0.0.7:9100" }), "10.0.0.7");
      assert.equal((await one([{ labels: { a: "b" } }])).rule, "alert");
      const disk = await one([{ labels: { alertname: "Full", index: "disk", mount: "/data" } }]);
      assert.deepEqual([disk.rule, disk.index, disk.labels], ["Full", "disk", { mount: "/data" }]);
    });

    it("takes the value annotation only when it is a number", async () => {
      for (const [value, number] of [
        ["97.3", 97.3],
        [" -1e3 ", -1_000],
        ["0", 0],
        ["97%", null],
        ["NaN", null],
        ["+Inf", null],
        ["", null],
        ["1e999", null],
        ["0x10", null],
      ] as const)
        assert.equal((await one([{ ...alert, annotations: { value } }])).value, number, value);
      assert.equal((await one([{ ...alert, annotations: null }])).value, null);
    });

    it("fills in the times that are missing, and believes none after now", async () => {
      const times = async (more: object) => {
        const { state, atMs, untilMs } = await one([{ ...alert, ...more }]);
        return [state, atMs - noonMs, untilMs - noonMs];
      };
      const zero = "0001-01-01T00:00:00Z";
      assert.deepEqual(await times({}), ["firing", 0, 5 * minute]);
      assert.deepEqual(await times({ startsAt: zero, endsAt: zero }), ["firing", 0, 5 * minute]);
      assert.deepEqual(await times({ startsAt: null, endsAt: null }), ["firing", 0, 5 * minute]);
      assert.deepEqual(await times({ startsAt: iso(noonMs + minute) }), ["firing", 0, 5 * minute]);
      assert.deepEqual(await times({ endsAt: iso(noonMs) }), ["resolved", 0, 0]);
      assert.deepEqual(
        await times({ startsAt: iso(noonMs - minute), endsAt: iso(noonMs - 1_000) }),
        ["resolved", -1_000, -1_000],
      );
    });

    it("shortens long annotations and leaves out links that no chat opens", async () => {
      const found = await one([
        {
          ...alert,
          annotations: {
            summary: "é".repeat(9_000),
            runbook_url: `https://x/${"y".repeat(2_000)}`,
          },
          generatorURL: `http://x/${"y".repeat(2_000)}`,
        },
      ]);
      assert.ok(Buffer.byteLength(found.message ?? "") <= 4_000);
      assert.equal(found.runbookUrl, null);
      assert.equal(found.sourceUrl, null);
    });

    it("names every fault by its path, and takes the alerts that are right", async () => {
      const required = "at least one label with a value is required";
      for (const [body, ...expected] of [
        ["{}", ": expected a list, got an object"],
        ["null", ": expected a list, got null"],
        ["7", ": expected a list, got a number"],
        [[7], "[0]: expected an object, got a number"],
        [[[]], "[0]: expected an object, got a list"],
        [[{}], "[0].labels: is required"],
        [[{ labels: {} }], `[0].labels: ${required}`],
        [[{ labels: { a: "" } }], `[0].labels: ${required}`],
        [[{ labels: [] }], "[0].labels: expected an object of texts, got a list"],
        [[{ labels: { a: 1 } }], "[0].labels.a: expected a text, got a number"],
        [[{ labels: { "a\n": "b" } }], "[0].labels: a label name must not be empty or hold"],
        [[{ labels: { ["a".repeat(201)]: "b" } }], "[0].labels: a label name must not be longer"],
        [
          [{ labels: { a: "b".repeat(4_096) } }],
          "[0].labels: the labels of an alert must not have",
        ],
        [
          [{ labels: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`l${at}`, "x"])) }],
          "[0].labels: at most 64 labels",
        ],
        [[{ ...alert, annotations: { a: {} } }], "[0].annotations.a: expected a text"],
        [[{ ...alert, annotations: "x" }], "[0].annotations: expected an object of texts"],
        [
          [{ ...alert, startsAt: "yesterday", endsAt: 7 }],
          "[0].startsAt: expected an RFC 3339 time",
          "[0].endsAt: expected an RFC 3339 time",
        ],
        [[{ ...alert, startsAt: "2026-01-05" }], "[0].startsAt: expected an RFC 3339 time"],
        [[{ ...alert, startsAt: "2026-02-30T00:00:00Z" }], "[0].startsAt: expected an RFC"],
        [
          [{ ...alert, startsAt: iso(noonMs), endsAt: iso(noonMs - 1) }],
          "[0].endsAt: must not be before startsAt",
        ],
        [[{ ...alert, generatorURL: 7 }], "[0].generatorURL: expected a text, got a number"],
      ] as const) {
        const found = await faults(body);
        assert.equal(found.length, expected.length, found.join("\n"));
        for (const [at, start] of expected.entries())
          assert.ok(found[at]?.startsWith(start), `${found[at]} for ${start}`);
      }
      assert.equal(t.view.reported.length, 0);
      assert.deepEqual((await faults([alert, {}, { labels: { alertname: "B" } }])).length, 1);
      assert.deepEqual(
        t.view.reported.map(({ rule }) => rule),
        ["HighLatency", "B"],
      );
    });

    it("takes a thousand alerts and a MiB, and no more", async () => {
      const many = (count: number) => Array.from({ length: count }, () => alert);
      assert.equal((await v2(many(1_000))).status, 200);
      assert.match((await faults(many(1_001)))[0] ?? "", /at most 1000 alerts a request/);
      const annotations = { summary: "x".repeat(1_000) };
      assert.equal(
        (await v2(Array.from({ length: 900 }, () => ({ ...alert, annotations })))).status,
        200,
      );
      const large = await v2([{ ...alert, annotations: { summary: "x".repeat(1_048_576) } }]);
      assert.equal(large.status, 413);
      assert.match(large.text, /1048576 bytes/);
    });

    it("reads eight bodies at a time", async () => {
      const open = () => {
        const headers = { "Content-Type": "application/json", "Content-Length": 10 };
        const request = http.request({
          host: t.host,
          port: t.port,
          path: "/api/v2/alerts",
          method: "POST",
          headers,
          agent: false,
        });
        request.on("error", () => undefined);
        request.write("[");
        return request;
      };
      const held = Array.from({ length: 8 }, open);
      await eventually("the ninth is refused", async () => (await v2([alert])).status === 429);
      assert.equal((await v2([alert])).headers["retry-after"], "1");
      for (const request of held) request.destroy();
      await eventually("others are read again", async () => (await v2([alert])).status === 200);
    });
  });

  describe("/api/webhook/alertmanager", () => {
    const path = "/api/webhook/alertmanager";
    const first = webhook.alerts[0]!;

    it("takes alerts that fire, and waits a day for their end", async () => {
      const found = await one(webhook, path);
      assert.deepEqual(
        [found.rule, found.state, found.atMs, found.untilMs, found.sourceUrl],
        ["HighLatency", "firing", noonMs - minute, noonMs + 24 * 60 * minute, null],
      );
      assert.equal(found.fingerprint, (await one([alert])).fingerprint, "the same alert both ways");
    });

    it("takes the end of one", async () => {
      const over = { ...first, status: "resolved", endsAt: iso(noonMs - 2_000) };
      const found = await one({ ...webhook, status: "resolved", alerts: [over] }, path);
      assert.deepEqual([found.state, found.atMs], ["resolved", noonMs - 2_000]);
    });

    it("names every fault by its path", async () => {
      for (const [body, ...expected] of [
        [[], ": expected an object, got a list"],
        [{}, "version: is required", "status: is required", "alerts: is required"],
        [{ ...webhook, version: "1" }, 'version: expected "4"'],
        [{ ...webhook, status: "burning" }, 'status: expected "firing" or "resolved"'],
        [{ ...webhook, alerts: {} }, "alerts: expected a list, got an object"],
        [{ ...webhook, alerts: [{ ...first, status: "x" }] }, "alerts[0].status: expected"],
        [{ ...webhook, alerts: [{ ...first, labels: {} }] }, "alerts[0].labels: at least"],
        [
          { ...webhook, alerts: Array.from({ length: 1_001 }, () => first) },
          "alerts: at most 1000 alerts a request; set max_alerts: 1000",
        ],
      ] as const) {
        const found = await faults(body, path);
        assert.equal(found.length, expected.length, found.join("\n"));
        for (const [at, start] of expected.entries())
          assert.ok(found[at]?.startsWith(start), `${found[at]} for ${start}`);
      }
    });
  });

  it("take no query, no form and no compressed body", async () => {
    for (const path of ["/api/v2/alerts", "/api/webhook/alertmanager"]) {
      assert.equal((await post(`${path}?silenced=true`, [])).status, 400);
      assert.equal((await t.ask(path, { method: "GET" })).status, 405);
      for (const headers of [
        { "Content-Type": "text/plain" },
        { "Content-Type": "application/json", "Content-Encoding": "gzip" },
      ])
        assert.equal((await t.ask(path, { method: "POST", body: "[]", headers })).status, 415);
    }
  });
});

describe("the fingerprint of a label set", () => {
  const labels = fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { minKeys: 1 });

  it("is the same in whatever order the labels come", () => {
    fc.assert(
      fc.property(labels, fc.array(fc.nat(), { minLength: 10 }), (given, order) => {
        const keyed = Object.entries(given).map((pair, at) => ({ pair, at: order[at] ?? 0 }));
        const shuffled = keyed.toSorted((a, b) => a.at - b.at).map(({ pair }) => pair);
        assert.equal(fingerprint(Object.fromEntries(shuffled)), fingerprint(given));
      }),
    );
  });

  it("is another when a name or a value is another", () => {
    fc.assert(
      fc.property(labels, labels, (a, b) => {
        const sorted = (of: object) =>
          JSON.stringify(
            of,
            Object.keys(of).toSorted((x, y) => (x < y ? -1 : 1)),
          );
        assert.equal(fingerprint(a) === fingerprint(b), sorted(a) === sorted(b));
      }),
    );
    assert.notEqual(fingerprint({ a: "b,c=d" }), fingerprint({ a: "b", c: "d" }));
    assert.notEqual(fingerprint({ ab: "c" }), fingerprint({ a: "bc" }));
  });
});

describe("the host of an instance", () => {
  for (const [instance, host] of [
    ["node-7:9100", "node-7"],
    ["node-7", "node-7"],
    ["10.0.0.7:9100", "10.0.0.7"],
    ["[2001:db8::1]:9100", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["https://example.com/path?q", "example.com"],
    ["http://example.com:8080/", "example.com"],
    ["", ""],
  ] as const)
    it(`of ${JSON.stringify(instance)} is ${JSON.stringify(host)}`, () => {
      assert.equal(hostOf(instance), host);
    });
});
