import assert from "node:assert/strict";
import fc from "fast-check";
import { readBody } from "../../src/admin/answer.ts";
import { normalise } from "../../src/admin/forms.ts";
import { endpointUrl } from "../../src/admin/request.ts";
import { headerSafe } from "../../src/base/http.ts";
import { understand } from "../../src/admin/understand.ts";
import { parseDocument, thresholds } from "./harness.ts";

const read = (answer: unknown) => understand(readBody(JSON.stringify(answer)), parseDocument);

function taken(answer: unknown): Record<string, unknown> {
  const understood = read(answer);
  if (understood.kind !== "good") assert.fail(JSON.stringify(understood));
  return thresholds(understood.document);
}

function refusal(answer: unknown): string {
  const understood = read(answer);
  if (understood.kind !== "refused") assert.fail(JSON.stringify(understood));
  return understood.reason;
}

const rules = [{ index: "cpu", threshold: 80 }];
const cpu = { cpu: { warning: 80 } };

describe("the forms of an admin answer", () => {
  for (const [what, answer] of Object.entries<unknown>({
    bare: { alerts: { rules } },
    "wrapped in data": { data: { alerts: { rules } } },
    "with code 0": { code: 0, message: "ok", data: { alerts: { rules } } },
    "with code 200": { code: 200, data: { alerts: { rules } } },
    "with the code as a text": { code: "0", msg: "", data: { alerts: { rules } } },
    "with a code that is null": { code: null, data: { alerts: { rules } } },
    "bare with a code": { code: 0, message: "ok", alerts: { rules } },
    "thresholds as a list": { thresholds: rules },
    "thresholds as an object": { thresholds: { cpu: 80 } },
    alert_rules: { data: { alert_rules: rules } },
    rules: { success: true, data: { rules } },
  }))
    it(`are read: ${what}`, () => assert.deepEqual(taken(answer), cpu));

  it("join the rules and channels of all members", () => {
    const channel = (name: string) => ({
      name,
      type: "feishu",
      webhook_url: "https://robot.example",
    });
    const understood = read({
      alerts: { rules, channels: [channel("a")], cooldown_minutes: 3 },
      thresholds: { memory: { warning: 80, critical: 95 }, disk: { threshold: 90, for: "5m" } },
      alert_rules: [{ index: "load1", levels: { info: 4 } }],
      rules: [{ index: "swap", threshold: 50 }],
      notifications: [channel("b")],
      alert_channels: [channel("c")],
      channels: [channel("d")],
      metrics: { collection_interval: 5 },
    });
    assert.equal(understood.kind, "good");
    if (understood.kind !== "good") return;
    const { document } = understood;
    assert.deepEqual(thresholds(document), {
      ...cpu,
      memory: { warning: 80, critical: 95 },
      disk: { warning: 90 },
      load1: { info: 4 },
      swap: { warning: 50 },
    });
    assert.deepEqual(
      document.channels.map(({ name }) => name),
      ["a", "b", "c", "d"],
    );
    assert.deepEqual(document.alerts, { cooldownMs: 180_000 });
    assert.deepEqual(document.metrics, { collectionIntervalMs: 5_000 });
  });

  it("alert above a threshold of an object, unless it names an operator", () => {
    const understood = read({
      thresholds: { cpu: 80, memory: { warning: 80 }, disk: { threshold: 5, operator: "<" } },
    });
    if (understood.kind !== "good") assert.fail(JSON.stringify(understood));
    assert.deepEqual(
      understood.document.rules.map(({ index, operator }) => [index, operator]),
      [
        ["cpu", ">"],
        ["memory", ">"],
        ["disk", "<"],
      ],
    );
  });

  it("tell a missing member from an empty list", () => {
    const document = (policy: Record<string, unknown>) => {
      const normal = normalise(policy, "");
      return normal.ok ? normal.value.document : assert.fail(JSON.stringify(normal));
    };
    assert.deepEqual(document({}), {});
    assert.deepEqual(document({ metrics: {} }), { metrics: {} });
    assert.deepEqual(document({ alerts: {} }), { alerts: {} });
    assert.deepEqual(document({ thresholds: [] }), { alerts: { rules: [] } });
    assert.deepEqual(document({ thresholds: {} }), { alerts: { rules: [] } });
    assert.deepEqual(document({ notifications: [] }), { alerts: { channels: [] } });
    assert.deepEqual(document({ alerts: { rules: [] } }), { alerts: { rules: [] } });
  });

  it("name faults by their path in the answer as it was given", () => {
    const bad = { index: "cpu", threshold: "x" };
    const paths = (answer: unknown) =>
      refusal(answer)
        .split("; ")
        .map((fault) => fault.split(": ")[0]);
    assert.deepEqual(paths({ alerts: { rules: [...rules, bad] } }), ["alerts.rules[1].threshold"]);
    assert.deepEqual(paths({ data: { alerts: { rules }, rules: [bad] } }), [
      "data.rules[0].threshold",
    ]);
    assert.deepEqual(paths({ alert_rules: rules, thresholds: [bad] }), ["thresholds[0].threshold"]);
    assert.deepEqual(paths({ data: { thresholds: { cpu: "x", memory: null } } }), [
      "data.thresholds.cpu",
      "data.thresholds.memory",
    ]);
    assert.deepEqual(paths({ thresholds: { cpu: { warning: 1, critical: "x" } } }), [
      "thresholds.cpu.critical",
    ]);
    assert.deepEqual(paths({ thresholds: { cpu: { threshold: "x", for: [] } } }), [
      "thresholds.cpu.threshold",
      "thresholds.cpu.for",
    ]);
    assert.deepEqual(paths({ thresholds: { "": 1 } }), ["thresholds."]);
    assert.deepEqual(paths({ alert_rules: ["cpu"] }), ["alert_rules[0]"]);
    assert.deepEqual(paths({ data: { notifications: [{ type: "x" }], channels: [{}] } }), [
      "data.notifications[0].webhook_url",
      "data.channels[0].type",
      "data.channels[0].webhook_url",
    ]);
    assert.deepEqual(paths({ data: { alerts: { cooldown_minutes: "x" } } }), [
      "data.alerts.cooldown_minutes",
    ]);
    assert.deepEqual(paths({ data: { metrics: { collection_interval: "x" } } }), [
      "data.metrics.collection_interval",
    ]);
    assert.deepEqual(paths({ alerts: rules }), ["alerts"]);
    assert.deepEqual(paths({ alerts: null }), ["alerts"]);
  });

  it("refuse what is no policy, and say what was expected", () => {
    assert.equal(refusal([]), "expected an object, got a list");
    assert.equal(refusal("ok"), "expected an object, got a string");
    assert.equal(refusal(null), "expected an object, got null");
    assert.equal(refusal({ code: 0, data: null }), "data: expected an object, got null");
    assert.equal(refusal({ data: [] }), "data: expected an object, got a list");
    assert.equal(refusal({ code: 0, message: "ok" }), "expected data, or metrics and alerts");
    assert.match(refusal({ error: "down" }), /^error: unknown key/);
    assert.equal(
      refusal({ thresholds: 5, rules: {}, channels: null }),
      "thresholds: expected a list or an object, got a number; rules: expected a list, got an object; channels: expected a list, got null",
    );
  });

  it("survive members that are names of JavaScript", () => {
    const text = '{"thresholds": {"__proto__": 80, "constructor": {"warning": 1}}, "alerts": {}}';
    const reading = readBody(text);
    const understood = understand(reading, parseDocument);
    assert.equal(understood.kind, "good");
    assert.match(
      JSON.stringify(understand(readBody('{"__proto__": {"rules": []}}'), parseDocument)),
      /__proto__: unknown key/,
    );
  });

  it("read JSON behind a byte order mark", () => {
    assert.equal(readBody(`\uFEFF${JSON.stringify({ rules })}`).kind, "policy");
  });

  it("never crash on any JSON, and every fault has a text", () => {
    const key = fc.oneof(
      fc.constantFrom("data", "code", "alerts", "rules", "channels", "thresholds", "alert_rules"),
      fc.constantFrom(
        "notifications",
        "metrics",
        "index",
        "threshold",
        "levels",
        "warning",
        "success",
      ),
      fc.string(),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 5 }, fc.jsonValue(), tie("object"), fc.array(tie("tree"))),
      object: fc.dictionary(key, tie("tree"), { maxKeys: 5 }),
    }));
    fc.assert(
      fc.property(tree, (answer) => {
        const understood = read(answer);
        if ("reason" in understood) assert.notEqual(understood.reason, "");
      }),
      { numRuns: 500 },
    );
  });
});

describe("a request to the admin server", () => {
  it("joins the base and the endpoint with one slash", () => {
    for (const [base, endpoint, url] of [
      ["http://a", "/api/x/", "http://a/api/x/"],
      ["http://a/", "api/x", "http://a/api/x"],
      ["http://a:1/pre/", "/api/x/", "http://a:1/pre/api/x/"],
      ["http://a/pre", "//api", "http://a/pre/api"],
      ["http://a/pre", "", "http://a/pre/"],
      ["http://a/?tenant=3", "/api?v=1?2#top", "http://a/api?tenant=3&v=1?2"],
      ["http://[::1]:80/", "/api", "http://[::1]/api"],
    ] as const)
      assert.equal(endpointUrl(base, endpoint).replace("%23top", "").replace("#top", ""), url);
  });

  it("makes any name fit for a header, and the way back gives the name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        const safe = headerSafe(name);
        assert.match(safe, /^[\x21-\x7e]*$/);
        assert.equal(decodeURIComponent(safe), name.toWellFormed());
      }),
    );
    assert.equal(headerSafe("node-1.example"), "node-1.example");
  });
});
