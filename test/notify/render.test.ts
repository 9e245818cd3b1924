import assert from "node:assert/strict";
import fc from "fast-check";
import type {
  AlertMessage,
  Language,
  Pressure,
  Pressures,
  ProcessUse,
} from "../../src/core/delivery.ts";
import { formatValue } from "../../src/base/value.ts";
import { formatDuration, formatMemory, sparkline } from "../../src/notify/format.ts";
import { fitRows, renderMessage } from "../../src/notify/render.ts";
import { wordsOf } from "../../src/notify/words.ts";
import { dingtalkBody } from "../../src/notify/dingtalk.ts";
import { feishuBody } from "../../src/notify/feishu.ts";
import { composeMail } from "../../src/notify/mail.ts";
import { Secret } from "../../src/base/secret.ts";
import { message, startMs } from "./kit.ts";

const robot = { webhook_url: new Secret("https://robot.example/") };

/** A message as lines, for comparison with what is written down here. */
function lines(of: AlertMessage, language: Language): string[] {
  const { title, rows, links } = renderMessage(of, language);
  return [
    title,
    ...rows.map(({ label, value }) => `${label} = ${value}`),
    ...links.map(({ label, url }) => `${label} -> ${url}`),
  ];
}

function withProcesses(processes: readonly ProcessUse[] | null): AlertMessage {
  return message("firing", {}, { evidence: { processes, pressure: null } });
}

const firing = message(
  "firing",
  {
    id: "inc/7",
    subject: {
      rule: "disk-full",
      index: "disk",
      labels: { mount: "/data" },
      message: "Clean up /data",
      runbookUrl: "https://wiki.example/disk",
    },
    threshold: 80,
    value: 97.345,
    peak: 97.345,
  },
  { recent: [80, 85, null, 97.3], publicUrl: "https://agent.example/" },
);

const resolved = message("resolved", {
  status: "resolved",
  value: 42.14,
  peak: 99.9,
  endedAtMs: startMs + 3_905_000,
  flaps: 2,
  level: "warning",
});

