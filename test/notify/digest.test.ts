import assert from "node:assert/strict";
import fc from "fast-check";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Digest, DigestItem, Language } from "../../src/core/delivery.ts";
import { levels, type Level } from "../../src/core/rule.ts";
import { dingtalkBody } from "../../src/notify/dingtalk.ts";
import { renderDigest } from "../../src/notify/digest.ts";
import { feishuBody } from "../../src/notify/feishu.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { composeDigest } from "../../src/notify/mail.ts";
import { fitRows, type Rendered } from "../../src/notify/render.ts";
import { slackBody } from "../../src/notify/slack.ts";
import { wecomBody } from "../../src/notify/wecom.ts";
import { startDingtalk, startFeishu, startSlack, startWecom } from "../support/robots.ts";
import { message, openChannel, spec, startMs } from "./kit.ts";

const publicUrl = "https://alerts.example";

interface One {
  readonly node: string;
  readonly level?: Level;
  readonly rule?: string;
  readonly over?: boolean;
  readonly first?: boolean;
  readonly value?: number;
  readonly mount?: string;
  readonly cluster?: string;
}

function item({
  node,
  level = "warning",
  rule = "cpu-high",
  over,
  first,
  value = over === true ? 12 : 90,
  mount,
  cluster = "prod",
}: One): DigestItem {
  const subject = {
    rule,
    node: { cluster, name: node, ip: "192.0.2.1" },
    labels: mount === undefined ? {} : { mount },
  };
  const about = { id: `alert-${rule}-${cluster}-${node}-${mount ?? ""}`, level, value, subject };
  const news =
    over === true
      ? message("resolved", { ...about, status: "resolved", endedAtMs: startMs + 120_000 })
      : message("firing", about);
  return { message: { ...news, publicUrl }, isFirst: first ?? over !== true };
}

function digest(items: readonly One[]): Digest {
  return { id: "digest-1", atMs: startMs, items: items.map(item), publicUrl };
}

function names(count: number, bytes = 8): string[] {
  return Array.from({ length: count }, (_, at) => `n${String(at).padStart(bytes - 1, "0")}`);
}

/** What a body of each robot says, as it stands in it. */
const bodies: Readonly<Record<string, { maxBytes: number; body: (of: Rendered) => string }>> = {
  feishu: {
    maxBytes: 20_000,
    body: (of) => feishuBody(of, settingsOf("feishu") as Parameters<typeof feishuBody>[1], startMs),
  },
  dingtalk: {
    maxBytes: 20_000,
    body: (of) => dingtalkBody(of, settingsOf("dingtalk") as Parameters<typeof dingtalkBody>[1]),
  },
  wecom: {
    maxBytes: 4_400,
    body: (of) => wecomBody(of, settingsOf("wecom") as Parameters<typeof wecomBody>[1]),
  },
  slack: {
    maxBytes: 4_400,
    body: (of) => slackBody(of, settingsOf("slack") as Parameters<typeof slackBody>[1]),
  },
};

function settingsOf(type: string): unknown {
  const { example } = channelPlugins.find((plugin) => plugin.type === type) ?? {};
  return spec({ ...example }).settings;
}

