import assert from "node:assert/strict";
import fc from "fast-check";
import { Secret } from "../../src/base/secret.ts";
import type { ActionLink } from "../../src/core/action.ts";
import { dingtalkBody } from "../../src/notify/dingtalk.ts";
import { feishuBody } from "../../src/notify/feishu.ts";
import { composeMail } from "../../src/notify/mail.ts";
import { renderMessage } from "../../src/notify/render.ts";
import { slackBody } from "../../src/notify/slack.ts";
import { wecomBody } from "../../src/notify/wecom.ts";
import { message, startMs } from "./kit.ts";

const settings = { webhook_url: new Secret("https://robot.example/hook") };
const callingAll = { ...settings, mention: { mobiles: [], user_ids: [], all: true } };

/** Links as long as those of real alerts are, or of a given length. */
function actionsOf(length = 380): readonly ActionLink[] {
  return (["ack", "silence_hour", "silence_morning"] as const).map((action) => {
    const start = `https://nodes.example.com/actions/${action}`;
    return { action, url: start.padEnd(length, "x") };
  });
}

const of = message("firing", {}, { actions: actionsOf(), publicUrl: "https://nodes.example.com" });

describe("what people may do, in a message", () => {
  it("is links in WeCom's markdown and text, after which everything else is said", () => {
    const rendered = renderMessage(of, "zh-CN");
    const markdown = wecomBody(rendered, settings);
    for (const { label, url } of rendered.actions)
      assert.ok(markdown.includes(`[${label}](${url})`));
    const text = wecomBody(rendered, callingAll);
    assert.ok(text.includes(`确认：${of.actions?.[0]?.url}`));
    assert.ok(text.includes("查看详情：https://nodes.example.com/api/alerts/inc-1"));
    for (const body of [markdown, text]) assert.ok(body.includes("cpu > 80 %"));
  });

  it("is a link of its own in Slack", () => {
    const body = slackBody(renderMessage(of, "en"), settings);
    const { attachments } = JSON.parse(body) as {
      attachments: { blocks: { text: { text: string } }[] }[];
    };
    const texts = attachments[0]?.blocks.map(({ text }) => text.text) ?? [];
    for (const { label, url } of renderMessage(of, "en").actions)
      assert.ok(texts.includes(`<${url}|${label}>`), label);
  });

  it("is buttons in the HTML of a mail and lines in its text", () => {
    const { html, text } = composeMail(of, { language: "en", template: null }, "example.com");
    for (const { label, url } of renderMessage(of, "en").actions) {
      assert.match(html, new RegExp(`<a href="${url}" style="[^"<>]*">${label}</a>`));
      assert.ok(text.includes(`${label}: ${url}`));
    }
  });

  it("is nothing where a message has none, as those of an older version", () => {
    const none = message("firing", {}, { publicUrl: "https://nodes.example.com" });
    assert.deepEqual(renderMessage(none, "en").actions, []);
    assert.match(dingtalkBody(renderMessage(none, "en"), settings), /"msgtype":"markdown"/);
  });

  it("never makes a body too long, and addresses that are none are left out", () => {
    const texts = fc.string({ unit: "grapheme", maxLength: 6_000 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 60, max: 2_000 }), fc.boolean(), (said, length, all) => {
        const subject = { message: said, runbookUrl: "https://w.example/".padEnd(length, "r") };
        const long = message("firing", { subject }, { ...of, actions: actionsOf(length) });
        const rendered = renderMessage(long, "zh-CN");
        const to = all ? callingAll : settings;
        assert.ok(Buffer.byteLength(feishuBody(rendered, to, startMs)) <= 20_000);
        assert.ok(Buffer.byteLength(dingtalkBody(rendered, to)) <= 20_000);
        const parsed = JSON.parse(wecomBody(rendered, to)) as Record<string, { content?: string }>;
        const content = (parsed["markdown"] ?? parsed["text"])?.content ?? "";
        assert.ok(content !== "" && Buffer.byteLength(content) <= (all ? 2_048 : 4_096));
        assert.ok(content.includes("cpu"));
      }),
      { numRuns: 60 },
    );
    const evil = [{ action: "ack", url: "javascript:alert(1)" }] as const;
    assert.deepEqual(renderMessage(message("firing", {}, { actions: evil }), "en").actions, []);
  });
});