describe("rendering", () => {
  it("tells in English what fires, where, since when and how it went", () => {
    assert.deepEqual(lines(firing, "en"), [
      "[CRITICAL] disk /data 97.3 % on node-1",
      "Node = prod/node-1 (10.0.0.1)",
      "Rule = disk-full",
      "Condition = disk /data > 80 %",
      "Current value = 97.3 %",
      "Threshold = 80 %",
      "Started = 2026-01-05T12:00:00Z",
      "Trend = ▁▃·█",
      "Message = Clean up /data",
      "Runbook -> https://wiki.example/disk",
      "Details -> https://agent.example/api/alerts/inc%2F7",
    ]);
  });

  it("tells the same in Chinese", () => {
    assert.deepEqual(lines(firing, "zh-CN"), [
      "[严重] node-1 磁盘 /data 97.3 %",
      "节点 = prod/node-1 (10.0.0.1)",
      "规则 = disk-full",
      "条件 = disk /data > 80 %",
      "当前值 = 97.3 %",
      "阈值 = 80 %",
      "开始时间 = 2026-01-05T12:00:00Z",
      "趋势 = ▁▃·█",
      "说明 = Clean up /data",
      "处理手册 -> https://wiki.example/disk",
      "查看详情 -> https://agent.example/api/alerts/inc%2F7",
    ]);
  });

  it("names the biggest processes, memory as `top` counts it", () => {
    const row = (processes: readonly ProcessUse[] | null, language: Language): string | undefined =>
      lines(withProcesses(processes), language).find((line) =>
        /^(Top processes|主要进程)/.test(line),
      );
    const use = { pid: 7, name: "stress", owner: "batch/stress-pod/main" };
    const cpu = [
      { ...use, value: 98, unit: "%" },
      { pid: 8, name: "node", owner: null, value: 3.14, unit: "%" },
    ] as const;
    assert.equal(row(cpu, "en"), "Top processes = stress (batch/stress-pod/main) 98 %, node 3.1 %");
    assert.equal(row(cpu, "zh-CN"), "主要进程 = stress (batch/stress-pod/main) 98 %, node 3.1 %");
    const memory = [
      { ...use, value: 1.5 * 1_024 ** 3, unit: "B" },
      { ...use, owner: "nginx.service", value: 12 * 1_024 ** 2, unit: "B" },
    ] as const;
    assert.equal(
      row(memory, "en"),
      "Top processes = stress (batch/stress-pod/main) 1.5 GiB, stress (nginx.service) 12 MiB",
    );
    assert.equal(row(null, "en"), undefined);
    assert.equal(row([], "en"), undefined);
    assert.equal(
      row([{ ...use, name: "a\r\nb", owner: "c\nd", value: 1, unit: "%" }], "en"),
      "Top processes = a b (c d) 1 %",
    );
  });

  it("tells what reads and writes in bytes a second", () => {
    const use = { pid: 7, name: "rsync", owner: "backup.service", value: 12_500_000, unit: "B/s" };
    assert.ok(
      lines(withProcesses([use as ProcessUse]), "en").includes(
        "Top processes = rsync (backup.service) 12.5 MB/s",
      ),
    );
  });

  it("tells the pressure on the host in whole percent, as far as the kernel knows it", () => {
    const stall = (avg10: number): Pressure => ({ some: { avg10, avg60: 99 }, full: null });
    const row = (pressure: Pressures | null, language: Language): string | undefined => {
      const evidence = { processes: null, pressure };
      return lines(message("firing", {}, { evidence }), language).find((line) =>
        /^(Pressure|资源压力)/.test(line),
      );
    };
    const all = { cpu: stall(43.21), memory: stall(0.04), io: stall(11.5) };
    assert.equal(row(all, "en"), "Pressure = cpu 43 % · memory 0 % · io 12 % (10 s)");
    assert.equal(row(all, "zh-CN"), "资源压力 = CPU 43 % · 内存 0 % · IO 12 %（10 秒）");
    assert.equal(row({ io: stall(5) }, "en"), "Pressure = io 5 % (10 s)");
    assert.equal(row(null, "en"), undefined);
    assert.equal(
      lines(message(), "en").find((line) => line.startsWith("Pressure")),
      undefined,
    );
  });

  it("tells of a recovery its value, peak, duration and flaps", () => {
    assert.deepEqual(lines(resolved, "en"), [
      "[RESOLVED] cpu 42.1 % on node-1",
      "Node = prod/node-1 (10.0.0.1)",
      "Rule = cpu-high",
      "Condition = cpu > 80 %",
      "Recovered value = 42.1 %",
      "Threshold = 80 %",
      "Peak = 99.9 %",
      "Started = 2026-01-05T12:00:00Z",
      "Ended = 2026-01-05T13:05:05Z",
      "Duration = 1 h 5 min",
      "Fired again = 2",
    ]);
    const [title, ...rows] = lines(resolved, "zh-CN");
    assert.equal(title, "[已恢复] node-1 CPU 42.1 %");
    assert.ok(
      rows.includes("恢复值 = 42.1 %") && rows.includes("持续时间 = 1 小时 5 分钟"),
      rows.join("\n"),
    );
  });

  it("does not call a value recovered that still breaches, as when a rule was removed", () => {
    const removed = message("resolved", {
      status: "resolved",
      value: 97,
      endedAtMs: startMs + 60_000,
    });
    assert.ok(lines(removed, "en").includes("Last value = 97 %"));
  });

  for (const [kind, en, zh] of [
    ["escalated", "escalated", "级别升高"],
    ["repeated", "still firing", "仍在告警"],
    ["flapping", "flapping", "反复波动"],
  ] as const)
    it(`says that an alert is ${kind}`, () => {
      assert.equal(
        renderMessage(message(kind), "en").title,
        `[CRITICAL] cpu 97.3 % on node-1 (${en})`,
      );
      assert.equal(renderMessage(message(kind), "zh-CN").title, `[严重] node-1 CPU 97.3 % (${zh})`);
    });

  it("says of a test that nothing is wrong", () => {
    const { title, rows, tone } = renderMessage(message("test"), "en");
    assert.equal(title, "[TEST] TargetVPC: test message from node-1");
    assert.ok(rows.some(({ value }) => value.includes("nothing is wrong")));
    assert.equal(tone, "info");
  });

  it("has a tone for each level and for recovery", () => {
    for (const level of ["info", "warning", "critical"] as const)
      assert.equal(renderMessage(message("firing", { level }), "en").tone, level);
    assert.equal(renderMessage(resolved, "en").tone, "resolved");
  });

  it("leaves out the condition of an alert without an operator", () => {
    const foreign = lines(message("firing", { subject: { operator: null } }), "en");
    assert.ok(!foreign.some((line) => line.startsWith("Condition")));
    assert.ok(foreign.includes("Threshold = 80 %"));
  });

  it("tells an alert of others without a value, with its labels and its source", () => {
    const subject = {
      rule: "HighLatency",
      index: "HighLatency",
      unit: "",
      operator: null,
      labels: { queue: "mail\n", job: "api" },
      message: "p99 above 2 s",
      sourceUrl: "http://prometheus.example/graph?g0.expr=up",
      node: { cluster: "prod", name: "node-7", ip: "10.0.0.7" },
    };
    const none = { subject, threshold: null, value: null, peak: null };
    const body = [
      "Node = prod/node-7 (10.0.0.7)",
      "Rule = HighLatency",
      "Labels = job=api, queue=mail",
      "Started = 2026-01-05T12:00:00Z",
      "Message = p99 above 2 s",
      "Source -> http://prometheus.example/graph?g0.expr=up",
    ];
    const fires = message("firing", none);
    assert.deepEqual(lines(fires, "en"), ["[CRITICAL] HighLatency on node-7", ...body]);
    assert.deepEqual(lines(fires, "zh-CN"), [
      "[严重] node-7 HighLatency",
      "节点 = prod/node-7 (10.0.0.7)",
      "规则 = HighLatency",
      "标签 = job=api, queue=mail",
      "开始时间 = 2026-01-05T12:00:00Z",
      "说明 = p99 above 2 s",
      "告警来源 -> http://prometheus.example/graph?g0.expr=up",
    ]);
    assert.equal(renderMessage(fires, "en").summary, "HighLatency");
    const over = message("resolved", {
      ...none,
      status: "resolved",
      endedAtMs: startMs + 300_000,
    });
    assert.deepEqual(lines(over, "en"), [
      "[RESOLVED] HighLatency on node-7",
      ...body.slice(0, 4),
      "Ended = 2026-01-05T12:05:00Z",
      "Duration = 5 min",
      ...body.slice(4),
    ]);
    assert.equal(renderMessage(over, "en").tone, "resolved");
    const valued = message("firing", { ...none, value: 2.5, peak: 2.5 });
    assert.equal(lines(valued, "en")[0], "[CRITICAL] HighLatency 2.5 on node-7");
    assert.ok(lines(valued, "en").includes("Current value = 2.5"));
    assert.ok(!lines(valued, "en").some((line) => line.startsWith("Peak")));
    const end = message("resolved", { ...none, value: 2.5, peak: 2.5, status: "resolved" });
    assert.equal(lines(end, "en")[0], "[RESOLVED] HighLatency on node-7");
    assert.ok(lines(end, "en").includes("Last value = 2.5"), "it had it when it fired");
  });

  it("tells an alert of others by every channel without a made-up value", () => {
    const subject = { rule: "Watchdog", index: "Watchdog", unit: "", operator: null };
    const none = { subject, threshold: null, value: null, peak: null };
    for (const language of ["en", "zh-CN"] as const) {
      const rendered = renderMessage(message("firing", none), language);
      const mail = composeMail(
        message("firing", none),
        { language, template: null },
        "host.example",
      );
      for (const body of [
        feishuBody(rendered, robot, startMs),
        dingtalkBody(rendered, robot),
        mail.text,
        mail.html,
        mail.subject,
      ]) {
        assert.ok(body.includes("Watchdog"), body);
        assert.doesNotMatch(body, /null|undefined|NaN|Watchdog 0|Threshold|阈值|当前值/);
      }
    }
  });

  it("keeps titles on one line and short, whatever names say", () => {
    const { title } = renderMessage(
      message("firing", {
        subject: {
          labels: { a: "x\r\nBcc: y\u2028z" },
          node: { cluster: "c", name: "n".repeat(900), ip: "" },
        },
      }),
      "en",
    );
    assert.ok(!/[\r\n\u2028]/.test(title));
    assert.ok(Buffer.byteLength(title) <= 300);
  });

  it("links to nothing that is not a web address", () => {
    for (const runbookUrl of [
      "javascript:alert(1)",
      "not a url",
      "https://x.example/ a",
      `https://x.example/${"a".repeat(3_000)}`,
    ])
      assert.deepEqual(
        renderMessage(message("firing", { subject: { runbookUrl } }), "en").links,
        [],
        runbookUrl.slice(0, 30),
      );
  });
});

