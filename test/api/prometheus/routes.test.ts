import assert from "node:assert/strict";
import { AgentError } from "../../../src/core/errors.ts";
import { createRedisBackend } from "../../../src/store/redis/index.ts";
import type { Backend } from "../../../src/store/contract.ts";
import { startApi, type HttpAnswer, type TestApi } from "../../support/api.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { recordLog } from "../../support/log.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { definitions } from "../../support/store.ts";
import { StoreView } from "../../support/store-view.ts";
import { noonMs } from "../../support/view.ts";

const noon = noonMs / 1_000;

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
  readonly values: readonly (readonly [number, string])[];
}
interface PromJson {
  readonly status: string;
  readonly data: { readonly resultType: string; readonly result: readonly Series[] };
  readonly errorType: string;
  readonly error: string;
  readonly warnings?: readonly string[];
}
const jsonOf = ({ json }: HttpAnswer): PromJson => json as PromJson;
const resultOf = (answer: HttpAnswer): readonly Series[] => {
  assert.equal(answer.status, 200, answer.text);
  return jsonOf(answer).data.result;
};
const dataOf = (answer: HttpAnswer): unknown => {
  assert.equal(answer.status, 200, answer.text);
  return jsonOf(answer).data;
};

/** Asks with a query string. */
const get = (t: TestApi, path: string, params: Record<string, string> = {}): Promise<HttpAnswer> =>
  t.ask(`/api/v1/${path}?${new URLSearchParams(params).toString()}`);
