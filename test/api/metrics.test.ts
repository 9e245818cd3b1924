import assert from "node:assert/strict";
import fc from "fast-check";
import { nodeId } from "../../src/core/node.ts";
import { AgentError } from "../../src/core/errors.ts";
import { csvCell, csvCells } from "../../src/base/csv.ts";
import { splitList } from "../../src/core/series.ts";
import { startApi, type HttpAnswer, type ProblemJson, type TestApi } from "../support/api.ts";
import { noonMs } from "../support/view.ts";

const noon = noonMs / 1_000;
interface SeriesRow {
  readonly timestamp: number;
  readonly metrics: Readonly<Record<string, number | null>>;
}
const paths = (answer: HttpAnswer): string[] =>
  (answer.json as ProblemJson).errors.map(({ path }) => path);
const rowsOf = (answer: HttpAnswer): SeriesRow[] => answer.json as SeriesRow[];

describe("/api/metrics", () => {
  let t: TestApi;
  const post = (body: unknown) => t.ask("/api/metrics", { method: "POST", body });
  const times = (answer: HttpAnswer): number[] => rowsOf(answer).map(({ timestamp }) => timestamp);

  beforeEach(async () => {
    t = await startApi();
    t.view.fill(720, (at) => ({ cpu: at % 100, memory: 50, disk: 70.5 }));
  });
  afterEach(() => t.api.stop());

  it("answers cpu, memory and disk of the last hour when nothing is asked for", async () => {
    for (const answer of [
      await post({}),
      await t.ask("/api/metrics", { method: "POST" }),
      await t.ask("/api/metrics"),
    ]) {
      assert.equal(answer.status, 200, answer.text);
      assert.equal(rowsOf(answer).length, 361);
      assert.equal(rowsOf(answer).at(-1)?.timestamp, noon);
      assert.deepEqual(rowsOf(answer).at(-1)?.metrics, { cpu: 19, memory: 50, disk: 70.5 });
      assert.deepEqual(
        times(answer),
        times(answer).toSorted((a, b) => a - b),
      );
    }
  });

  it("takes every form of time, in a body and in a query string", async () => {
    const forms: [start: string | number, end: string | number | null][] = [
      [noon - 60, noon],
      ["2026-01-05T11:59:00Z", "2026-01-05T12:00:00Z"],
      ["2026-01-05T19:59:00+08:00", "2026-01-05T20:00:00+08:00"],
      ["2026-01-05T11:59:00", "2026-01-05 12:00"],
      ["-1m", "now"],
      ["-60s", null],
      [String(noon - 60), String(noon)],
    ];
    for (const [start_time, end_time] of forms) {
      const inBody = await post({ start_time, end_time, indexes: ["cpu"] });
      assert.deepEqual(
        times(inBody),
        [60, 50, 40, 30, 20, 10, 0].map((ago) => noon - ago),
      );
      // Not encoded on purpose: people paste `+08:00` as it is.
      const end = end_time === null ? "" : `&end=${String(end_time).replace(" ", "%20")}`;
      const inQuery = await t.ask(`/api/metrics?index=cpu&start=${String(start_time)}${end}`);
      assert.equal(inQuery.text, inBody.text, `${String(start_time)}: ${inQuery.text}`);
    }
  });

  it("refuses times that are none, each with its path", async () => {
    const bad = [
      "",
      "yesterday",
      "2026-02-30",
      "2026-01-05T25:00:00Z",
      -1,
      true,
      [],
      {},
      noonMs,
      "1h",
    ];
    for (const start_time of bad) {
      const answer = await post({ start_time });
      assert.equal(answer.status, 400, JSON.stringify(start_time));
      assert.deepEqual(paths(answer), ["start_time"]);
    }
    const nan = await t.ask("/api/metrics", {
      method: "POST",
      body: '{"start_time":NaN}',
      headers: { "Content-Type": "application/json" },
    });
    assert.equal(nan.status, 400);
    assert.match(nan.text, /line 1, column 15/);
  });

  it("refuses a span that ends before it begins", async () => {
    for (const span of [
      { start_time: noon, end_time: noon - 10 },
      { start_time: noon, end_time: noon },
      { start_time: noon + 3600 },
    ]) {
      const answer = await post(span);
      assert.equal(answer.status, 400);
      assert.deepEqual(paths(answer), ["start_time"]);
    }
  });

  it("lists every fault of a body at once, with the nearest known key", async () => {
    const answer = await post({
      strat_time: 1,
      end_time: "x",
      indexes: ["cpuu", 7],
      step: "0s",
      aggregate: "sum",
    });
    assert.equal(answer.status, 400);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.deepEqual(paths(answer).toSorted(), [
      "aggregate",
      "end_time",
      "indexes[0]",
      "indexes[1]",
      "step",
      "strat_time",
    ]);
    assert.match(answer.text, /did you mean \\"start_time\\"/);
  });

  it("lists the known indexes to who asks for an unknown one", async () => {
    const answer = await post({ indexes: ["frobs"] });
    assert.equal(answer.status, 400);
    for (const { name } of t.view.definitions) assert.ok(answer.text.includes(name), name);
    assert.match((await post({ indexes: ['cpu{mount="/"}'] })).text, /no label/);
    assert.equal((await post({ indexes: [] })).status, 400);
    assert.equal((await post({ indexes: ["disk{mount=}"] })).status, 400);
    assert.equal((await t.ask("/api/metrics?index=")).status, 400);
    assert.equal((await t.ask("/api/metrics?index=cpu,,memory")).status, 400);
  });

  it("leaves gaps out and shows missing values as null", async () => {
    t.view.fill(4, (at) => ({ cpu: at === 1 ? null : at, memory: 5 }));
    t.view.rows.get("east/node-1")?.splice(2, 1);
    const answer = await t.ask("/api/metrics?index=cpu,disk&start=-1m");
    assert.deepEqual(answer.json, [
      { timestamp: noon - 30, metrics: { cpu: 0, disk: null } },
      { timestamp: noon - 20, metrics: { cpu: null, disk: null } },
      { timestamp: noon, metrics: { cpu: 3, disk: null } },
    ]);
  });

  it("writes what is no finite number as null", async () => {
    t.view.fill(2, (at) => ({ cpu: at === 0 ? Number.NaN : Number.POSITIVE_INFINITY }));
    const answer = await t.ask("/api/metrics?index=cpu&start=-1m");
    assert.deepEqual(
      rowsOf(answer).map(({ metrics }) => metrics.cpu),
      [null, null],
    );
  });

  it("does not split a list inside braces, and takes repeated names", async () => {
    t.view.fill(3, () => ({ cpu: 1, 'disk{mount="/a,b}"}': 2, 'disk{mount="/c"}': 3, disk: 4 }));
    const odd = encodeURIComponent('disk{mount="/a,b}"},cpu');
    const answer = await t.ask(`/api/metrics?index=${odd}&index=cpu&start=-5s`);
    assert.deepEqual(answer.json, [
      { timestamp: noon, metrics: { 'disk{mount="/a,b}"}': 2, cpu: 1 } },
    ]);
    const all = await t.ask("/api/metrics?index=disk%7B*%7D&start=-5s");
    assert.deepEqual(Object.keys(rowsOf(all)[0]?.metrics ?? {}), [
      "disk",
      'disk{mount="/a,b}"}',
      'disk{mount="/c"}',
    ]);
  });

  it("puts samples into buckets aligned to the step, without the missing ones", async () => {
    t.view.fill(13, (at) => ({ cpu: at === 3 ? null : at }));
    const ask = (aggregate: string): Promise<HttpAnswer> =>
      post({ indexes: ["cpu"], start_time: noon - 120, step: 60, aggregate });
    assert.deepEqual(times(await ask("avg")), [noon - 120, noon - 60, noon]);
    const values = async (aggregate: string) =>
      rowsOf(await ask(aggregate)).map(({ metrics }) => metrics.cpu);
    assert.deepEqual(await values("avg"), [2.4, 8.5, 12]);
    assert.deepEqual(await values("min"), [0, 6, 12]);
    assert.deepEqual(await values("max"), [5, 11, 12]);
    assert.deepEqual(await values("last"), [5, 11, 12]);
    const query = await t.ask(`/api/metrics?index=cpu&start=${noon - 115}&step=1m`);
    assert.deepEqual(times(query), [noon - 120, noon - 60, noon]);
  });

  it("shows a bucket of missing values as null, and skips one without samples", async () => {
    t.view.fill(18, (at) => ({ cpu: at < 6 ? null : 1 }));
    const rows = t.view.rows.get("east/node-1")!;
    t.view.rows.set(
      "east/node-1",
      rows.filter((_, at) => at < 5 || at > 11),
    );
    const answer = await post({ indexes: ["cpu"], start_time: noon - 170, step: "1m" });
    assert.deepEqual(answer.json, [
      { timestamp: noon - 180, metrics: { cpu: null } },
      { timestamp: noon - 60, metrics: { cpu: 1 } },
      { timestamp: noon, metrics: { cpu: 1 } },
    ]);
  });

  it("refuses steps that are no whole seconds", async () => {
    for (const step of [0, -5, 0.5, 1.5, "500ms", "soon", 1e12, true, []])
      assert.deepEqual(paths(await post({ step })), ["step"], JSON.stringify(step));
  });

  it("finds another node by its name, and says when there is none or several", async () => {
    const other = (cluster: string, name: string) => ({
      cluster,
      name,
      ip: "192.0.2.11",
      version: "1",
      lastSeenMs: noonMs,
    });
    t.view.others = [other("east", "node-2"), other("east", "twin"), other("west", "twin")];
    t.view.rows.set("west/twin", [{ slotMs: noonMs, values: new Map([["cpu", 77]]) }]);
    assert.equal((await post({ node: "node-2" })).text, "[]");
    assert.equal((await post({ node: "nobody" })).status, 404);
    const several = await post({ node: "twin" });
    assert.equal(several.status, 409);
    assert.match(several.text, /east\/twin, west\/twin/);
    const found = await t.ask("/api/metrics?node=west/twin&index=cpu");
    assert.deepEqual(found.json, [{ timestamp: noon, metrics: { cpu: 77 } }]);
  });

  it("knows its own name without the store", async () => {
    t.view.nodes = () =>
      Promise.reject(new AgentError("STORE_UNAVAILABLE", "redis did not answer"));
    assert.equal((await post({ node: "node-1" })).status, 200);
    assert.equal((await post({ node: nodeId(t.view.node) })).status, 200);
    assert.equal((await post({ node: "node-2" })).status, 503);
  });

  it("gives CSV to who prefers it", async () => {
    t.view.fill(2, (at) => ({ cpu: at === 0 ? null : 1.5, 'disk{mount="/a,\\"b"}': -3 }));
    const index = encodeURIComponent('disk{mount="/a,\\"b"}');
    const path = `/api/metrics?start=-1m&index=cpu&index=${index}`;
    const answer = await t.ask(path, { headers: { Accept: "text/csv" } });
    assert.match(answer.headers["content-type"] ?? "", /^text\/csv/);
    assert.equal(
      answer.text,
      `timestamp,cpu,"disk{mount=""/a,\\""b""}"\r\n${noon - 10},,-3\r\n${noon},1.5,-3\r\n`,
    );
    const type = async (Accept: string) =>
      (await t.ask(path, { headers: { Accept } })).headers["content-type"]?.split(";")[0];
    assert.equal(await type("application/json;q=0.5, text/csv;q=0.9"), "text/csv");
    assert.equal(await type("application/json, text/csv;q=0.9"), "application/json");
    assert.equal(await type("*/*"), "application/json");
    assert.equal(await type("text/csv;q=0, */*"), "application/json");
    assert.equal(await type("image/png"), "application/json");
    assert.equal(await type(";;,;q=banana"), "application/json");
  });

  it("answers a week of three series as 60,480 rows", async () => {
    t.view.fill(60_480, (at) => ({ cpu: at % 7, memory: 1.5, disk: 2 }));
    const answer = await t.ask("/api/metrics?start=-7d");
    assert.equal(answer.status, 200);
    assert.equal(rowsOf(answer).length, 60_480);
    assert.ok(t.view.reads <= 3, `${t.view.reads} reads`);
    const distinct = new Set(times(answer));
    assert.equal(distinct.size, 60_480);
    const csv = await t.ask("/api/metrics?start=-7d", { headers: { Accept: "text/csv" } });
    assert.equal(csv.text.split("\r\n").length, 60_482);
    const hours = await t.ask("/api/metrics?start=-7d&step=1h");
    assert.equal(rowsOf(hours).length, 169);
    const head = await t.ask("/api/metrics?start=-7d", { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.text, "");
  });

  it("refuses an answer that would be too big, and says what to change", async () => {
    t.view.intervalMs = 1_000;
    t.view.keptDays = 90;
    const answer = await post({ start_time: "-90d" });
    assert.equal(answer.status, 400);
    assert.match(answer.text, /more than 2000000/);
    assert.equal(t.view.reads, 0);
    const samples = { start_time: "-90d", step: "1h", aggregate: "last" };
    const read = await post(samples);
    assert.match(read.text, /more than 20000000/);
    assert.equal((await post({ start_time: "-90d", step: "1h" })).status, 200, "from aggregates");
    t.view.intervalMs = 10_000;
    assert.equal((await post(samples)).status, 200);
  });

  it("answers 400 days of buckets from aggregates, and counts these as what is read", async () => {
    t.view.tierRetentionDays = () => 400;
    t.view.intervalMs = 1_000;
    const old = { slotMs: (noon - 399 * 86_400) * 1_000, values: new Map([["cpu", 7]]) };
    t.view.rows.set(nodeId(t.view.node), [old]);
    const answer = await post({ indexes: ["cpu"], start_time: "-400d", step: "1d" });
    assert.deepEqual(rowsOf(answer)[0]?.metrics, { cpu: 7 });
    const indexes = Array.from({ length: 180 }, (_, disk) => `disk{mount="/${disk}"}`);
    const many = await post({ indexes, start_time: "-400d", step: "1d" });
    assert.match(many.text, /20736\d+ samples would have to be read/);
  });

  it("does not read what cannot be there", async () => {
    for (const span of [
      { start_time: 0 },
      { start_time: "1970-01-01", end_time: "1971-01-01" },
      { start_time: noon, end_time: noon + 9e9 },
      { start_time: noon + 9e9, end_time: noon + 9.1e9 },
    ]) {
      t.view.reads = 0;
      const answer = await post(span);
      assert.equal(answer.status, 200, answer.text);
      assert.ok(t.view.reads <= 2, JSON.stringify(span));
    }
  });

  it("cuts the connection when the store fails halfway", async () => {
    t.view.keptDays = 30;
    t.view.fill(100_000, () => ({ cpu: 1, memory: 1, disk: 1 }));
    const readSeries = t.view.readSeries.bind(t.view);
    let reads = 0;
    t.view.readSeries = (query) =>
      ++reads > 1 ? Promise.reject(new AgentError("STORE_UNAVAILABLE", "gone")) : readSeries(query);
    await assert.rejects(t.ask("/api/metrics?start=-11d"), /aborted|ECONNRESET/);
    assert.equal((await t.ask("/health")).status, 200);
  });

  it("writes every value exactly, however many different ones there are", async () => {
    t.view.fill(10_000, (at) => ({
      cpu: Math.sin(at) * 1e9,
      memory: at % 3 === 0 ? null : -at / 7,
    }));
    const answer = await t.ask("/api/metrics?start=-2d&index=cpu,memory");
    const expected = t.view.rows.get("east/node-1")!.map(({ slotMs, values }) => ({
      timestamp: slotMs / 1_000,
      metrics: Object.fromEntries(values),
    }));
    assert.deepEqual(answer.json, expected);
  });

  it("splits lists so that joining them gives them back", () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const label = fc
      .string({ maxLength: 8 })
      .map((value) => `x{m="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"}`);
    fc.assert(
      fc.property(fc.array(fc.oneof(name, label), { minLength: 1 }), (names) => {
        assert.deepEqual(splitList(names.join(",")), names);
      }),
    );
  });

  it("writes CSV cells that no spreadsheet runs and every reader gets back", () => {
    assert.equal(csvCell("=1+1"), "'=1+1");
    assert.equal(csvCell('a"b'), '"a""b"');
    fc.assert(
      fc.property(fc.string(), (text) => {
        const cell = csvCell(text);
        assert.doesNotMatch(cell, /^"?[=+\-@\t\r]/);
        const content = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
        assert.ok(content === text || content === `'${text}`);
        if (!cell.startsWith('"')) assert.doesNotMatch(cell, /[",\r\n]/);
      }),
    );
    const texts = fc.array(fc.string().map(csvCell), { minLength: 1 });
    fc.assert(
      fc.property(texts, (cells) => {
        assert.deepEqual(csvCells(cells.join(",")).map(csvCell), cells);
      }),
    );
  });
});
