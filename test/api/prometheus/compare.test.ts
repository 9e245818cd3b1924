import assert from "node:assert/strict";
import fc from "fast-check";
import { exposedLabels } from "../../../src/core/exposed.ts";
import { formatLabels, type SeriesKey } from "../../../src/core/series.ts";
import { createMemoryBackend } from "../../../src/store/memory/index.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { ManualClock } from "../../support/clock.ts";
import { startPrometheus, type TestPrometheus } from "../../support/prometheus.ts";
import { definitions } from "../../support/store.ts";
import { StoreView } from "../../support/store-view.ts";
import { noonMs } from "../../support/view.ts";

const noon = noonMs / 1_000;
const program = process.env["PROMETHEUS"];
const names = ["node-1", "node-2", "web.eu-1"];
const hours = 9;
const plan = {
  names,
  fromMs: noonMs - hours * 3_600_000,
  toMs: noonMs,
  stepMs: 10_000,
  /** Gaps of some minutes, missing values, and a node that came late. */
  values: (name: string, slotMs: number): Record<SeriesKey, number | null> | null => {
    const slot = slotMs / 10_000;
    const at = names.indexOf(name);
    if (slot % 700 < 90 * at) return null;
    return {
      cpu: slot % 37 === 0 ? null : Math.round((Math.sin(slot / 50 + at) + 1) * 500) / 10,
      disk: 40 + at,
      ...(at === 1 && slotMs < noonMs - 4 * 3_600_000
        ? {}
        : { 'disk{mount="/data"}': ((slot * 7) % 1_000) / 10 }),
    };
  },
};

interface Answer {
  readonly status: number;
  readonly json: unknown;
}
interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}
type Params = Readonly<Record<string, string>>;

/** The same samples for a Prometheus. */
function openMetrics(): string {
  const lines = new Map<string, string[]>();
  for (const name of plan.names)
    for (let slotMs = plan.fromMs; slotMs <= plan.toMs; slotMs += plan.stepMs)
      for (const [key, value] of Object.entries(plan.values(name, slotMs) ?? {})) {
        const labels = formatLabels(exposedLabels({ cluster: "east", name }, key));
        const series = lines.get(labels) ?? [];
        lines.set(labels, series);
        if (value !== null) series.push(`targetvpc_index{${labels}} ${value} ${slotMs / 1_000}\n`);
      }
  return `# TYPE targetvpc_index gauge\n${[...lines.values()].flat().join("")}# EOF\n`;
}

/** By their labels; a scalar is a series without any. */
function seriesOf({ json }: Answer): Map<string, Series> {
  const { data } = json as { data: { resultType: string; result: unknown } };
  if (data.resultType === "scalar")
    return new Map([["", { metric: {}, value: data.result as readonly [number, string] }]]);
  return new Map(
    (data.result as Series[]).map((series) => [
      JSON.stringify(series.metric, Object.keys(series.metric).sort()),
      series,
    ]),
  );
}

/** Says what is not the same; times are, values may differ by their last digits. */
function assertSame(ours: Answer, theirs: Answer, what: string, theirShift = 0): number {
  assert.equal(ours.status, theirs.status, `${what}: ${JSON.stringify([ours.json, theirs.json])}`);
  if (ours.status !== 200) return 0;
  const [mine, yours] = [seriesOf(ours), seriesOf(theirs)];
  assert.deepEqual([...mine.keys()].sort(), [...yours.keys()].sort(), what);
  let compared = 0;
  for (const [metric, series] of mine) {
    const valuesOf = ({ value, values }: Series) => values ?? (value === undefined ? [] : [value]);
    const theirValues = valuesOf(yours.get(metric) ?? { metric: {} });
    assert.deepEqual(
      valuesOf(series).map(([time]) => time),
      theirValues.map(([time]) => time + theirShift),
      `${what} ${metric}`,
    );
    for (const [at, [time, value]] of valuesOf(series).entries()) {
      const [a = 0, b = 0] = [value, theirValues[at]?.[1]].map((text) =>
        Number(text?.replace("Inf", "Infinity")),
      );
      const close = Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));
      assert.ok(close, `${what} ${metric} at ${time}: ${value}, there ${theirValues[at]?.[1]}`);
      compared++;
    }
  }
  return compared;
}

if (program === undefined)
  describe("answers beside a real Prometheus", () => {
    it("are compared only where PROMETHEUS names its program, with promtool beside it", () => {
      assert.equal(process.env["PROMETHEUS"], undefined);
    });
  });