describe("a digest", () => {
  it("of one rule says how many and which is worst", () => {
    const some = names(12).map((node, at) => ({ node, value: 80 + at }));
    const { title, tone, rows, links } = renderDigest(digest(some), "en");
    assert.equal(title, "[WARNING] cpu-high: 12 nodes, worst n0000011 91 %");
    assert.equal(tone, "warning");
    assert.deepEqual(
      rows.map(({ value }) => value),
      [
        "[WARNING] cpu-high: 12 nodes",
        ...Array.from(
          { length: 10 },
          (_, at) => `n${String(11 - at).padStart(7, "0")} ${91 - at} %`,
        ),
        "n0000001, n0000000",
      ],
    );
    assert.deepEqual(links, [{ label: "All alerts", url: "https://alerts.example/" }]);
    assert.equal(
      renderDigest(digest(some), "zh-CN").title,
      "[警告] cpu-high：12 个节点，最严重 n0000011 91 %",
    );
  });

  it("of several says what there is, what is critical first and what is over last", () => {
    const { title, tone, rows } = renderDigest(
      digest([
        { node: "a", over: true, value: 12 },
        { node: "b" },
        { node: "c", rule: "disk-full", level: "critical", mount: "/data" },
        { node: "c", rule: "disk-full", level: "critical", mount: "/" },
        { node: "d", over: true, first: true },
      ]),
      "en",
    );
    assert.equal(title, "[CRITICAL] 5 alerts on 4 nodes: 2 CRITICAL, 1 WARNING, 2 RESOLVED");
    assert.equal(tone, "critical");
    assert.deepEqual(
      rows.map(({ value }) => value),
      [
        "[CRITICAL] disk-full: 2 alerts on 1 node",
        "c / 90 %",
        "c /data 90 %",
        "[WARNING] cpu-high: 1 node",
        "b 90 %",
        "[RESOLVED] cpu-high: 1 node, fired and recovered in the meantime",
        "d: 2026-01-05T12:00:00Z – 2026-01-05T12:02:00Z (2 min), Peak 97.3 %",
        "[RESOLVED] cpu-high: 1 node",
        "a 12 %",
      ],
    );
    assert.equal(renderDigest(digest([{ node: "a", over: true }]), "en").tone, "resolved");
  });

  const linesOf = (items: readonly One[], language: Language = "en"): string[] =>
    renderDigest(digest(items), language).rows.map(({ value }) => value);

  it("tells of each that began and ended in between when, or at least that it did", () => {
    const brief = names(200).map((node) => ({ node, over: true, first: true }));
    const few = linesOf(brief.slice(0, 25));
    assert.equal(
      few.filter((line) => /^n\d+: .* – .* \(2 min\), Peak 97\.3 %$/.test(line)).length,
      25,
    );
    assert.equal(
      linesOf(brief.slice(0, 1), "zh-CN").join("\n"),
      "[已恢复] cpu-high：1 个节点，期间触发并已恢复\n" +
        "n0000000：2026-01-05T12:00:00Z – 2026-01-05T12:02:00Z（2 分钟），峰值 97.3 %",
    );
    const { body, maxBytes } = bodies["feishu"] ?? assert.fail();
    const told = body(renderDigest(digest(brief), "en"));
    assert.ok(Buffer.byteLength(told) <= maxBytes);
    assert.match(told, /200 nodes, fired and recovered in the meantime/);
    for (const { node } of brief) assert.ok(told.includes(node), node);
  });

  it("does not call recovered what still breached when its rule went", () => {
    const { title, tone, rows } = renderDigest(
      digest([
        { node: "a", over: true },
        { node: "b", over: true, value: 95 },
      ]),
      "en",
    );
    assert.equal(title, "[CLOSED] cpu-high: 2 nodes, 1 CLOSED, 1 RESOLVED");
    assert.equal(tone, "info");
    assert.deepEqual(
      rows.map(({ value }) => value),
      ["[CLOSED] cpu-high: 1 node", "b 95 %", "[RESOLVED] cpu-high: 1 node", "a 12 %"],
    );
  });

  it("of one rule names it, whatever levels it has", () => {
    const { title } = renderDigest(
      digest([
        { node: "a", value: 85 },
        { node: "b", level: "critical", value: 99.1 },
        { node: "c", over: true },
        { node: "d", over: true, first: true },
      ]),
      "en",
    );
    assert.equal(
      title,
      "[CRITICAL] cpu-high: 4 nodes, 1 CRITICAL, 1 WARNING, 2 RESOLVED, worst b 99.1 %",
    );
  });

  it("tells nodes of one name in two clusters apart", () => {
    const items = [{ node: "a" }, { node: "a", cluster: "test" }];
    assert.deepEqual(linesOf(items), ["[WARNING] cpu-high: 2 nodes", "prod/a 90 %", "test/a 90 %"]);
  });

  it("puts first what is furthest beyond its threshold, also below it", () => {
    const of = (node: string, value: number, threshold: number): DigestItem => {
      const subject = { operator: "<", node: { cluster: "prod", name: node, ip: "" } } as const;
      return { message: message("firing", { id: node, value, threshold, subject }), isFirst: true };
    };
    const items = [of("a", 9, 10), of("b", 2, 10), of("c", 5, 20)];
    const { rows } = renderDigest({ ...digest([]), items }, "en");
    assert.deepEqual(rows.map(({ value }) => value).slice(1), ["c 5 %", "b 2 %", "a 9 %"]);
  });

  it("leaves names of absurd length out of its title, and lets them hide nobody", () => {
    const long = "<".repeat(2_000);
    const items = [{ node: long, value: 99 }, ...names(20).map((node) => ({ node }))];
    assert.equal(renderDigest(digest(items), "en").title, "[WARNING] cpu-high: 21 nodes");
    const { body } = bodies["wecom"] ?? assert.fail();
    const told = body(renderDigest(digest(items), "en"));
    for (const node of names(20)) assert.ok(told.includes(node), node);
    assert.ok(told.includes("and 1 more") && !told.includes("＜"), told);
    const rule = "r".repeat(4_000);
    const { title, rows } = renderDigest(digest([{ node: "a", rule }]), "en");
    assert.equal(title, "[WARNING] 1 node: 1 WARNING");
    assert.ok(Buffer.byteLength(rows[0]?.value ?? "") < 250);
  });

  it("calls people while something fires, and nobody when all is over", () => {
    const settings = { ...(settingsOf("dingtalk") as Parameters<typeof dingtalkBody>[1]) };
    const mention = { mobiles: [], user_ids: [], all: true };
    const isAtAll = (...items: readonly One[]): unknown => {
      const body = dingtalkBody(renderDigest(digest(items), "en"), { ...settings, mention });
      return (JSON.parse(body) as { at?: { isAtAll?: unknown } }).at?.isAtAll;
    };
    assert.equal(isAtAll({ node: "a", over: true }, { node: "b" }), true);
    assert.equal(isAtAll({ node: "a", over: true }), false);
  });

  it("is written soon, of 1,000 alerts of one rule or of as many rules", () => {
    for (const rules of [1, 1_000]) {
      const many = names(1_000, 40).map((node, at) => ({ node, rule: `rule-${at % rules}` }));
      const ways = {
        ...Object.fromEntries(
          Object.entries(bodies).map(([type, { body }]) => [
            type,
            () => body(renderDigest(digest(many), "en")),
          ]),
        ),
        email: () => composeDigest(digest(many), "en", "host.example"),
      };
      for (const [type, write] of Object.entries(ways)) {
        const took = Array.from({ length: 5 }, () => {
          const began = performance.now();
          write();
          return performance.now() - began;
        });
        assert.ok(Math.min(...took) < 50, `${type}: ${took.join()} ms`);
      }
    }
  });

  it("tells alerts of others apart by the labels that differ", () => {
    const reported = ["pod-a", "pod-b", "pod-c"].map((pod) => {
      const one = item({ node: "prom-1", rule: "KubePodCrashLooping" });
      const labels = { namespace: "shop", pod, severity: pod };
      const subject = { ...one.message.incident.subject, operator: null, labels };
      const incident = { ...one.message.incident, id: pod, value: null, threshold: null, subject };
      return { ...one, message: { ...one.message, incident } };
    });
    const { rows } = renderDigest({ ...digest([]), items: reported }, "en");
    assert.deepEqual(rows.map(({ value }) => value).slice(1), [
      "prom-1 pod-a",
      "prom-1 pod-b",
      "prom-1 pod-c",
    ]);
  });

  it("names 200 nodes in what Feishu and DingTalk take, and counts of 1,000 long names what does not fit", () => {
    for (const type of ["feishu", "dingtalk"] as const) {
      const { body, maxBytes } = bodies[type] ?? assert.fail();
      const some = names(200);
      const whole = body(renderDigest(digest(some.map((node) => ({ node }))), "en"));
      for (const node of some) assert.ok(whole.includes(node), `${type}: ${node}`);
      const many = names(1_000, 40);
      const shortened = body(renderDigest(digest(many.map((node) => ({ node }))), "en"));
      const bytes = Buffer.byteLength(shortened);
      assert.ok(bytes <= maxBytes && bytes > maxBytes * 0.98, `${type}: ${bytes}`);
      const named = many.filter((node) => shortened.includes(node)).length;
      assert.equal(Number(/and (\d+) more/.exec(shortened)?.[1]) + named, 1_000);
    }
  });

  const one = fc.record({
    node: fc.oneof(fc.stringMatching(/^[b-z]{4,20}$/), fc.constantFrom("节点一号", "🔥🔥-node")),
    level: fc.constantFrom(...levels),
    rule: fc.constantFrom("cpu-high", "disk-full", "mem", "r4", "r5"),
    over: fc.boolean(),
    first: fc.boolean(),
    value: fc.double({ min: 0, max: 100, noNaN: true }),
  });

  it("is never too long, has names whole and in order, and counts what it does not name", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(one, {
          minLength: 1,
          maxLength: 300,
          size: "max",
          selector: ({ node, rule, level, over }) => [node, rule, level, over].join(),
        }),
        fc.integer({ min: 300, max: 6_000 }),
        fc.constantFrom<Language>("en", "zh-CN"),
        (all, maxBytes, language) => {
          const rendered = renderDigest(digest(all), language);
          const fitted = fitRows(rendered, maxBytes, (rows) =>
            rows.map(({ value }) => value).join("\n"),
          );
          assert.ok(Buffer.byteLength(fitted) <= maxBytes, `${Buffer.byteLength(fitted)}`);
          assert.equal(fitted, fitted.toWellFormed());
          const rows = new Set(rendered.rows.map(({ value }) => value));
          let counted = 0;
          let named = 0;
          for (const line of fitted.split("\n"))
            if (rows.has(line) && line.startsWith("[")) continue;
            else
              for (const part of line.split(language === "en" ? /, (?!Peak)/ : /，(?!峰值)/)) {
                const more = /(?:and |以及另外 )(\d+)/.exec(part);
                if (more !== null) counted += Number(more[1]);
                else named += 1;
              }
          assert.equal(named + counted, all.length);
          const order = ["critical", "warning", "info"].map((level) =>
            all.some((of) => of.level === level && !of.over) ? level : null,
          );
          const [worst] = order.filter((level) => level !== null);
          const over = all.some((of) => of.over && of.value > 80) ? "info" : "resolved";
          assert.equal(rendered.tone, worst ?? over);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("fits every robot whatever it is of", () => {
    fc.assert(
      fc.property(fc.array(one, { minLength: 3, maxLength: 400, size: "max" }), (all) => {
        for (const [type, { body, maxBytes }] of Object.entries(bodies)) {
          const bytes = Buffer.byteLength(body(renderDigest(digest(all), "zh-CN")));
          assert.ok(bytes <= maxBytes, `${type}: ${bytes}`);
        }
      }),
      { numRuns: 30 },
    );
  });

  describe("by real ways", () => {
    let http: HttpClient;
    before(() => {
      http = createHttpClient();
    });
    after(() => http.close());

    for (const [type, start] of [
      ["feishu", startFeishu],
      ["dingtalk", startDingtalk],
      ["wecom", startWecom],
      ["slack", startSlack],
    ] as const)
      it(`is taken by ${type}`, async () => {
        const secret = type === "wecom" || type === "slack" ? {} : { secret: "SECx" };
        const robot = await start(secret);
        const channel = openChannel(
          { type, webhook_url: robot.url, ...secret },
          { http, clock: systemClock },
        );
        const many = names(1_000, 40).map((node) => ({ node }));
        const outcome = await channel.sendDigest?.(digest(many), new AbortController().signal);
        assert.equal(outcome?.outcome, "sent", JSON.stringify(outcome));
        assert.match(robot.received[0]?.text ?? "", /and \d+ more/);
        await robot.close();
      });

    it("is a mail with all names, and a thread of its own", () => {
      const many = names(1_000, 40);
      const mail = composeDigest(digest(many.map((node) => ({ node }))), "en", "host.example");
      for (const node of many) assert.ok(mail.text.includes(node) && mail.html.includes(node));
      assert.equal(mail.subject, "[WARNING] cpu-high: 1000 nodes, worst " + many[0] + " 90 %");
      assert.equal(mail.thread, "<digest-1@host.example>");
    });

    it("is a mail with a table of what fires and what is over, and counts what is beyond it", () => {
      const over = [{ node: "<b>over</b>", over: true }];
      const { html } = composeDigest(digest([{ node: "a" }, ...over]), "en", "host.example");
      const rows = html.match(/<tr>.*<\/tr>/g) ?? [];
      const cells = rows.map((row) =>
        [...row.matchAll(/<td[^>]*>(.*?)<\/td>/g)].map(([, text]) => text),
      );
      assert.deepEqual(cells, [
        ["Node", "Last value", "Peak", "Started", "Ended"],
        ["<b>[WARNING] cpu-high: 1 node</b>"],
        ["a", "90 %", "97.3 %", "2026-01-05T12:00:00Z", ""],
        ["<b>[RESOLVED] cpu-high: 1 node</b>"],
        [
          "&lt;b&gt;over&lt;/b&gt;",
          "12 %",
          "97.3 %",
          "2026-01-05T12:00:00Z",
          "2026-01-05T12:02:00Z",
        ],
      ]);
      const many = names(1_200, 300).map((node) => ({ node, over: true }));
      const long = composeDigest(digest([...many, { node: "first" }]), "en", "host.example");
      assert.match(long.html, /first.*and 201 more/s);
      assert.ok(Buffer.byteLength(long.text) <= 100_000);
      assert.match(long.text, /and \d+ more/);
    });
  });
});
