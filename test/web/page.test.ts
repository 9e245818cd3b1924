import assert from "node:assert/strict";
import fc from "fast-check";
import { createRedactor, Secret } from "../../src/base/secret.ts";
import { markup } from "../../src/web/html.ts";
import { spanText, valueText } from "../../src/web/format.ts";
import { pageModel } from "../../src/web/model.ts";
import { createPage, renderPage } from "../../src/web/page.ts";
import { resample, sparkline } from "../../src/web/sparkline.ts";
import { words } from "../../src/web/words.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { ManualClock } from "../support/clock.ts";
import { channel, incident, MemoryView, noonMs, receipt, rule, status } from "../support/view.ts";

describe("the status page", () => {
  let view: MemoryView;
  const render = async (language: "en" | "zh-CN" = "en"): Promise<string> =>
    renderPage(await pageModel(view, noonMs), language);

  beforeEach(() => {
    view = new MemoryView();
    view.fill(360, (at) => ({
      cpu: at % 100,
      'disk{mount="/data"}': 88.8,
      net_receive: 2_500_000,
      load1: null,
    }));
  });

  it("shows values with their last hour, alerts, sources, channels and failures", async () => {
    view.incidentList = [
      incident({ acknowledgedBy: "li", flapping: true, noData: true }),
      incident({
        id: "alert-2",
        rule: "disk-full",
        status: "resolved",
        endedAtMs: noonMs - 60_000,
      }),
    ];
    view.mute = { reason: "quiet_hours", id: "nights" };
    view.parts = { collect: status("degraded", "temperature: no sensor") };
    view.sourceList = [
      { source: "admin", status: status("down", "502"), revision: "etag-7", rules: 3, channels: 2 },
    ];
    view.channelList = [channel(), channel({ name: "spare", enabled: false })];
    view.receiptList = [receipt({ outcome: "refused", code: "19021", message: "sign mismatch" })];
    const page = await render();
    for (const text of [
      "59.0 %",
      "88.8 %",
      "2.5 MB/s",
      "cpu-high",
      "quiet hours (nights), flapping, no data, acknowledged by li",
      "disk-full",
      "Ended lately",
      "temperature: no sensor",
      "etag-7",
      "502",
      "ops",
      "switched off",
      "19021 sign mismatch",
      'href="/metrics"',
      'href="/api/alerts/alert-1"',
      'http-equiv="refresh" content="30"',
    ])
      assert.ok(page.includes(text), text);
    assert.equal(page.match(/<svg/g)?.length, 3);
    assert.match(page, /^<!doctype html>\n<html lang="en">/);
  });

  it("shows an alert of others without a value", async () => {
    const { subject } = incident({ index: "HighLatency", rule: "HighLatency" });
    view.incidentList = [
      incident({
        subject: { ...subject, unit: "", operator: null },
        value: null,
        threshold: null,
        peak: null,
      }),
    ];
    const page = await render();
    assert.ok(page.includes("HighLatency"));
    assert.doesNotMatch(page, /null|undefined|NaN|peak/);
  });

  it("holds no script, no handler and nothing that is loaded from anywhere", async () => {
    const page = await render();
    assert.doesNotMatch(
      page,
      /<script|<link|<img|<iframe|javascript:|\son\w+=|url\(|@import|https?:/i,
    );
  });

  it("escapes whatever anybody named something", async () => {
    const hostile = `<script>alert("x")</script>'"><img src=x onerror=alert(1)>&amp;`;
    view.node = { cluster: hostile, name: hostile, ip: hostile };
    view.version = hostile;
    view.definitions.push({ name: "evil", unit: hostile, decimals: 0, labels: [], help: hostile });
    view.fill(3, () => ({ evil: 1, cpu: 2 }));
    const { subject } = incident({ rule: hostile, index: hostile });
    const labels = { [hostile]: hostile };
    view.incidentList = [
      incident({
        id: hostile,
        acknowledgedBy: hostile,
        subject: { ...subject, labels, unit: hostile },
      }),
      incident({ id: "\ud800", rule: hostile, status: "resolved", endedAtMs: noonMs }),
    ];
    view.parts = { [hostile]: status("down", hostile) };
    view.sourceList = [
      { source: hostile, status: status("ok", hostile), revision: hostile, rules: 1, channels: 1 },
    ];
    view.channelList = [
      channel({ name: hostile, type: hostile }, { status: status("down", hostile) }),
      channel({ name: "\udfff" }),
    ];
    view.receiptList = [receipt({ channel: hostile, code: hostile, message: hostile })];
    view.ruleList = [rule({ name: hostile })];
    for (const language of ["en", "zh-CN"] as const) {
      const page = await render(language);
      assert.doesNotMatch(page, /<script|<img|"x"/);
      assert.doesNotMatch(page, /=[^"'>\s]*'"&gt;/);
      assert.ok(page.includes("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"));
      assert.ok(page.includes("&amp;amp;"));
    }
  });

  it("escapes every text, so that it comes out as it went in", () => {
    const unescape = (text: string): string =>
      text
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&quot;", '"')
        .replaceAll("&#39;", "'")
        .replaceAll("&amp;", "&");
    fc.assert(
      fc.property(fc.string(), (text) => {
        const escaped = markup`${text}`.text;
        assert.doesNotMatch(escaped, /[<>"']/);
        assert.equal(unescape(escaped), text);
      }),
    );
  });

  it("says what it cannot get instead of failing, with secrets masked", async () => {
    view.failure = new Error("redis://:hunter2@redis did not answer");
    const redactor = createRedactor();
    redactor.learn(new Secret("hunter2"));
    const page = await createPage({ view, clock: new ManualClock(), redactor })("en");
    assert.equal(page.match(/not available: redis:\/\/:\*\*\*@redis/g)?.length, 3);
    assert.doesNotMatch(page, /hunter2/);
    assert.ok(page.includes("59.0 %"), "the last sample is known without the store");
  });

  it("is complete before the first sample and without channels", async () => {
    view.rows.clear();
    view.channelList = [];
    view.isReady = false;
    const page = await render();
    for (const text of [
      "No sample yet.",
      "No channel is configured",
      "not ready",
      "Nothing is firing.",
    ])
      assert.ok(page.includes(text), text);
  });

  it("shows so many series and counts the rest", async () => {
    view.fill(2, () =>
      Object.fromEntries(
        Array.from({ length: 75 }, (_, at) => [`net_receive{interface="eth${at}"}`, at]),
      ),
    );
    const page = await render();
    assert.equal(page.match(/class="tile"/g)?.length, 60);
    assert.ok(page.includes("15 more at /api/metrics"));
  });

  it("has the same words in both languages", () => {
    assert.deepEqual(Object.keys(words["zh-CN"]), Object.keys(words.en));
  });

  it("writes durations and values as people do", () => {
    const span = (ms: number, most = 2): string => spanText(ms, words.en.units, most);
    assert.deepEqual(
      [0, -5, 999, 61_000, 3_600_000, 3_605_000, 93_600_000].map((ms) => span(ms)),
      ["0 s", "0 s", "0 s", "1 min 1 s", "1 h", "1 h 5 s", "1 d 2 h"],
    );
    assert.equal(span(3_700_000, 1), "1 h");
    assert.deepEqual(
      [
        valueText(12.34, "%", 1),
        valueText(3, "", 0),
        valueText(999, "B/s", 0),
        valueText(-1_500, "B/s", 0),
        valueText(2.5e15, "B/s", 0),
      ],
      ["12.3 %", "3", "999 B/s", "-1.5 kB/s", "2500.0 TB/s"],
    );
  });

  describe("its sparklines", () => {
    it("average what falls into a part and leave empty parts out", () => {
      const samples = { timesMs: Float64Array.of(0, 10, 20, 90, 100), values: [1, 3, null, 5, 7] };
      assert.deepEqual(resample(samples, { fromMs: 0, toMs: 100 }, 5), [2, null, null, null, 6]);
    });

    it("break where values are missing, and are not there without any", () => {
      assert.equal(sparkline([null, null], "%", "x").text, "");
      const { text } = sparkline([0, 50, null, 100], "%", "x");
      assert.match(text, /d="M0\.0 23\.0h\.5L40\.0 12\.0M120\.0 1\.0h\.5"/);
    });

    it("stay inside their box and hold only numbers, whatever the values", () => {
      fc.assert(
        fc.property(
          fc.array(fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })), {
            maxLength: 30,
          }),
          fc.constantFrom("%", "B/s"),
          (spark, unit) => {
            const { text } = sparkline(spark, unit, "x");
            const path = /d="([^"]*)"/.exec(text)?.[1] ?? "";
            assert.doesNotMatch(path, /NaN|Infinity/);
            for (const [, x = "", y = ""] of path.matchAll(/[ML](\S+) ([\d.-]+)/g))
              assert.ok(
                Number(x) >= 0 && Number(x) <= 120 && Number(y) >= 1 && Number(y) <= 23,
                path,
              );
          },
        ),
      );
    });
  });
});

describe("GET /", () => {
  let t: TestApi;
  beforeEach(async () => {
    t = await startApi();
  });
  afterEach(() => t.api.stop());

  it("is a page that may run nothing", async () => {
    const answer = await t.ask("/");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "text/html; charset=utf-8");
    const policy = String(answer.headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /script-src|\*/);
    assert.equal(answer.headers["referrer-policy"], "no-referrer");
  });

  it("speaks the language the browser asks for", async () => {
    const language = async (header: string): Promise<string | undefined> =>
      /<html lang="([^"]+)"/.exec(
        (await t.ask("/", { headers: { "Accept-Language": header } })).text,
      )?.[1];
    assert.equal(await language("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN");
    assert.equal(await language("zh"), "zh-CN");
    assert.equal(await language("zh-TW,zh;q=0.9"), "zh-CN");
    assert.equal(await language("en-US,en;q=0.9,zh;q=0.1"), "en");
    assert.equal(await language("de"), "en");
    assert.equal(await language("*"), "en");
  });
});