/** Asks with a form, as Grafana does. */
const post = (t: TestApi, path: string, params: Record<string, string>): Promise<HttpAnswer> =>
  t.ask(`/api/v1/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(params).toString(),
  });

describe("the API of Prometheus", () => {
  let t: TestApi;
  beforeEach(async () => {
    t = await startApi();
    t.view.fill(361, (at) => ({
      cpu: at % 100,
      disk: 70.5,
      'disk{mount="/data"}': at === 360 ? null : 5,
    }));
  });
  afterEach(() => t.api.stop());

  const range = { start: String(noon - 60), end: String(noon), step: "30" };

  it("answers a range query by form and by query string alike", async () => {
    const asked = { query: 'targetvpc_index{index="cpu"}', ...range };
    const answer = await post(t, "query_range", asked);
    assert.equal(answer.headers["content-type"], "application/json; charset=utf-8");
    assert.deepEqual(answer.json, {
      status: "success",
      data: {
        resultType: "matrix",
        result: [
          {
            metric: { __name__: "targetvpc_index", cluster: "east", index: "cpu", node: "node-1" },
            values: [
              [noon - 60, "54"],
              [noon - 30, "57"],
              [noon, "60"],
            ],
          },
        ],
      },
    });
    assert.equal((await get(t, "query_range", asked)).text, answer.text);
  });

  it("answers an instant query with the newest values, those of the last five minutes", async () => {
    const query = '{index="disk"}';
    const result = resultOf(await post(t, "query", { query, time: String(noon + 9.5) }));
    const metric = { __name__: "targetvpc_index", cluster: "east", index: "disk", node: "node-1" };
    assert.deepEqual(result, [
      { metric: { ...metric, mount: "/data" }, value: [noon + 9.5, "5"] },
      { metric, value: [noon + 9.5, "70.5"] },
    ]);
    const late = resultOf(await post(t, "query", { query, time: String(noon + 299) }));
    assert.deepEqual(
      late.map(({ metric }) => metric["mount"]),
      [undefined],
    );
    assert.deepEqual(resultOf(await post(t, "query", { query, time: String(noon + 300) })), []);
    assert.deepEqual(resultOf(await get(t, "query", { query: "up" })), []);
    assert.equal(resultOf(await get(t, "query", { query })).length, 2, "without a time: now");
  });

  it("makes averages, maxima and minima of windows, without the name of the metric", async () => {
    const ask = async (fn: string): Promise<readonly Series[]> =>
      resultOf(
        await post(t, "query_range", { query: `${fn}_over_time({index="cpu"}[1m])`, ...range }),
      );
    const metric = { cluster: "east", index: "cpu", node: "node-1" };
    // At noon − 60 s the sample is 54, and the window holds the one of each of the five slots before it.
    const valuesOf = (...values: string[]) =>
      values.map((value, at) => [noon - 60 + at * 30, value]);
    assert.deepEqual(await ask("avg"), [{ metric, values: valuesOf("51.5", "54.5", "57.5") }]);
    assert.deepEqual(await ask("max"), [{ metric, values: valuesOf("54", "57", "60") }]);
    assert.deepEqual(await ask("min"), [{ metric, values: valuesOf("49", "52", "55") }]);
  });

  it("passes the health check of Grafana: one and one, at a time long ago", async () => {
    const scalar = await post(t, "query", { query: "1+1", time: "4" });
    assert.deepEqual(scalar.json, {
      status: "success",
      data: { resultType: "scalar", result: [4, "2"] },
    });
    const infinite = jsonOf(await get(t, "query", { query: "-1/0", time: "4.5" }));
    assert.deepEqual(infinite.data.result, [4.5, "-Inf"]);
    assert.deepEqual(resultOf(await get(t, "query_range", { query: "2*3", ...range })), [
      { metric: {}, values: [-60, -30, 0].map((ago) => [noon + ago, "6"]) },
    ]);
    const info = dataOf(await get(t, "status/buildinfo")) as { version: string };
    assert.match(info.version, /^\d+\.\d+\.\d+\+targetvpc\.1\.2\.3$/);
    assert.ok(!("features" in info), "features would make Grafana take it for Mimir");
    assert.equal(t.view.reads, 0);
  });

  it("lists labels, values, series and metadata for Grafana's builder", async () => {
    const span = { start: String(noon - 3_600), end: String(noon) };
    const names = ["__name__", "cluster", "index", "mount", "node"];
    assert.deepEqual(dataOf(await get(t, "labels")), names);
    assert.deepEqual(dataOf(await post(t, "labels", { ...span, limit: "40000" })), names);
    assert.deepEqual(
      dataOf(await get(t, "labels", { "match[]": 'targetvpc_index{index="cpu"}', ...span })),
      ["__name__", "cluster", "index", "node"],
    );
    assert.deepEqual(dataOf(await get(t, "label/__name__/values")), ["targetvpc_index"]);
    assert.deepEqual(dataOf(await get(t, "label/index/values", span)), ["cpu", "disk"]);
    assert.deepEqual(
      dataOf(await get(t, "label/mount/values", { "match[]": '{__name__!=""}', limit: "0" })),
      ["/data"],
    );
    assert.deepEqual(dataOf(await get(t, "label/nowhere/values")), []);
    const two = new URLSearchParams([
      ["match[]", '{index="cpu"}'],
      ["match[]", '{mount=~"/.*"}'],
    ]).toString();
    assert.deepEqual(dataOf(await t.ask(`/api/v1/series?${two}`)), [
      { __name__: "targetvpc_index", index: "cpu", node: "node-1", cluster: "east" },
      {
        __name__: "targetvpc_index",
        index: "disk",
        node: "node-1",
        cluster: "east",
        mount: "/data",
      },
    ]);
    const gauge = [{ type: "gauge", help: "The last stored value of every series", unit: "" }];
    assert.deepEqual(dataOf(await get(t, "metadata", { limit: "5" })), { targetvpc_index: gauge });
    assert.deepEqual(dataOf(await get(t, "metadata", { metric: "up" })), {});
  });

  it("takes a POST without a body, its parameters in the address", async () => {
    const answer = await t.ask("/api/v1/labels?limit=2", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });
    assert.deepEqual(answer.json, {
      status: "success",
      data: ["__name__", "cluster"],
      warnings: ["results truncated due to limit"],
    });
  });

  it("cuts what is longer than its limit, and says so", async () => {
    const query = { query: "targetvpc_index", limit: "2", ...range };
    const answer = jsonOf(await post(t, "query_range", query));
    assert.equal(answer.data.result.length, 2);
    assert.deepEqual(answer.warnings, ["results truncated due to limit"]);
    const whole = jsonOf(await post(t, "query_range", { ...query, limit: "3" }));
    assert.equal(whole.data.result.length, 3);
    assert.ok(!("warnings" in whole));
  });

  it("reads every form of time and step", async () => {
    const query = '{index="cpu"}';
    const expected = (await post(t, "query_range", { query, ...range })).text;
    const forms = [
      { start: `${noon - 60}.000`, end: "2026-01-05T12:00:00Z", step: "30s" },
      { start: "2026-01-05T11:59:00.000Z", end: "2026-01-05T20:00:00+08:00", step: "3e1" },
    ];
    for (const form of forms)
      assert.equal((await post(t, "query_range", { query, ...form })).text, expected);
    const pasted = `query=%7Bindex%3D%22cpu%22%7D&start=2026-01-05T19:59:00+08:00&end=${noon}&step=30&timeout=1m`;
    assert.equal((await t.ask(`/api/v1/query_range?${pasted}`)).text, expected);
    const fine = { query, start: String(noon - 0.5), end: String(noon), step: "0.25" };
    assert.deepEqual(
      resultOf(await post(t, "query_range", fine))[0]?.values.map(([time]) => time),
      [noon - 0.5, noon - 0.25, noon],
    );
  });

  it("refuses what is wrong in Prometheus' shape and words", async () => {
    const query = "targetvpc_index";
    const cases: [path: string, params: Record<string, string>, error: RegExp][] = [
      ["query", {}, /^invalid parameter "query": 1:1: parse error: unexpected end of the query/],
      ["query", { query: "sum(up)" }, /^invalid parameter "query": 1:1: .*supported are/],
      ["query", { query, time: "noon" }, /^invalid parameter "time": cannot parse "noon" to a/],
      ["query", { query, time: "1e99" }, /^invalid parameter "time"/],
      ["query", { query, timeout: "soon" }, /^invalid parameter "timeout"/],
      ["query", { query, limit: "-1" }, /^invalid parameter "limit"/],
      ["query_range", { query, ...range, start: "" }, /^invalid parameter "start"/],
      [
        "query_range",
        { query, ...range, end: "1" },
        /^invalid parameter "end": end timestamp must not be/,
      ],
      [
        "query_range",
        { query, ...range, step: "0" },
        /^invalid parameter "step": zero or negative/,
      ],
      [
        "query_range",
        { query, ...range, step: "-5" },
        /^invalid parameter "step": zero or negative/,
      ],
      ["query_range", { query, ...range, step: "1.5h" }, /^invalid parameter "step": cannot parse/],
      [
        "query_range",
        { query, start: "0", end: "11001", step: "1" },
        /^exceeded maximum resolution of 11,000 points per timeseries\. Try decreasing the query resolution \(\?step=XX\)$/,
      ],
      ["series", {}, /^no match\[\] parameter provided$/],
      ["series", { "match[]": "{" }, /^invalid parameter "match\[\]": 1:2: parse error/],
      ["labels", { start: "5", end: "1" }, /^invalid parameter "end"/],
    ];
    for (const [path, params, error] of cases)
      for (const answer of [await get(t, path, params), await post(t, path, params)]) {
        assert.equal(answer.status, 400, `${path} ${JSON.stringify(params)}: ${answer.text}`);
        const { status, errorType, error: text } = jsonOf(answer);
        assert.deepEqual([status, errorType], ["error", "bad_data"]);
        assert.match(text, error);
      }
    const label = await get(t, "label/a-b/values");
    assert.deepEqual([label.status, jsonOf(label).error], [400, 'invalid label name: "a-b"']);
    assert.equal(
      (await get(t, "query_range", { query, start: "0", end: "11000", step: "1" })).status,
      200,
    );
  });

  it("refuses bodies that are no form, not well-formed or too large", async () => {
    const send = (body: string, type = "application/x-www-form-urlencoded") =>
      t.ask("/api/v1/query", { method: "POST", headers: { "Content-Type": type }, body });
    const cases: [HttpAnswer, status: number][] = [
      [await send('{"query":"1"}', "application/json"), 415],
      [await send("query=%zz"), 400],
      [await send("query=%ff"), 400],
      [await send(`query=1&x=${"a".repeat(256 * 1024)}`), 413],
    ];
    for (const [answer, status] of cases) {
      assert.equal(answer.status, status, answer.text);
      assert.deepEqual([jsonOf(answer).status, jsonOf(answer).errorType], ["error", "bad_data"]);
    }
    assert.equal((await send(`query=1%2B1&x=${"a".repeat(200_000)}`)).status, 200);
    assert.equal(
      (await send("query=1", "application/x-www-form-urlencoded; charset=utf-8")).status,
      200,
    );
    const deleted = await t.ask("/api/v1/query", { method: "DELETE" });
    assert.deepEqual([deleted.status, deleted.headers.allow], [405, "GET, HEAD, POST"]);
  });

  it("is a read, that server.protect closes", async () => {
    await t.api.stop();
    t = await startApi({ token: "s3cret-token", protect: "all" });
    const paths = ["query", "query_range", "labels", "series", "label/node/values", "metadata"];
    for (const path of [...paths, "status/buildinfo"])
      assert.equal((await get(t, path, { query: "1" })).status, 401, path);
    assert.equal((await post(t, "query", { query: "1" })).status, 401);
    const headers = { Authorization: "Bearer s3cret-token" };
    assert.equal((await t.ask("/api/v1/query?query=1", { headers })).status, 200);
    await t.api.stop();
    t = await startApi({ token: "s3cret-token" });
    assert.equal((await post(t, "query", { query: "1" })).status, 200);
  });

  it("says that the store is away, with the reason, rather than answer in part", async () => {
    t.view.failure = new AgentError("STORE_UNAVAILABLE", "redis at 192.0.2.1 does not answer");
    const query = "targetvpc_index";
    for (const answer of [
      await post(t, "query", { query }),
      await post(t, "query_range", { query, ...range }),
      await get(t, "labels"),
      await get(t, "label/node/values"),
      await post(t, "series", { "match[]": query }),
    ]) {
      assert.equal(answer.status, 503);
      assert.deepEqual(answer.json, {
        status: "error",
        errorType: "unavailable",
        error: "redis at 192.0.2.1 does not answer",
      });
    }
    assert.equal((await post(t, "query", { query: "1+1" })).status, 200);
  });

  it("answers nothing of an error that is the agent's own fault but that", async () => {
    t.view.failure = new TypeError("x is not a function");
    const answer = await post(t, "query", { query: "targetvpc_index" });
    assert.equal(answer.status, 500);
    assert.ok(!answer.text.includes("not a function"));
    assert.ok(t.log.some((line) => line.includes("not a function")));
  });

  it("reads many series of many hours piece by piece and leaves nothing out between two", async () => {
    const keys = Array.from({ length: 30 }, (_, at) => `x${at}`);
    t.view.fill(2_161, (at) => Object.fromEntries(keys.map((key) => [key, at % 100])));
    const query = "max_over_time(targetvpc_index[10s])";
    const asked = { query, start: String(noon - 21_600), end: String(noon), step: "10" };
    const result = resultOf(await post(t, "query_range", asked));
    const expected = Array.from({ length: 2_161 }, (_, at) => [
      noon - 21_600 + at * 10,
      String(at % 100),
    ]);
    assert.equal(result.length, 30);
    for (const { values } of result) assert.deepEqual(values, expected);
    assert.ok(t.view.reads > 2, `${t.view.reads} reads`);
  });

  it("refuses what would take too much, before it reads", async () => {
    t.view.fill(2, () =>
      Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x${at}`, at])),
    );
    const tooMany = {
      query: "targetvpc_index",
      start: String(noon - 11_000),
      end: String(noon),
      step: "1",
    };
    const values = await post(t, "query_range", tooMany);
    assert.deepEqual([values.status, jsonOf(values).errorType], [422, "execution"]);
    assert.match(jsonOf(values).error, /the query takes 2200200 values, more than 2000000/);
    t.view.intervalMs = 1_000;
    const month = { query: "max_over_time(targetvpc_index[30d])" };
    const samples = jsonOf(await post(t, "query", { ...month, time: String(noon + 0.001) }));
    assert.match(samples.error, /samples, more than 20000000/);
    t.view.others = Array.from({ length: 2_000 }, (_, at) => ({
      cluster: "east",
      name: `n${at}`,
      ip: "",
      version: "",
      lastSeenMs: noonMs,
    }));
    const nodes = jsonOf(await post(t, "query", { query: "targetvpc_index" }));
    assert.match(nodes.error, /the query takes 2001 nodes, more than 2000/);
    assert.equal(t.view.reads, 0);
    assert.equal((await post(t, "query", { query: '{node="n1"}' })).status, 200);
  });

  it("gives up when the time for an answer is over", async () => {
    await t.api.stop();
    const clock = new ManualClock();
    t = await startApi({ clock });
    let open = (): void => undefined;
    t.view.gate = new Promise((resolve) => (open = resolve));
    const asked = post(t, "query", { query: "targetvpc_index", timeout: "5s" });
    assert.equal((await get(t, "query", { query: "1" })).status, 200);
    await clock.advance(6_000);
    open();
    const answer = await asked;
    assert.deepEqual([answer.status, jsonOf(answer).errorType], [503, "timeout"]);
  });

  it("answers what is asked at once in turn, and what reads nothing at once", async () => {
    let open = (): void => undefined;
    t.view.gate = new Promise((resolve) => (open = resolve));
    const asked = Array.from({ length: 6 }, () => post(t, "query", { query: '{index="cpu"}' }));
    assert.equal((await post(t, "query", { query: "1+1" })).status, 200);
    open();
    for (const answer of await Promise.all(asked)) assert.equal(resultOf(answer).length, 1);
  });

  it("stops working for a client that went away", async () => {
    let open = (): void => undefined;
    t.view.gate = new Promise((resolve) => (open = resolve));
    const leave = new AbortController();
    const address = `http://127.0.0.1:${t.port}/api/v1/query?query=targetvpc_index`;
    const asked = fetch(address, { signal: leave.signal });
    // Asked later and answered: by then the first question has been on its way.
    assert.equal((await get(t, "query", { query: "1" })).status, 200);
    leave.abort();
    await assert.rejects(asked, { name: "AbortError" });
    assert.equal((await get(t, "query", { query: "1" })).status, 200);
    open();
    t.view.gate = Promise.resolve();
    assert.equal((await get(t, "query", { query: '{index="cpu"}' })).status, 200);
    assert.equal(t.view.reads, 1, "only the one that was waited for");
  });

  it("bounds the work of regular expressions", async () => {
    const begin = performance.now();
    const nested = await post(t, "query", { query: '{node=~"((n*)*)*1",index=~"(.*.*.*)*u"}' });
    assert.equal(nested.status, 200);
    // Of each name, 64 digits that look like chance, every zero is a way of its own.
    const name = (at: number): string =>
      BigInt.asUintN(64, BigInt(at + 1) * 0x9e3779b97f4a7c15n)
        .toString(2)
        .padStart(64, "0");
    t.view.fill(1, () =>
      Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`x{y="${name(at)}"}`, 1])),
    );
    const many = Array.from({ length: 20 }, () => 'y!~"(0|1)*0(0|1){900}"').join();
    const evil = await post(t, "query", { query: `targetvpc_index{${many}}` });
    assert.deepEqual([evil.status, jsonOf(evil).errorType], [422, "execution"]);
    assert.match(jsonOf(evil).error, /regular expressions take too much work/);
    assert.ok(performance.now() - begin < 8_000);
    const huge = await post(t, "query", { query: '{node=~"((a{900}){900}){900}"}' });
    assert.deepEqual([huge.status, jsonOf(huge).errorType], [400, "bad_data"]);
    assert.match(jsonOf(huge).error, /1:8: parse error: invalid regular expression: too big/);
  });
});

