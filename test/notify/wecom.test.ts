import assert from "node:assert/strict";
import fc from "fast-check";
import type { Outcome } from "../../src/core/delivery.ts";
import { renderMessage } from "../../src/notify/render.ts";
import { parseChannel } from "../../src/notify/settings.ts";
import { readWecomReply, wecomBody } from "../../src/notify/wecom.ts";
import { Secret } from "../../src/base/secret.ts";
import { ManualClock } from "../support/clock.ts";
import { startWecom, type Robot } from "../support/robots.ts";
import { message, noFiles, openChannel, startMs, withHttp } from "./kit.ts";

const never = new AbortController().signal;

async function sendOne(
  settings: Record<string, unknown> = {},
  of = message(),
): Promise<{ outcome: Outcome; robot: Robot }> {
  const clock = new ManualClock(startMs);
  const robot = await startWecom({ clock });
  try {
    const outcome = await withHttp((http) =>
      openChannel({ type: "wecom", webhook_url: robot.url, ...settings }, { http, clock }).send(
        of,
        never,
      ),
    );
    return { outcome, robot };
  } finally {
    await robot.close();
  }
}

describe("WeCom", () => {
  it("sends markdown that holds every row, coloured by level", async () => {
    const { outcome, robot } = await sendOne();
    assert.deepEqual(outcome, { outcome: "sent", code: "0" });
    const text = robot.received[0]?.text ?? "";
    assert.ok(
      text.startsWith(
        '**<font color="warning">[CRITICAL] cpu 97.3 % on node-1</font>**\n> Node: prod/node-1',
      ),
      text,
    );
    assert.match(text, /\n> Condition: cpu > 80 %/);
    const over = await sendOne({}, message("resolved", { status: "resolved", value: 12 }));
    assert.match(over.robot.received[0]?.text ?? "", /^\*\*<font color="info">\[RESOLVED\]/);
  });

  it("calls user ids in markdown, and nobody when it is over", async () => {
    const mention = { user_ids: ["zhangsan", "li.si"] };
    const { robot } = await sendOne({ mention });
    assert.equal(robot.received[0]?.body["msgtype"], "markdown");
    assert.match(robot.received[0]?.text ?? "", /\n<@zhangsan><@li\.si>$/);
    const over = await sendOne(
      { mention: { ...mention, all: true } },
      message("resolved", { status: "resolved", value: 12 }),
    );
    assert.equal(over.robot.received[0]?.body["msgtype"], "markdown");
    assert.ok(!over.robot.received[0]?.text.includes("<@"));
  });

  it("calls mobiles and all by text, because markdown cannot", async () => {
    const mention = { mobiles: ["13800000000"], user_ids: ["zhangsan"], all: true };
    const { outcome, robot } = await sendOne({ mention });
    assert.equal(outcome.outcome, "sent");
    const { content, ...lists } = (robot.received[0]?.body["text"] ?? {}) as Record<
      string,
      unknown
    >;
    assert.deepEqual(lists, {
      mentioned_list: ["zhangsan", "@all"],
      mentioned_mobile_list: ["13800000000"],
    });
    assert.match(String(content), /^\[CRITICAL\] cpu 97\.3 % on node-1\nNode: prod/);
  });

  it("lets no label call anybody, colour anything or fake a link", async () => {
    const hostile = 'x <@all> <font color="info">fine</font> [login](https://evil.example)';
    for (const mention of [undefined, { all: true }]) {
      const { robot } = await sendOne(
        mention === undefined ? {} : { mention },
        message("firing", {
          subject: {
            message: hostile,
            labels: { mount: hostile },
            node: { cluster: hostile, name: hostile, ip: "10.0.0.1" },
          },
        }),
      );
      const text = robot.received[0]?.text ?? "";
      assert.ok(
        !text.includes("<@") && !text.includes('<font color="info"') && !text.includes("]("),
      );
    }
  });

  it("refuses user ids that would leave no room for the message", () => {
    const user_ids = Array.from({ length: 50 }, (_, i) => `u${i}`.padEnd(60, "x"));
    const webhook_url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0";
    const parsed = parseChannel(
      { type: "wecom", webhook_url, enabled: true, mention: { user_ids } },
      "channel",
      noFiles,
    );
    assert.ok(!parsed.ok);
    assert.equal(parsed.faults[0]?.path, "channel.mention");
    assert.match(parsed.faults[0]?.message ?? "", /1024 bytes/);
  });

  for (const [what, huge] of [
    ["Chinese", "磁盘空间不足".repeat(2_000)],
    ["emoji", "🔥".repeat(5_000)],
    ["tags that grow when escaped", "<".repeat(10_000)],
  ] as const)
    for (const all of [false, true])
      it(`keeps to the limit of ${all ? "text" : "markdown"} with ${what} everywhere`, async () => {
        const { outcome, robot } = await sendOne(
          { language: "zh-CN", mention: { all } },
          message("firing", {
            subject: { message: huge, node: { cluster: huge, name: huge, ip: "10.0.0.1" } },
          }),
        );
        assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
        assert.ok((robot.received[0]?.bytes ?? 0) > (all ? 1_000 : 2_000));
        assert.ok(robot.received[0]?.text.includes("（已截断）"));
      });

  it("fits the limit and is JSON whatever the texts", () => {
    const texts = fc.string({ unit: "binary", maxLength: 3_000 });
    const addresses = fc.nat(1_900).map((length) => `https://w.example/${"a".repeat(length)}`);
    fc.assert(
      fc.property(texts, texts, addresses, fc.boolean(), (name, said, address, all) => {
        const body = wecomBody(
          renderMessage(
            message(
              "firing",
              {
                subject: {
                  message: said,
                  rule: name,
                  labels: { mount: said },
                  runbookUrl: address,
                  node: { cluster: name, name, ip: "10.0.0.1" },
                },
              },
              { publicUrl: address },
            ),
            "zh-CN",
          ),
          {
            webhook_url: new Secret("https://robot.example/"),
            mention: {
              mobiles: [],
              user_ids: Array.from({ length: 16 }, () => "u".repeat(60)),
              all,
            },
          },
        );
        const parsed = JSON.parse(body) as Record<string, { content: string } | undefined>;
        const content = (parsed["markdown"] ?? parsed["text"])?.content ?? "";
        assert.ok(content !== "" && Buffer.byteLength(content) <= (all ? 2_048 : 4_096));
      }),
      { numRuns: 100 },
    );
  });

  it("holds a robot that was too fast for a minute, as the service tells it", async () => {
    const clock = new ManualClock(startMs);
    const robot = await startWecom({ clock });
    try {
      await withHttp(async (http) => {
        const channel = openChannel({ type: "wecom", webhook_url: robot.url }, { http, clock });
        for (let i = 0; i < 20; i++)
          assert.equal((await channel.send(message(), never)).outcome, "sent");
        const outcome = await channel.send(message(), never);
        assert.ok(outcome.outcome === "retry");
        assert.deepEqual([outcome.code, outcome.retryAfterMs], ["45009", 60_000]);
      });
    } finally {
      await robot.close();
    }
  });

  it("is refused with a wrong key, and told what to do", async () => {
    const robot = await startWecom();
    try {
      const outcome = await withHttp((http) =>
        openChannel(
          { type: "wecom", webhook_url: robot.url.replace(robot.token, "other") },
          { http, clock: new ManualClock(startMs) },
        ).send(message(), never),
      );
      assert.equal(outcome.outcome, "refused");
      assert.match(JSON.stringify(outcome), /the key in webhook_url is wrong/);
    } finally {
      await robot.close();
    }
  });

  const codes: readonly [json: Record<string, unknown>, Outcome["outcome"], string, RegExp?][] = [
    [{ errcode: 0, errmsg: "ok" }, "sent", "0"],
    [{ errcode: -1, errmsg: "system busy" }, "retry", "-1", /busy/],
    [{ errcode: 45009, errmsg: "api freq out of limit" }, "retry", "45009", /freq/],
    [{ errcode: 93000, errmsg: "invalid webhook url" }, "refused", "93000", /key in webhook_url/],
    [{ errcode: 40058, errmsg: "exceed max length 4096" }, "refused", "40058", /too long/],
    [{ errcode: 45002, errmsg: "content size out of limit" }, "refused", "45002", /too long/],
    [{ errcode: 40008, errmsg: "invalid message type" }, "refused", "40008", /message type/],
  ];
  for (const [json, outcome, code, reason] of codes)
    it(`reads ${JSON.stringify(json)} as ${outcome}`, () => {
      const read = readWecomReply({ status: 200, json, clockAheadMs: null });
      assert.deepEqual([read?.outcome, read?.code], [outcome, code]);
      if (reason !== undefined) assert.match(JSON.stringify(read), reason);
    });

  it("takes no reply without an errcode for an answer", () => {
    assert.equal(readWecomReply({ status: 200, json: { code: 0 }, clockAheadMs: null }), null);
  });
});
