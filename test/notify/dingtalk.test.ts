import assert from "node:assert/strict";
import type { Outcome } from "../../src/core/delivery.ts";
import { dingtalkSign, readDingtalkReply } from "../../src/notify/dingtalk.ts";
import { ManualClock } from "../support/clock.ts";
import { startDingtalk, type Robot, type RobotOptions } from "../support/robots.ts";
import { message, openChannel, startMs, withHttp } from "./kit.ts";

const never = new AbortController().signal;

async function sendOne(
  options: RobotOptions,
  settings: Record<string, unknown> = {},
  of = message(),
): Promise<{ outcome: Outcome; robot: Robot }> {
  const clock = new ManualClock(startMs);
  const robot = await startDingtalk({ clock, ...options });
  try {
    const outcome = await withHttp((http) =>
      openChannel({ type: "dingtalk", webhook_url: robot.url, ...settings }, { http, clock }).send(
        of,
        never,
      ),
    );
    return { outcome, robot };
  } finally {
    await robot.close();
  }
}

describe("DingTalk", () => {
  it("signs as the documentation's example does", () => {
    assert.equal(
      encodeURIComponent(dingtalkSign("1577262236757", "SECdemo")),
      "sLRlUUvzoOXn5DR%2F%2Bo%2Bs6tOqX%2BbWe3JGaZ7JQ7844l8%3D",
    );
  });

  it("sends markdown that holds every row", async () => {
    const { outcome, robot } = await sendOne({}, { language: "en" });
    assert.deepEqual(outcome, { outcome: "sent", code: "0" });
    const [received] = robot.received;
    assert.equal(received?.title, "[CRITICAL] cpu 97.3 % on node-1");
    assert.match(
      received?.text ?? "",
      /### \[CRITICAL\] cpu 97\.3 % on node-1\n\n- \*\*Node\*\*: prod\/node-1/,
    );
    assert.match(received?.text ?? "", /- \*\*Condition\*\*: cpu > 80 %/);
  });

  it("is taken by a robot that checks signatures, at every moment", async () => {
    // 40 moments: the base64 of some has + and /, which must survive the query.
    for (let i = 0; i < 40; i++) {
      const clock = new ManualClock(startMs + i * 977);
      const robot = await startDingtalk({ secret: "SECdemo", clock, limits: false });
      const outcome = await withHttp((http) =>
        openChannel(
          { type: "dingtalk", webhook_url: robot.url, secret: "SECdemo" },
          { http, clock },
        ).send(message(), never),
      );
      await robot.close();
      assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
    }
  });

  it("is refused with a wrong secret or none", async () => {
    for (const settings of [{ secret: "SECother" }, {}]) {
      const { outcome, robot } = await sendOne({ secret: "SECdemo" }, settings);
      assert.equal(outcome.outcome, "refused");
      assert.equal(outcome.code, "310000");
      assert.equal(robot.received.length, 0);
    }
  });

  it("puts the keyword in front of a title that does not hold it", async () => {
    const { robot } = await sendOne({ keyword: "监控" }, { keyword: "监控" });
    assert.equal(robot.received[0]?.title, "监控 [CRITICAL] cpu 97.3 % on node-1");
    const { outcome } = await sendOne({ keyword: "监控" });
    assert.equal(outcome.outcome, "refused");
    assert.match(JSON.stringify(outcome), /set keyword/);
  });

  it("calls mobiles in the text as well, or nobody would be called", async () => {
    const mention = {
      mobiles: ["13800000000", "+1-1234567890"],
      user_ids: ["manager7"],
      all: true,
    };
    const { robot } = await sendOne({}, { mention });
    const [received] = robot.received;
    assert.deepEqual(received?.body["at"], {
      atMobiles: mention.mobiles,
      atUserIds: mention.user_ids,
      isAtAll: true,
    });
    assert.ok(received?.text.includes("@13800000000 @+1-1234567890 @manager7"));
    const over = await sendOne({}, { mention }, message("resolved"));
    assert.deepEqual(over.robot.received[0]?.body["at"], {
      atMobiles: [],
      atUserIds: [],
      isAtAll: false,
    });
    assert.ok(!over.robot.received[0]?.text.includes("@1380"));
  });

  it("keeps other people's text on its line and without links or tags", async () => {
    const evil =
      "a\n# Title\n[click](https://evil.example) ![](https://evil.example/x.png) <font color=red>";
    const { robot } = await sendOne({}, {}, message("firing", { subject: { message: evil } }));
    const text = robot.received[0]?.text ?? "";
    assert.ok(!text.includes("](https://evil"), text);
    assert.ok(!text.includes("<font"), text);
    assert.ok(!/^# Title/m.test(text), text);
  });

  const actions = [
    { action: "ack", url: "https://agent.example/actions/a" },
    { action: "silence_hour", url: "https://agent.example/actions/b" },
  ] as const;

  it("is a card with buttons when there is something to do, with the keyword and every row", async () => {
    const of = message("firing", {}, { actions, publicUrl: "https://agent.example" });
    const { outcome, robot } = await sendOne({ keyword: "监控" }, { keyword: "监控" }, of);
    assert.equal(outcome.outcome, "sent");
    const [received] = robot.received;
    const { msgtype, actionCard, at } = received?.body ?? {};
    assert.deepEqual([msgtype, at], ["actionCard", undefined]);
    const { text, btns } = actionCard as { text: string; btns: unknown };
    assert.match(text, /^### 监控 \[CRITICAL\] cpu[^]*- \*\*Condition\*\*: cpu > 80 %/);
    assert.deepEqual(btns, [
      { title: "Acknowledge", actionURL: "https://agent.example/actions/a" },
      { title: "Silence 1 h", actionURL: "https://agent.example/actions/b" },
      { title: "Details", actionURL: "https://agent.example/api/alerts/inc-1" },
    ]);
  });

  it("stays markdown with links where somebody is to be called, whom a card could not call", async () => {
    for (const mention of [{ mobiles: ["13800000000"] }, { all: true }]) {
      const { robot } = await sendOne({}, { mention }, message("firing", {}, { actions }));
      const [received] = robot.received;
      assert.equal(received?.body["msgtype"], "markdown");
      const links =
        "[Acknowledge](https://agent.example/actions/a) · [Silence 1 h](https://agent.example/actions/b)";
      assert.ok(received?.text.includes(links), received?.text);
    }
  });

  it("keeps other people's text without links in a card too", async () => {
    const evil = "[click](https://evil.example) <font color=red>\n# Title";
    const of = message("firing", { subject: { message: evil } }, { actions });
    const text = (await sendOne({}, {}, of)).robot.received[0]?.text ?? "";
    assert.ok(!text.includes("](https://evil") && !text.includes("<font"), text);
    assert.ok(!/^# Title/m.test(text), text);
  });

  for (const [what, huge] of [
    ["letters", "a".repeat(60_000)],
    ["Chinese", "磁盘空间不足".repeat(5_000)],
    ["emoji", "🔥".repeat(20_000)],
    ["brackets that grow when escaped", "](".repeat(20_000)],
  ] as const)
    it(`keeps to 20,000 bytes with a message of ${what}, and says that it is shortened`, async () => {
      const { outcome, robot } = await sendOne(
        {},
        { language: "zh-CN" },
        message("firing", { subject: { message: huge } }),
      );
      assert.equal(outcome.outcome, "sent");
      assert.ok((robot.received[0]?.bytes ?? 0) > 10_000);
      assert.ok(robot.received[0]?.text.includes("（已截断）"));
    });

  const codes: readonly [
    json: Record<string, unknown>,
    outcome: Outcome["outcome"],
    code: string,
    reason?: RegExp,
  ][] = [
    [{ errcode: 0, errmsg: "ok" }, "sent", "0"],
    [{ errcode: 130101, errmsg: "send too fast" }, "retry", "130101", /send too fast/],
    [{ errcode: -1, errmsg: "系统繁忙" }, "retry", "-1"],
    [{ errcode: 310000, errmsg: "sign not match" }, "refused", "310000", /clock/],
    [{ errcode: 310000, errmsg: "invalid timestamp" }, "refused", "310000", /clock/],
    [{ errcode: 310000, errmsg: "keywords not in content" }, "refused", "310000", /set keyword/],
    [{ errcode: 310000, errmsg: "ip 1.2.3.4 not in whitelist" }, "refused", "310000", /allow-list/],
    [{ errcode: 460101, errmsg: "too long" }, "refused", "460101"],
    [{ errcode: 101002, errmsg: "description:..." }, "refused", "101002", /too long/],
    [{ errcode: 90030, errmsg: "webhook over limit" }, "refused", "90030", /quota/],
    [{ errcode: 300001, errmsg: "token is not exist" }, "refused", "300001", /access_token/],
    [{ errcode: 40035, errmsg: "缺少参数 json" }, "refused", "40035", /缺少参数/],
  ];
  for (const [json, outcome, code, reason] of codes)
    it(`reads ${JSON.stringify(json)} as ${outcome}`, () => {
      const read = readDingtalkReply({ status: 200, json, clockAheadMs: null });
      assert.equal(read?.outcome, outcome);
      assert.equal(read?.code, code);
      if (reason !== undefined)
        assert.ok(
          read !== null && read.outcome !== "sent" && reason.test(read.reason),
          JSON.stringify(read),
        );
    });

  it("comes back to a blocked robot after its ten minutes", () => {
    const read = readDingtalkReply({
      status: 200,
      json: { errcode: 130101, errmsg: "send too fast" },
      clockAheadMs: null,
    });
    assert.ok(read?.outcome === "retry");
    assert.equal(read.retryAfterMs, 600_000);
  });

  it("takes no reply without an errcode for an answer", () => {
    assert.equal(readDingtalkReply({ status: 200, json: { code: 0 }, clockAheadMs: null }), null);
  });
});