describe("values", () => {
  const cases: readonly [value: number, unit: string, text: string][] = [
    [97.345, "%", "97.3 %"],
    [80, "%", "80 %"],
    [0.04, "%", "0.04 %"],
    [0, "%", "0 %"],
    [4.256, "", "4.26"],
    [-12.5, "°C", "-12.5 °C"],
    [0.001234, "s", "0.0012 s"],
    [512, "B/s", "512 B/s"],
    [12_500_000, "B/s", "12.5 MB/s"],
    [999_960, "B/s", "1 MB/s"],
    [3.2e15, "B", "3.2 PB"],
  ];
  for (const [value, unit, text] of cases)
    it(`${value} ${unit} is shown as ${text}`, () => assert.equal(formatValue(value, unit), text));

  for (const [bytes, text] of [
    [0, "0 MiB"],
    [600 * 1_024, "0.6 MiB"],
    [1_023.94 * 1_024 ** 2, "1023.9 MiB"],
    [1_023.96 * 1_024 ** 2, "1 GiB"],
    [1_300 * 1_024 ** 3, "1300 GiB"],
  ] as const)
    it(`${bytes} bytes in RAM are shown as ${text}`, () => assert.equal(formatMemory(bytes), text));

  it("time spans have their two biggest units", () => {
    const { units } = wordsOf("en");
    assert.equal(formatDuration(0, units), "0 s");
    assert.equal(formatDuration(45_400, units), "45 s");
    assert.equal(formatDuration(3_600_000, units), "1 h");
    assert.equal(formatDuration(90_061_000, units), "1 d 1 h");
    assert.equal(formatDuration(-5, units), "0 s");
  });

  it("a sparkline needs three values, marks gaps and is never wider than a line", () => {
    assert.equal(sparkline([]), null);
    assert.equal(sparkline([1, null, 2]), null);
    assert.equal(sparkline([1, 2, 3]), "▁▅█");
    assert.equal(sparkline([5, 5, 5]), "▁▁▁");
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.double({ noNaN: true, min: -1e6, max: 1e6 })), { maxLength: 400 }),
        (values) => {
          const line = sparkline(values);
          if (line !== null) assert.match(line, /^[▁▂▃▄▅▆▇█·]{1,30}$/);
        },
      ),
    );
  });
});