else
  describe("answers beside a real Prometheus", function () {
    this.timeout(120_000);
    let t: TestApi;
    let prometheus: TestPrometheus;

    before(async () => {
      const clock = new ManualClock();
      const view = new StoreView(createMemoryBackend({ clock }), clock, definitions);
      await view.fillFleet(plan);
      t = await startApi({ view, clock });
      prometheus = await startPrometheus(program, openMetrics());
    });
    after(async () => {
      await prometheus.stop();
      await t.api.stop();
    });

    const ours = (path: string, params: Params): Promise<Answer> =>
      t.ask(path, {
        method: "POST",
        headers: { "Content-Type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(params).toString(),
      });
    /** Asks for the same of a Prometheus whose windows have their beginning in them. */
    const theirs = (path: string, params: Params): Promise<Answer> => {
      const query = prometheus.closedWindows
        ? params["query"]?.replace(
            /\[(\d+)s\]/,
            (_, seconds) => `[${Number(seconds) * 1_000 - 1}ms]`,
          )
        : params["query"];
      return prometheus.ask(
        path,
        new URLSearchParams(query === undefined ? params : { ...params, query }),
      );
    };
    const compare = async (path: string, params: Params): Promise<number> =>
      assertSame(await ours(path, params), await theirs(path, params), JSON.stringify(params));

    it("are the same for selectors, windows, numbers and mistakes", async () => {
      const queries = [
        "targetvpc_index",
        'targetvpc_index{index="cpu"}',
        '{__name__="targetvpc_index",mount!=""}',
        'targetvpc_index{node=~"node-.",index!~"d.*"}',
        'targetvpc_index{mount="",index="disk"}',
        'targetvpc_index{node=~"web\\\\.eu-1|node-2"}',
        'targetvpc_index{node=~"web"}',
        '{index=~"c(pu|at)"}',
        "up",
        "avg_over_time(targetvpc_index[300s])",
        'max_over_time({index="cpu"}[60s])',
        'min_over_time({index="cpu",node!=""}[3600s])',
        "avg_over_time(targetvpc_index[10s])",
        "avg_over_time(targetvpc_index[15s])",
        "1+1",
        "(2+3)*-4/8 - .5e1",
        "1/0",
        "-1/0",
        "0/0",
        "targetvpc_index{",
        "targetvpc_index[",
        "{}",
        '{index=~".*"}',
        'targetvpc_index{index=~"("}',
        "",
      ];
      const times = [noon, noon - 3, noon - 7_000.5, noon + 295, noon + 300, noon + 5_000, 4];
      let compared = 0;
      for (const query of queries) {
        for (const time of times)
          compared += await compare("/api/v1/query", { query, time: String(time) });
        for (const [start, end, step] of [
          [noon - 3_600, noon, "60"],
          [noon - 7_200, noon + 900, "15s"],
          [noon - 20_000.5, noon - 3_000, "7m"],
          [noon - 86_400, noon, "1h"],
        ] as const)
          // Windows of a day come from buckets, see below.
          if (step !== "1h" || !query.includes("_over_time"))
            compared += await compare("/api/v1/query_range", {
              query,
              start: String(start),
              end: String(end),
              step,
            });
      }
      assert.ok(compared > 20_000, `${compared} values`);
    });

    it("are the same for any selector, window, time and step", async () => {
      const selector = fc.constantFrom(
        'targetvpc_index{index="cpu"}',
        'targetvpc_index{mount="/data"}',
        'targetvpc_index{node="node-2"}',
        'targetvpc_index{node!~"node-1|node-2"}',
      );
      const fn = fc.constantFrom("", "avg_over_time", "max_over_time", "min_over_time");
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            selector,
            fn,
            range: fc.integer({ min: 1, max: 4_000 }),
            offset: fc.integer({ min: -17_000, max: 600 }),
            step: fc.integer({ min: 1, max: 900 }),
            more: fc.integer({ min: 0, max: 60 }),
          }),
          async ({ selector, fn, range, offset, step, more }) => {
            const query = fn === "" ? selector : `${fn}(${selector}[${range}s])`;
            const start = noon + offset;
            const end = Math.min(start + more * step, start + 17_000);
            const params = { query, start: String(start), end: String(end), step: String(step) };
            await compare("/api/v1/query_range", params);
          },
        ),
        { numRuns: 300 },
      );
    });

    it("are the same from buckets, of which the end and not the beginning is left out", async () => {
      for (const fn of ["avg", "max", "min"])
        for (const [rangeS, step] of [
          [300, 300],
          [600, 1_800],
          [3_600, 900],
        ] as const) {
          const query = `${fn}_over_time(targetvpc_index[${rangeS}s])`;
          const ask = (shift: number) => ({
            query,
            start: String(noon - 8 * 3_600 + shift),
            end: String(noon - 3_600 + shift),
            step: String(step),
          });
          // Samples lie ten seconds apart: [t − r, t) and (t − 10 s − r, t − 10 s] hold the same.
          const answer = await ours("/api/v1/query_range", ask(0));
          const there = await theirs("/api/v1/query_range", ask(-10));
          assert.ok(assertSame(answer, there, query, 10) > 100);
        }
    });

    it("list the same labels, values and series", async () => {
      const span = { start: String(noon - 3_600), end: String(noon) };
      const dataOf = ({ json }: Answer): unknown => (json as { data: unknown }).data;
      for (const match of ["targetvpc_index", '{mount!=""}', '{node=~"web.*"}', "up"]) {
        const params = { ...span, "match[]": match };
        assert.deepEqual(
          dataOf(await ours("/api/v1/labels", params)),
          dataOf(await theirs("/api/v1/labels", params)),
        );
        const sorted = (answer: Answer): string[] =>
          (dataOf(answer) as Record<string, string>[])
            .map((labels) => JSON.stringify(labels, Object.keys(labels).sort()))
            .sort();
        assert.deepEqual(
          sorted(await ours("/api/v1/series", params)),
          sorted(await theirs("/api/v1/series", params)),
        );
      }
      for (const params of [
        { ...span, query: "up", step: "0" },
        { ...span, query: "up", step: "x" },
        { ...span, query: "up", step: "1", end: "1" },
        { ...span, query: "up", step: "1", start: "x" },
        { query: "up", start: "0", end: "11001", step: "1" },
        { query: "up", start: "0", end: "11000", step: "1" },
      ])
        await compare("/api/v1/query_range", params);
    });
  });
