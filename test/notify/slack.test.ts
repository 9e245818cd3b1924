import assert from "node:assert/strict";
import fc from "fast-check";
import { Secret } from "../../src/base/secret.ts";
import type { Outcome } from "../../src/core/delivery.ts";
import { renderMessage } from "../../src/notify/render.ts";
import { channelWarnings } from "../../src/notify/settings.ts";
import { readSlackReply, slackBody } from "../../src/notify/slack.ts";
import { ManualClock } from "../support/clock.ts";
import { startSlack, type Robot } from "../support/robots.ts";
import { message, openChannel, spec, startMs, withHttp } from "./kit.ts";

const never = new AbortController().signal;

async function sendOne(
  settings: Record<string, unknown> = {},
  of = message(),
  prepare: (robot: Robot) => void = () => {},
): Promise<{ outcome: Outcome; robot: Robot }> {
  const clock = new ManualClock(startMs);
  const robot = await startSlack({ clock });
  prepare(robot);
  try {
    const outcome = await withHttp((http) =>
      openChannel({ type: "slack", webhook_url: robot.url, ...settings }, { http, clock }).send(
        of,
        never,
      ),
    );
    return { outcome, robot };
  } finally {
    await robot.close();
  }
}

describe("Slack", () => {
  it("sends a title and an attachment, coloured by level, that holds every row", async () => {
    const { outcome, robot } = await sendOne();
    assert.deepEqual(outcome, { outcome: "sent", code: "ok" });
    const [received] = robot.received;
    assert.equal(received?.title, "*[CRITICAL] cpu 97.3 % on node-1*");
    assert.match(received?.text ?? "", /\*Node\*: prod\/node-1[^]*\*Condition\*: cpu &gt; 80 %/);
    assert.match(JSON.stringify(received?.body), /"color":"#d32f2f","fallback":"cpu &gt; 80 %"/);
  });

  it("calls member ids and the channel, and nobody when it is over", async () => {
    const mention = { user_ids: ["U012AB3CD"], all: true };
    const { robot } = await sendOne({ mention });
    assert.match(robot.received[0]?.title ?? "", /\n<!channel> <@U012AB3CD>$/);
    const over = await sendOne({ mention }, message("resolved", { status: "resolved", value: 12 }));
    assert.ok(!over.robot.received[0]?.text.includes("<"));
  });

  it("warns of mobiles and of names that are no member ids", () => {
    const webhook_url = "https://hooks.slack.com/services/T0/B0/0";
    const mention = { mobiles: ["13800000000"], user_ids: ["alice", "U012AB3CD"] };
    const warnings = channelWarnings(spec({ type: "slack", webhook_url, enabled: true, mention }));
    assert.match(warnings.join("\n"), /mention\.mobiles: .*\nmention\.user_ids: alice: /);
  });

  it("lets no label call anybody or fake a link", async () => {
    const hostile = "x <!channel> <@U1> <https://evil.example|login> a&b";
    const { robot } = await sendOne(
      {},
      message(
        "firing",
        {
          subject: {
            message: hostile,
            runbookUrl: "https://w.example/a|b?c=1&d=2",
            node: { cluster: hostile, name: hostile, ip: "10.0.0.1" },
          },
        },
        {},
      ),
    );
    const text = robot.received[0]?.text ?? "";
    assert.deepEqual(text.match(/<[^>]*>/g), ["<https://w.example/a%7Cb?c=1&amp;d=2|Runbook>"]);
    assert.ok(text.includes("&lt;!channel&gt;") && text.includes("a&amp;b"));
  });

  it("fits a section and is JSON whatever the texts", () => {
    const texts = fc.string({ unit: "binary", maxLength: 3_000 });
    fc.assert(
      fc.property(texts, texts, fc.nat(1_900), (name, said, length) => {
        const body = slackBody(
          renderMessage(
            message("firing", {
              subject: {
                message: said,
                rule: name,
                labels: { mount: said },
                runbookUrl: `https://w.example/?${"&".repeat(length)}`,
                node: { cluster: name, name, ip: "10.0.0.1" },
              },
            }),
            "zh-CN",
          ),
          { webhook_url: new Secret("https://robot.example/") },
        );
        const parsed = JSON.parse(body) as {
          attachments: { blocks: { text: { text: string } }[] }[];
        };
        for (const block of parsed.attachments[0]?.blocks ?? [])
          assert.ok(block.text.text.length > 0 && block.text.text.length <= 3_000);
      }),
      { numRuns: 100 },
    );
  });

  it("says when to come back after a message too many", async () => {
    const clock = new ManualClock(startMs);
    const robot = await startSlack({ clock });
    try {
      await withHttp(async (http) => {
        const channel = openChannel({ type: "slack", webhook_url: robot.url }, { http, clock });
        assert.equal((await channel.send(message(), never)).outcome, "sent");
        const outcome = await channel.send(message(), never);
        assert.ok(outcome.outcome === "retry");
        assert.equal(outcome.retryAfterMs, 1_000);
      });
    } finally {
      await robot.close();
    }
  });

  const replies: readonly [number, string, Outcome["outcome"], string, RegExp?][] = [
    [200, "ok", "sent", "ok"],
    [200, "no_service", "refused", "no_service", /make a new one/],
    [200, "<html>sign in</html>", "retry", "unreadable_reply"],
    [200, "", "retry", "unreadable_reply"],
    [400, "invalid_payload", "refused", "invalid_payload", /could not read/],
    [400, "user_not_found", "refused", "user_not_found", /make a new webhook/],
    [403, "action_prohibited", "refused", "action_prohibited", /administrator/],
    [403, "invalid_token", "refused", "invalid_token", /webhook_url/],
    [404, "channel_not_found", "refused", "channel_not_found", /gone/],
    [404, "no_service", "refused", "no_service", /webhook_url/],
    [410, "channel_is_archived", "refused", "channel_is_archived", /unarchive/],
    [400, "too_many_attachments", "refused", "too_many_attachments"],
    [404, "<html>not here</html>", "refused", "http_404"],
    [500, "rollup_error", "retry", "rollup_error"],
    [503, "", "retry", "http_503"],
  ];
  for (const [status, body, expected, code, reason] of replies)
    it(`reads HTTP ${status} ${JSON.stringify(body)} as ${expected}`, async () => {
      const { outcome } = await sendOne({}, message(), (robot) =>
        robot.respondWith({ status, headers: { "Content-Type": "text/html" }, body }),
      );
      assert.deepEqual([outcome.outcome, outcome.code], [expected, code]);
      if (reason !== undefined) assert.match(JSON.stringify(outcome), reason);
    });

  it("takes a rollup error for passing, whatever the status", () => {
    const read = readSlackReply({ status: 200, text: "rollup_error", clockAheadMs: null });
    assert.equal(read?.outcome, "retry");
  });
});
