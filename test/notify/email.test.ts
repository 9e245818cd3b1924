import assert from "node:assert/strict";
import { systemClock } from "../../src/base/clock.ts";
import { deadline } from "../../src/base/every.ts";
import type { AlertMessage, Outcome } from "../../src/core/delivery.ts";
import { startSmtp, type Smtp, type SmtpOptions } from "../support/smtp.ts";
import { makeTls, type TlsFiles } from "../support/tls.ts";
import { message, openChannel, withHttp } from "./kit.ts";

const password = "p4ss-w0rd-of-the-robot";
const auth = { user: "alerts@example.com", pass: password };

describe("e-mail", () => {
  let files: TlsFiles;
  let smtp: Smtp | undefined;
  before(() => {
    files = makeTls();
  });
  afterEach(async () => {
    await smtp?.close();
    smtp = undefined;
  });

  /** Sends messages through one channel to a server of the given kind. */
  async function sendAll(
    options: SmtpOptions,
    settings: Record<string, unknown>,
    {
      of = [message()],
      timeoutMs = 5_000,
    }: { of?: readonly AlertMessage[]; timeoutMs?: number } = {},
  ): Promise<{ outcomes: Outcome[]; server: Smtp }> {
    const server = await startSmtp({ files, ...options });
    smtp = server;
    const outcomes = await withHttp(async (http) => {
      const channel = openChannel(
        {
          type: "email",
          smtp_server: server.host,
          smtp_port: server.port,
          to_emails: ["ops@example.com"],
          ca: files.ca,
          ...settings,
        },
        { http, clock: systemClock },
      );
      const results: Outcome[] = [];
      for (const one of of) {
        const limit = deadline(systemClock, timeoutMs);
        results.push(await channel.send(one, limit.signal));
        limit.clear();
      }
      await channel.close();
      return results;
    });
    return { outcomes, server };
  }

  async function sendOne(
    options: SmtpOptions,
    settings: Record<string, unknown> = {},
    more: { of?: readonly AlertMessage[]; timeoutMs?: number } = {},
  ): Promise<{ outcome: Outcome; server: Smtp }> {
    const { outcomes, server } = await sendAll(options, settings, more);
    const [outcome] = outcomes;
    assert.ok(outcome !== undefined);
    return { outcome, server };
  }

  const login = { username: auth.user, password };

  it("goes out over STARTTLS with a login, in text and HTML", async () => {
    const { outcome, server } = await sendOne({ auth }, login);
    assert.deepEqual(outcome, { outcome: "sent", code: "250" });
    const [mail] = server.received;
    assert.equal(mail?.encrypted, true);
    assert.equal(mail?.user, auth.user);
    assert.equal(mail?.from, auth.user);
    assert.deepEqual(mail?.to, ["ops@example.com"]);
    assert.equal(mail?.headers.get("subject"), "[CRITICAL] cpu 97.3 % on node-1");
    assert.match(
      mail?.parts.get("text/plain") ?? "",
      /Condition: cpu > 80 %\nCurrent value: 97\.3 %/,
    );
    assert.match(mail?.parts.get("text/html") ?? "", /cpu &gt; 80 %/);
  });

  it("goes out over TLS from the first byte", async () => {
    const { outcome, server } = await sendOne(
      { auth, tls: "implicit" },
      { ...login, tls: "implicit" },
    );
    assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
    assert.equal(server.received[0]?.encrypted, true);
  });

  it("goes out in clear only when told so", async () => {
    const { outcome, server } = await sendOne({ tls: "none" }, { tls: "none" });
    assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
    assert.equal(server.received[0]?.encrypted, false);
  });

  it("is not sent, nor is the password, when STARTTLS was stripped", async () => {
    for (const tls of ["auto", "starttls"]) {
      const { outcome, server } = await sendOne({ auth, tls: "stripped" }, { ...login, tls });
      assert.equal(outcome.outcome, "retry");
      assert.equal(outcome.code, "ETLS");
      assert.match(JSON.stringify(outcome), /no TLS, so not sent/);
      assert.deepEqual(server.received, []);
      assert.match(server.wire(), /EHLO/);
      for (const hidden of [
        password,
        Buffer.from(password).toString("base64"),
        Buffer.from(`\0${auth.user}\0${password}`).toString("base64"),
        "node-1",
        "AUTH",
        "MAIL FROM",
      ])
        assert.ok(!server.wire().includes(hidden), `${hidden} went out in clear`);
      await server.close();
    }
  });

  it("is not sent to a server with an unknown certificate", async () => {
    const { outcome, server } = await sendOne({ auth }, { ...login, ca: makeTls().ca });
    assert.equal(outcome.outcome, "retry");
    assert.match(JSON.stringify(outcome), /certificate|signature/i);
    assert.deepEqual(server.received, []);
  });

  it("is not sent to a server with an expired certificate", async () => {
    const expired = makeTls({ expired: true });
    for (const tls of ["starttls", "implicit"] as const) {
      const { outcome, server } = await sendOne(
        { auth, tls, files: expired },
        { ...login, tls, ca: expired.ca },
      );
      assert.equal(outcome.outcome, "retry");
      assert.equal(outcome.code, "ETLS");
      assert.match(JSON.stringify(outcome), /no TLS, so not sent: certificate has expired/);
      assert.deepEqual(server.received, []);
      await server.close();
    }
  });

  it("is not sent to a server whose certificate is another's", async () => {
    const elsewhere = makeTls({ names: "DNS:mail.example.org" });
    for (const tls of ["starttls", "implicit"] as const) {
      const { outcome, server } = await sendOne(
        { auth, tls, files: elsewhere },
        { ...login, tls, ca: elsewhere.ca },
      );
      assert.deepEqual([outcome.outcome, outcome.code], ["retry", "ETLS"]);
      assert.match(JSON.stringify(outcome), /no TLS, so not sent: .*does not match.*127\.0\.0\.1/);
      assert.deepEqual(server.received, []);
      await server.close();
    }
  });

  it("is refused with a wrong password, which stays out of the reason", async () => {
    const { outcome } = await sendOne({ auth }, { ...login, password: "another-password" });
    assert.equal(outcome.outcome, "refused");
    assert.equal(outcome.code, "535");
    assert.ok(!JSON.stringify(outcome).includes("another-password"));
  });

  it("is tried again at a greylisting server and taken then, under the same Message-ID", async () => {
    const one = message();
    const { outcomes, server } = await sendAll({ greylist: 2 }, {}, { of: [one, one, one] });
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["retry", "retry", "sent"],
    );
    assert.equal(outcomes[0]?.code, "451");
    assert.equal(server.received[0]?.headers.get("message-id"), `<${one.id}@localhost>`);
  });

  it("is refused by 5xx, be it about the recipient or the message", async () => {
    const unknown = await sendOne({
      recipients: { "ops@example.com": { code: 550, text: "5.1.1 no such user" } },
    });
    assert.equal(unknown.outcome.outcome, "refused");
    assert.equal(unknown.outcome.code, "550");
    await unknown.server.close();
    const sender = await sendOne({ refuseSender: { code: 550, text: "5.7.1 not your address" } });
    assert.deepEqual([sender.outcome.outcome, sender.outcome.code], ["refused", "550"]);
    assert.match(JSON.stringify(sender.outcome), /not your address/);
    await sender.server.close();
    const busy = await sendOne({ refuseSender: { code: 421, text: "4.3.2 too busy" } });
    assert.deepEqual([busy.outcome.outcome, busy.outcome.code], ["retry", "421"]);
    await busy.server.close();
    const spam = await sendOne({ refuse: { code: 554, text: "5.7.1 looks like spam" } });
    assert.equal(spam.outcome.outcome, "refused");
    assert.match(JSON.stringify(spam.outcome), /looks like spam/);
    await spam.server.close();
    const full = await sendOne({ refuse: { code: 452, text: "4.2.2 mailbox full" } });
    assert.equal(full.outcome.outcome, "retry");
    assert.equal(full.outcome.code, "452");
  });

  it("is sent when one of three recipients is unknown, and names that one", async () => {
    const { outcome, server } = await sendOne(
      { recipients: { "gone@example.com": { code: 550, text: "no such user" } } },
      { to_emails: ["a@example.com", "gone@example.com", "b@example.com"] },
    );
    assert.deepEqual(outcome, {
      outcome: "sent",
      code: "250",
      note: "rejected: gone@example.com (550)",
    });
    assert.deepEqual(server.received[0]?.to, ["a@example.com", "b@example.com"]);
  });

  describe("to three recipients", () => {
    const to_emails = ["a@example.com", "b@example.com", "c@example.com"];
    const [a, b, c] = to_emails as [string, string, string];
    const toThree = (
      recipients: NonNullable<SmtpOptions["recipients"]>,
      tries: number,
      options: SmtpOptions = {},
    ): Promise<{ outcomes: Outcome[]; server: Smtp }> => {
      const one = message();
      return sendAll(
        { recipients, ...options },
        { to_emails },
        { of: Array.from({ length: tries }, () => one) },
      );
    };

    it("is tried again for the one that was put off, and for nobody else", async () => {
      const { outcomes, server } = await toThree(
        { [b]: { code: 451, text: "4.7.1 greylisted", times: 2 } },
        3,
      );
      assert.deepEqual(outcomes.at(-1), { outcome: "sent", code: "250" });
      for (const outcome of outcomes.slice(0, 2))
        assert.deepEqual(outcome, {
          outcome: "retry",
          code: "451",
          reason: `taken for ${a}, ${c}; not yet for ${b} (451 4.7.1 greylisted)`,
        });
      assert.deepEqual(
        server.received.map(({ to }) => to),
        [[a, c], [b]],
      );
      assert.deepEqual(Object.fromEntries(server.asked()), { [a]: 1, [b]: 3, [c]: 1 });
      const [first, second] = server.received;
      assert.equal(second?.headers.get("message-id"), first?.headers.get("message-id"));
      assert.equal(second?.headers.get("to"), to_emails.join(", "));
    });

    it("is settled for those who have it when the one that was put off is refused at last", async () => {
      const { outcomes, server } = await toThree(
        { [b]: { code: 451, text: "4.7.1 greylisted", times: 1 }, [c]: { code: 550, text: "no" } },
        2,
      );
      assert.equal(outcomes[0]?.outcome, "retry");
      assert.deepEqual(outcomes[1], { outcome: "sent", code: "250", note: `rejected: ${c} (550)` });
      assert.deepEqual(
        server.received.map(({ to }) => to),
        [[a], [b]],
      );
      assert.deepEqual(Object.fromEntries(server.asked()), { [a]: 1, [b]: 2, [c]: 1 });
    });

    it("is settled for those who have it when the whole mail is refused later", async () => {
      const options: { -readonly [K in keyof SmtpOptions]: SmtpOptions[K] } = {
        files,
        recipients: { [b]: { code: 451, text: "later", times: 1 } },
      };
      smtp = await startSmtp(options);
      const { host, port, ca } = smtp;
      await withHttp(async (http) => {
        const channel = openChannel(
          { type: "email", smtp_server: host, smtp_port: port, to_emails, ca },
          { http, clock: systemClock },
        );
        const [one, never] = [message(), new AbortController().signal];
        assert.equal((await channel.send(one, never)).outcome, "retry");
        options.refuse = { code: 554, text: "5.7.1 looks like spam" };
        const last = await channel.send(one, never);
        assert.equal(last.outcome, "sent");
        assert.match(last.note ?? "", /^rejected: b@example\.com/);
        await channel.close();
      });
      assert.equal(smtp.received.length, 1);
    });

    it("is refused, with the words about each, when all of them are", async () => {
      const { outcomes, server } = await toThree(
        {
          [a]: { code: 550, text: "5.1.1 no such user" },
          [b]: { code: 552, text: "5.2.2 full" },
          [c]: { code: 550, text: "5.1.1 no such user" },
        },
        1,
      );
      assert.deepEqual(outcomes, [
        {
          outcome: "refused",
          code: "550",
          reason: `taken for nobody: ${a} (550 5.1.1 no such user), ${b} (552 5.2.2 full), ${c} (550 5.1.1 no such user)`,
        },
      ]);
      assert.deepEqual(server.received, []);
    });

    it("waits for the one that is only put off while the others are refused", async () => {
      const { outcomes, server } = await toThree(
        {
          [a]: { code: 550, text: "no" },
          [b]: { code: 451, text: "later", times: 1 },
          [c]: { code: 550, text: "no" },
        },
        2,
      );
      assert.deepEqual([outcomes[0]?.outcome, outcomes[0]?.code], ["retry", "451"]);
      assert.deepEqual(outcomes[1], {
        outcome: "sent",
        code: "250",
        note: `rejected: ${a} (550), ${c} (550)`,
      });
      assert.deepEqual(server.received[0]?.to, [b]);
    });
  });

  for (const drop of ["recipient", "data"] as const)
    it(`is tried again when the connection ends at the ${drop}, and goes then`, async () => {
      const one = message();
      const { outcomes, server } = await sendAll({ drop }, {}, { of: [one, one] });
      assert.equal(outcomes[0]?.outcome, "retry", JSON.stringify(outcomes));
      assert.match(JSON.stringify(outcomes[0]), /closed|ECONNRESET/);
      assert.deepEqual(outcomes[1], { outcome: "sent", code: "250" });
      assert.equal(server.received.length, 1);
    });

  for (const hang of ["connect", "data"] as const)
    it(`gives up at the deadline when the server hangs at ${hang}`, async () => {
      const beganMs = performance.now();
      const { outcome } = await sendOne({ hang }, {}, { timeoutMs: 400 });
      assert.equal(outcome.outcome, "retry");
      assert.equal(outcome.code, "timeout");
      assert.ok(performance.now() - beganMs < 3_000);
    });

  it("is the network's fault when nobody listens", async () => {
    const gone = await startSmtp({ files });
    await gone.close();
    const { outcome } = await sendOne({}, { smtp_port: gone.port });
    assert.equal(outcome.outcome, "retry");
    assert.match(JSON.stringify(outcome), /ECONNREFUSED/);
  });

  it("threads every mail of an incident, and answers no holiday notice", async () => {
    const { server } = await sendAll(
      {},
      { from: "TargetVPC <alerts@corp.example>" },
      { of: [message(), message("resolved")] },
    );
    const [first, second] = server.received;
    assert.equal(first?.from, "alerts@corp.example");
    for (const mail of [first, second]) {
      assert.equal(mail?.headers.get("references"), "<alert-inc-1@corp.example>");
      assert.equal(mail?.headers.get("in-reply-to"), "<alert-inc-1@corp.example>");
      assert.equal(mail?.headers.get("auto-submitted"), "auto-generated");
    }
    assert.notEqual(first?.headers.get("message-id"), second?.headers.get("message-id"));
    assert.match(first?.headers.get("message-id") ?? "", /^<msg-\d+@corp\.example>$/);
    assert.equal(first?.headers.get("x-priority"), "1");
    assert.equal(second?.headers.get("x-priority"), undefined);
  });

  it("lets no text become a header or markup", async () => {
    const evil = message("firing", {
      id: "x>\r\nBcc: thief@example.com",
      subject: {
        message: '<script>alert("1")</script> & more',
        labels: { mount: "/a\r\nBcc: thief@example.com" },
        node: { cluster: "c", name: "n\r\nBcc: thief@example.com", ip: "" },
        runbookUrl: 'https://x.example/"><b>',
      },
    });
    const { outcome, server } = await sendOne(
      {},
      {},
      { of: [{ ...evil, id: "m\r\nBcc: thief@example.com" }] },
    );
    assert.equal(outcome.outcome, "sent");
    const [mail] = server.received;
    assert.deepEqual(mail?.to, ["ops@example.com"]);
    assert.equal(mail?.headers.get("bcc"), undefined);
    assert.ok(!/^bcc:/im.test(mail?.raw.split("\r\n\r\n")[0] ?? ""));
    const html = mail?.parts.get("text/html") ?? "";
    assert.ok(
      !html.includes("<script>") && html.includes("&lt;script&gt;alert(&quot;1&quot;)"),
      html,
    );
    assert.ok(!html.includes("<b>"), html);
  });

  describe("with a chart", () => {
    const recent = Array.from({ length: 180 }, (_, at) => (at === 90 ? null : at / 2));
    const charted = (more: Partial<AlertMessage> = {}): AlertMessage =>
      message("firing", {}, { recent, recentStepMs: 10_000, ...more });

    it("shows the last half hour as a picture that comes with it", async () => {
      const { outcome, server } = await sendOne({}, {}, { of: [charted({ id: "msg-chart" })] });
      assert.equal(outcome.outcome, "sent", JSON.stringify(outcome));
      const [mail] = server.received;
      const [file] = mail?.files ?? [];
      assert.equal(mail?.files.length, 1);
      assert.deepEqual(file?.within, ["multipart/alternative", "multipart/related"]);
      assert.match(file?.headers.get("content-type") ?? "", /^image\/png/);
      assert.match(file?.headers.get("content-disposition") ?? "", /^inline/);
      assert.equal(file?.headers.get("content-id"), "<chart.msg-chart@localhost>");
      assert.equal(file?.content.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
      const html = mail?.parts.get("text/html") ?? "";
      assert.match(html, /<img src="cid:chart\.msg-chart@localhost" width="600" height="160"/);
      assert.match(html, /alt="Trend: lowest 0 % · highest 89\.5 % · Threshold 80 %"/);
      assert.match(html, /2026-01-05T11:30:10Z – 2026-01-05T12:00:00Z/);
      assert.match(mail?.parts.get("text/plain") ?? "", /Trend: [▁▂▃▄▅▆▇█·]+\n/);
    });

    it("tells its numbers in Chinese too", async () => {
      const { server } = await sendOne({}, { language: "zh-CN" }, { of: [charted()] });
      const html = server.received[0]?.parts.get("text/html") ?? "";
      assert.match(html, /趋势：最低 0 % · 最高 89\.5 % · 阈值 80 %/);
    });

    it("has none where too little is known, or not of what times it is", async () => {
      const { recentStepMs: _none, ...older } = charted();
      const of = [charted({ recent: [1, null, 2] }), charted({ recent: [] }), older];
      const { server } = await sendAll({}, {}, { of });
      assert.equal(server.received.length, 3);
      for (const mail of server.received) {
        assert.deepEqual(mail.files, []);
        assert.ok(!(mail.parts.get("text/html") ?? "").includes("<img"));
      }
    });

    it("lets nothing in an id become markup or a header", async () => {
      const { server } = await sendOne(
        {},
        {},
        { of: [charted({ id: 'm">\r\nBcc: x@example.com' })] },
      );
      const [mail] = server.received;
      const id = mail?.files[0]?.headers.get("content-id") ?? "";
      assert.match(id, /^<chart\.[0-9a-f]{32}@localhost>$/);
      assert.ok(mail?.parts.get("text/html")?.includes(`"cid:${id.slice(1, -1)}"`));
    });
  });

  it("writes Chinese subjects and bodies that survive the way", async () => {
    const { server } = await sendOne({}, { language: "zh-CN" });
    const [mail] = server.received;
    assert.equal(mail?.headers.get("subject"), "[严重] node-1 CPU 97.3 %");
    assert.match(mail?.parts.get("text/plain") ?? "", /节点：prod\/node-1/);
    assert.match(mail?.parts.get("text/html") ?? "", /lang="zh-CN"/);
  });
});
