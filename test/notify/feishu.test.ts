import assert from "node:assert/strict";
import { systemClock } from "../../src/base/clock.ts";
import type { Outcome } from "../../src/core/delivery.ts";
import { feishuSign, readFeishuReply } from "../../src/notify/feishu.ts";
import { ManualClock } from "../support/clock.ts";
import { startFeishu, type Robot, type RobotOptions } from "../support/robots.ts";
import { message, openChannel, startMs, withHttp } from "./kit.ts";

const never = new AbortController().signal;

interface Sent {
  readonly outcome: Outcome;
  readonly robot: Robot;
}

/** Sends one message to a robot through the real channel. */
async function sendOne(
  options: RobotOptions,
  settings: Record<string, unknown> = {},
  {
    of = message(),
    prepare,
  }: { of?: ReturnType<typeof message>; prepare?: (robot: Robot) => void } = {},
): Promise<Sent> {
  const clock = new ManualClock(startMs);
  const robot = await startFeishu({ clock, ...options });
  prepare?.(robot);
  try {
    const outcome = await withHttp((http) =>
      openChannel({ type: "feishu", webhook_url: robot.url, ...settings }, { http, clock }).send(
        of,
        never,
      ),
    );
    return { outcome, robot };
  } finally {
    await robot.close();
  }
}

/** The buttons of the card a robot took: what they say, where they lead, how they look. */
function buttonsOf(robot: Robot): (readonly [string, string, string])[] {
  const { body } = robot.received.at(-1)!.body["card"] as {
    body: {
      elements: {
        tag: string;
        text: { content: string };
        type: string;
        behaviors: { type: string; default_url: string }[];
      }[];
    };
  };
  return body.elements
    .filter(({ tag }) => tag === "button")
    .map(({ text, type, behaviors }) => {
      assert.deepEqual(
        behaviors.map((one) => one.type),
        ["open_url"],
      );
      return [text.content, behaviors[0]?.default_url ?? "", type];
    });
}

function reply(json: Record<string, unknown>, clockAheadMs: number | null = null): Outcome | null {
  return readFeishuReply({ status: 200, json, clockAheadMs });
}