describe("the API of Prometheus over a fleet in a real Redis", () => {
  // Yesterday's: a Redis forgets by its own clock.
  const noonMs = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 43_200_000;
  const noon = noonMs / 1_000;
  const names = ["node-1", "node-2", "node-3", "web.eu-1"];
  const hours = 8;
  let redis: TestRedis;
  let backend: Backend;
  let clock: ManualClock;
  let view: StoreView;
  let t: TestApi;

  const cpuOf = (name: string, slotMs: number): number =>
    Math.round(((slotMs / 10_000) * 7 + names.indexOf(name) * 13) % 1_000) / 10;

  before(async () => {
    redis = await startRedis();
    clock = new ManualClock(noonMs);
    backend = createRedisBackend(redis.settings(), {
      clock,
      log: recordLog().log,
      retentionDays: () => 7,
    });
    backend.start();
    await eventually("redis is there", () => backend.status().status === "ok");
    view = new StoreView(backend, clock, definitions);
    await view.fillFleet({
      names,
      fromMs: noonMs - hours * 3_600_000,
      toMs: noonMs,
      stepMs: 10_000,
      values: (name, slotMs) =>
        // Node 3 was off for an hour.
        name === "node-3" && slotMs > noonMs - 7_200_000 && slotMs < noonMs - 3_600_000
          ? null
          : { cpu: cpuOf(name, slotMs), 'disk{mount="/data"}': name === "node-2" ? 50 : 20 },
    });
    t = await startApi({ view, clock });
  });
  after(async () => {
    await t.api.stop();
    await backend.stop();
    await redis.stop();
  });

  it("answers for all nodes, each with its own values", async () => {
    const query = {
      query: 'targetvpc_index{index="cpu"}',
      start: String(noon - 1_800),
      end: String(noon),
      step: "60",
    };
    const result = resultOf(await post(t, "query_range", query));
    assert.deepEqual(
      result.map(({ metric }) => metric["node"]),
      names,
    );
    for (const { metric, values } of result)
      assert.deepEqual(
        values,
        Array.from({ length: 31 }, (_, at) => {
          const time = noon - 1_800 + at * 60;
          return [time, String(cpuOf(metric["node"] ?? "", time * 1_000))];
        }),
      );
  });

  it("leaves out what was not there", async () => {
    const query = {
      query: '{index="cpu",node="node-3"}',
      start: String(noon - 9_000),
      end: String(noon),
      step: "100",
    };
    const times =
      resultOf(await post(t, "query_range", query))[0]?.values.map(([time]) => noon - time) ?? [];
    // The last sample before the gap counts for five minutes.
    const expected = Array.from({ length: 91 }, (_, at) => 9_000 - at * 100).filter(
      (ago) => ago > 7_200 - 300 || ago <= 3_600,
    );
    assert.deepEqual(times, expected);
  });

  it("chooses nodes and series by their labels", async () => {
    const nodesOf = async (query: string): Promise<(string | undefined)[]> =>
      resultOf(await post(t, "query", { query })).map(({ metric }) => metric["node"]);
    assert.deepEqual(await nodesOf('{index="cpu",node=~"node-[12]"}'), ["node-1", "node-2"]);
    assert.deepEqual(await nodesOf('{index="cpu",node!~"node-.*"}'), ["web.eu-1"]);
    assert.deepEqual(await nodesOf('{mount="/data",node!="node-1"}'), names.slice(1));
    assert.deepEqual(await nodesOf('{index="cpu",cluster="west"}'), []);
    assert.deepEqual(dataOf(await get(t, "label/node/values")), names);
    assert.deepEqual(dataOf(await get(t, "label/node/values", { "match[]": '{node=~"web.*"}' })), [
      "web.eu-1",
    ]);
    assert.deepEqual(
      dataOf(
        await get(t, "label/node/values", { start: String(noon - 9e5), end: String(noon - 8e5) }),
      ),
      [],
    );
  });

  it("takes windows of many hours from buckets, and short ones from samples, with the same values", async () => {
    const average = (name: string, fromMs: number, toMs: number): number => {
      const slots = Array.from(
        { length: (toMs - fromMs) / 10_000 },
        (_, at) => fromMs + at * 10_000,
      );
      return slots.reduce((sum, slotMs) => sum + cpuOf(name, slotMs), 0) / slots.length;
    };
    const ask = async (startAgo: number): Promise<readonly (readonly [number, string])[]> => {
      const query = 'avg_over_time({index="cpu",node="node-2"}[10m])';
      const params = { query, start: String(noon - startAgo), end: String(noon), step: "600" };
      return resultOf(await post(t, "query_range", params))[0]?.values ?? [];
    };
    const close = (value: string | undefined, expected: number): void =>
      assert.ok(Math.abs(Number(value) - expected) < 1e-9, `${value} is not ${expected}`);
    const long = await ask(7 * 3_600);
    assert.equal(long.length, 43);
    for (const [time, value] of long)
      close(value, average("node-2", time * 1_000 - 600_000, time * 1_000));
    const short = await ask(3_600);
    assert.equal(short.length, 7);
    for (const [time, value] of short)
      close(value, average("node-2", time * 1_000 - 590_000, time * 1_000 + 10_000));
  });

  it("answers for its own node from memory while the store is away, with a warning, and for no other", async () => {
    await redis.kill();
    await eventually("the loss is noticed", () => backend.status().status !== "ok");
    view.append(noonMs - 10_000, { cpu: 12.3 });
    const own = await post(t, "query", { query: '{node="node-1",cluster="east"}' });
    assert.deepEqual(
      resultOf(own).map(({ value }) => value),
      [[noon, "12.3"]],
    );
    assert.match(jsonOf(own).warnings?.[0] ?? "", /^only what this agent has in memory: /);
    for (const query of ['{node="node-1"}', '{node="node-2",cluster="east"}', "targetvpc_index"]) {
      const answer = await post(t, "query", { query });
      assert.deepEqual([answer.status, jsonOf(answer).errorType], [503, "unavailable"], query);
    }
    await redis.restart();
  });
});