describe("fitting a message into a number of bytes", () => {
  it("shortens a list of processes that is too long", () => {
    const evidence = Array.from({ length: 5 }, (_, pid) => ({
      pid,
      name: "进程".repeat(20),
      value: 99,
      unit: "%" as const,
      owner: `${"n".repeat(63)}/${"p".repeat(253)}/${"c".repeat(63)}`,
    }));
    for (const language of ["zh-CN", "en"] as const) {
      const rendered = renderMessage(withProcesses(evidence), language);
      const body = fitRows(rendered, 1_000, (rows) => JSON.stringify(rows));
      assert.ok(Buffer.byteLength(body) <= 1_000);
      assert.ok(body.includes(rendered.words.labels.processes));
      assert.ok(body.includes(rendered.words.shortened));
    }
  });

  it("always fits, says so, and leaves short messages alone", () => {
    const part = fc.oneof(
      fc.string({ unit: "binary", maxLength: 3_000 }),
      fc.string({ maxLength: 400 }).map((text) => text.repeat(60)),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (values) => {
        const rendered = {
          ...renderMessage(message(), "zh-CN"),
          rows: values.map((value) => ({ label: "x", value })),
        };
        const build = (rows: readonly object[]): string => JSON.stringify({ rows });
        const body = fitRows(rendered, 4_000, build);
        assert.ok(Buffer.byteLength(body) <= 4_000);
        const whole = build(rendered.rows);
        if (Buffer.byteLength(whole) <= 4_000) assert.equal(body, whole);
        else assert.ok(body.includes("（已截断）"));
      }),
    );
  });
});