describe("Feishu", () => {
  it("signs as the documentation's example does", () => {
    assert.equal(feishuSign("1599360473", "demo"), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
  });

  it("sends a card, coloured by level, that holds every row", async () => {
    const { outcome, robot } = await sendOne({}, { language: "en" });
    assert.deepEqual(outcome, { outcome: "sent", code: "0" });
    const [received] = robot.received;
    assert.equal(received?.title, "[CRITICAL] cpu 97.3 % on node-1");
    assert.match(received?.text ?? "", /Condition: cpu > 80 %\nCurrent value: 97\.3 %/);
    assert.match(JSON.stringify(received?.body), /"template":"red"/);
  });

  for (const [kind, level, colour] of [
    ["firing", "warning", "orange"],
    ["firing", "info", "blue"],
    ["resolved", "critical", "green"],
  ] as const)
    it(`colours ${kind} ${level} ${colour}`, async () => {
      const { robot } = await sendOne({}, {}, { of: message(kind, { level }) });
      assert.match(JSON.stringify(robot.received[0]?.body), new RegExp(`"template":"${colour}"`));
    });

  it("is taken by a robot that checks signatures", async () => {
    const { outcome } = await sendOne({ secret: "s3cret" }, { secret: "s3cret" });
    assert.equal(outcome.outcome, "sent");
  });

  it("is refused with a wrong secret, whatever the HTTP status", async () => {
    for (const errorStatus of [200, 400]) {
      const { outcome, robot } = await sendOne(
        { secret: "s3cret", errorStatus },
        { secret: "other" },
      );
      assert.equal(outcome.outcome, "refused");
      assert.equal(outcome.code, "19021");
      assert.equal(robot.received.length, 0);
    }
  });

  it("tells how wrong the clock is when a signature is refused for it", async () => {
    const slow = new ManualClock(startMs - 2 * 3_600_000);
    const robot = await startFeishu({ secret: "s", clock: new ManualClock(startMs) });
    try {
      const outcome = await withHttp((http) =>
        openChannel(
          { type: "feishu", webhook_url: robot.url, secret: "s" },
          { http, clock: slow },
        ).send(message(), never),
      );
      assert.equal(outcome.outcome, "refused");
      assert.ok(
        outcome.outcome === "refused" && /clock is 7200 s behind/.test(outcome.reason),
        JSON.stringify(outcome),
      );
    } finally {
      await robot.close();
    }
  });

  it("puts the keyword in front of a title that does not hold it, and only then", async () => {
    const added = await sendOne({ keyword: "告警" }, { keyword: "告警" });
    assert.equal(added.robot.received[0]?.title, "告警 [CRITICAL] cpu 97.3 % on node-1");
    const there = await sendOne({ keyword: "cpu" }, { keyword: "cpu" });
    assert.equal(there.robot.received[0]?.title, "[CRITICAL] cpu 97.3 % on node-1");
    const missing = await sendOne({ keyword: "告警" });
    assert.equal(missing.outcome.code, "19024");
  });

  it("calls people by id and everybody, but nobody when all is well", async () => {
    const mention = { user_ids: ["ou_1", "ou_2"], all: true };
    const { robot } = await sendOne({}, { mention });
    assert.ok(
      robot.received[0]?.text.includes("<at id=all></at><at id=ou_1></at><at id=ou_2></at>"),
    );
    const over = await sendOne({}, { mention }, { of: message("resolved") });
    assert.ok(!over.robot.received[0]?.text.includes("<at"));
  });

  it("lets nobody's text call people or make links", async () => {
    const evil = "<at id=all></at> [click](https://evil.example) **bold**";
    const { robot } = await sendOne(
      {},
      {},
      { of: message("firing", { subject: { message: evil } }) },
    );
    const { body } = (robot.received[0]?.body["card"] ?? { body: { elements: [] } }) as {
      body: { elements: { text?: { tag: string; content: string } }[] };
    };
    const { elements } = body;
    const holding = elements.filter(({ text }) => text?.content.includes("evil.example") === true);
    assert.deepEqual(
      holding.map(({ text }) => text?.tag),
      ["plain_text"],
    );
  });

  it("links to the runbook and the details", async () => {
    const { robot } = await sendOne(
      {},
      {},
      {
        of: message(
          "firing",
          { subject: { runbookUrl: "https://wiki.example/a(b)" } },
          { publicUrl: "https://agent.example" },
        ),
      },
    );
    assert.deepEqual(buttonsOf(robot), [
      ["Runbook", "https://wiki.example/a(b)", "default"],
      ["Details", "https://agent.example/api/alerts/inc-1", "default"],
    ]);
  });

  it("has a button for each thing people may do, and the first stands out", async () => {
    const actions = [
      { action: "ack", url: "https://agent.example/actions/a" },
      { action: "silence_hour", url: "https://agent.example/actions/b" },
      { action: "silence_morning", url: "https://agent.example/actions/c" },
    ] as const;
    const of = message("firing", {}, { actions });
    const { outcome, robot } = await sendOne({}, { language: "zh-CN" }, { of });
    assert.equal(outcome.outcome, "sent");
    assert.deepEqual(buttonsOf(robot), [
      ["确认", "https://agent.example/actions/a", "primary"],
      ["静默 1 小时", "https://agent.example/actions/b", "default"],
      ["静默到明早", "https://agent.example/actions/c", "default"],
    ]);
  });

  for (const [what, huge] of [
    ["letters", "a".repeat(60_000)],
    ["Chinese", "磁盘空间不足".repeat(5_000)],
    ["emoji", "🔥".repeat(20_000)],
    ["control characters", "\u0001".repeat(20_000)],
    ["quotes", '"\\'.repeat(20_000)],
  ] as const)
    it(`keeps to 20,000 bytes with a message of ${what}, and says that it is shortened`, async () => {
      const { outcome, robot } = await sendOne(
        {},
        {},
        { of: message("firing", { subject: { message: huge } }) },
      );
      assert.equal(outcome.outcome, "sent");
      const [received] = robot.received;
      assert.ok(
        (received?.bytes ?? 0) <= 20_000 && (received?.bytes ?? 0) > 15_000,
        `${received?.bytes} bytes`,
      );
      assert.ok(received?.text.includes("(shortened)"));
      assert.ok(!received?.text.includes("\ufffd"));
    });

  const codes: readonly [
    json: Record<string, unknown>,
    outcome: Outcome["outcome"],
    code: string,
    reason?: RegExp,
  ][] = [
    [{ code: 0, msg: "success", data: {} }, "sent", "0"],
    [{ StatusCode: 0, StatusMessage: "success" }, "sent", "0"],
    [
      { Extra: null, StatusCode: 0, StatusMessage: "success", code: 0, data: {}, msg: "success" },
      "sent",
      "0",
    ],
    [{ code: 11232, msg: "frequency limited" }, "retry", "11232", /frequency limited/],
    [{ code: 9499, msg: "too many request" }, "retry", "9499"],
    [{ code: 9499, msg: "Bad Request" }, "refused", "9499", /Bad Request/],
    [{ code: 19001, msg: "param invalid" }, "refused", "19001", /webhook_url is wrong/],
    [{ code: 19021, msg: "sign match fail" }, "refused", "19021", /clock/],
    [{ code: 19022, msg: "Ip Not Allowed" }, "refused", "19022", /allow-list/],
    [{ code: 19024, msg: "Key Words Not Found" }, "refused", "19024", /keyword/],
    [{ code: 10003, msg: "something new" }, "refused", "10003", /something new/],
    [{ StatusCode: 19001, StatusMessage: "gone" }, "refused", "19001", /gone/],
    [{ code: 99 }, "refused", "99", /no reason given/],
  ];
  for (const [json, outcome, code, reason] of codes)
    it(`reads ${JSON.stringify(json)} as ${outcome}`, () => {
      const read = reply(json);
      assert.equal(read?.outcome, outcome);
      assert.equal(read?.code, code);
      if (reason !== undefined)
        assert.ok(
          read !== null && read.outcome !== "sent" && reason.test(read.reason),
          JSON.stringify(read),
        );
    });

  it("takes no reply without a code for an answer", () => {
    assert.equal(reply({}), null);
    assert.equal(reply({ code: "0" }), null);
  });

  it("speaks of the clock only when it is more than a minute off", () => {
    const refusal = { code: 19021, msg: "sign match fail" };
    assert.match(JSON.stringify(reply(refusal, 3_000)), /check the secret/);
    assert.match(JSON.stringify(reply(refusal, 90_000)), /90 s ahead of/);
    assert.match(JSON.stringify(reply(refusal, -90_000)), /90 s behind/);
  });
});

describe("a robot's reply", () => {
  const table: readonly [
    what: string,
    answer: Parameters<Robot["respondWith"]>[0],
    expected: Outcome["outcome"],
    code: string,
  ][] = [
    ["HTTP 500", { status: 500, body: "oops" }, "retry", "http_500"],
    ["HTTP 502 with a success in it", { status: 502, body: { code: 0 } }, "retry", "http_502"],
    ["HTTP 429", { status: 429, body: "slow down" }, "retry", "http_429"],
    ["HTTP 404 without JSON", { status: 404, body: "<html>" }, "refused", "http_404"],
    [
      "a redirect",
      { status: 302, headers: { Location: "https://elsewhere.example/" }, body: "" },
      "refused",
      "http_302",
    ],
    ["a closed connection", "drop", "retry", "network"],
    ["HTTP 200 that is no JSON", { body: "<html>login</html>" }, "retry", "unreadable_reply"],
    ["HTTP 200 without a code", { body: {} }, "retry", "unreadable_reply"],
    ["HTTP 200 and a list", { body: "[]" }, "retry", "unreadable_reply"],
    ["an endless body", { body: "x".repeat(100_000) }, "retry", "unreadable_reply"],
  ];
  for (const [what, answer, expected, code] of table)
    it(`of ${what} means ${expected}`, async () => {
      const { outcome } = await sendOne({}, {}, { prepare: (robot) => robot.respondWith(answer) });
      assert.equal(outcome.outcome, expected, JSON.stringify(outcome));
      assert.equal(outcome.code, code);
    });

  it("says when to come back, by Retry-After", async () => {
    const { outcome } = await sendOne(
      {},
      {},
      {
        prepare: (robot) =>
          robot.respondWith({ status: 429, headers: { "Retry-After": "17" }, body: "" }),
      },
    );
    assert.ok(outcome.outcome === "retry");
    assert.equal(outcome.retryAfterMs, 17_000);
  });

  it("that cannot be read is tried once more and then given up", async () => {
    const robot = await startFeishu();
    robot.respondWith({ body: "ok?" });
    try {
      await withHttp(async (http) => {
        const channel = openChannel(
          { type: "feishu", webhook_url: robot.url },
          { http, clock: systemClock },
        );
        const [first, second] = [message(), message()];
        assert.equal((await channel.send(first, never)).outcome, "retry");
        assert.equal((await channel.send(second, never)).outcome, "retry");
        assert.equal((await channel.send(first, never)).outcome, "refused");
        robot.respondWith(null);
        assert.equal((await channel.send(second, never)).outcome, "sent");
      });
    } finally {
      await robot.close();
    }
  });

  it("that never comes because nobody listens is the network's fault", async () => {
    const robot = await startFeishu();
    await robot.close();
    const outcome = await withHttp((http) =>
      openChannel({ type: "feishu", webhook_url: robot.url }, { http, clock: systemClock }).send(
        message(),
        never,
      ),
    );
    assert.equal(outcome.outcome, "retry");
    assert.equal(outcome.code, "network");
    assert.ok(!JSON.stringify(outcome).includes(robot.token));
  });
});
