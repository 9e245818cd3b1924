import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { inspect } from "node:util";
import { Secret } from "../../src/base/secret.ts";
import type { Fault } from "../../src/core/errors.ts";
import { channelWarnings, parseChannel, parseChannels } from "../../src/notify/settings.ts";
import { noFiles, spec } from "./kit.ts";

const feishuSeed = {
  type: "feishu",
  webhook_url: "https://open.feishu.cn/open-apis/bot/v2/hook/abc",
  enabled: true,
};
const dingtalkSeed = {
  type: "dingtalk",
  webhook_url: "https://oapi.dingtalk.com/robot/send?access_token=abc",
  enabled: true,
};
const emailSeed = {
  type: "email",
  smtp_server: "smtp.x",
  smtp_port: 587,
  username: "u",
  password: "p",
  to_emails: ["a@b"],
  enabled: true,
};

function faultsOf(input: unknown, deps = noFiles): readonly Fault[] {
  const parsed = parseChannel(input, "alerts.channels[0]", deps);
  assert.equal(parsed.ok, false, "it was accepted");
  return parsed.faults;
}

function fault(input: unknown, at: string): string {
  const found = faultsOf(input).filter(({ path }) => path === `alerts.channels[0]${at}`);
  assert.equal(found.length, 1, `one fault at ${at}, got ${JSON.stringify(faultsOf(input))}`);
  return found[0]?.message ?? "";
}

describe("channel settings", () => {
  it("take the three seed shapes as they are", () => {
    for (const seed of [feishuSeed, dingtalkSeed, emailSeed]) {
      const { name, type, enabled, levels, language, maxPerMinute } = spec(seed);
      assert.deepEqual(
        { name, type, enabled, levels, language, maxPerMinute },
        {
          name: seed.type,
          type: seed.type,
          enabled: true,
          levels: null,
          language: null,
          maxPerMinute: null,
        },
      );
    }
  });

  it("are enabled unless they say otherwise", () => {
    const { enabled: _, ...rest } = feishuSeed;
    assert.equal(spec(rest).enabled, true);
    assert.equal(spec({ ...rest, enabled: false }).enabled, false);
  });

  it("take every optional setting", () => {
    const robot = spec({
      ...dingtalkSeed,
      name: "运维群 1",
      levels: ["warning", "critical"],
      language: "en",
      secret: "SEC1",
      keyword: "告警",
      mention: { mobiles: ["13800000000", "+1-1234567890"], user_ids: ["ou_1"], all: false },
    });
    assert.equal(robot.name, "运维群 1");
    assert.deepEqual(robot.levels, ["warning", "critical"]);
    const mail = spec({ ...emailSeed, from: "TargetVPC <alerts@b.example>", tls: "implicit" });
    assert.equal(mail.type, "email");
  });

  it("show every secret as ***, and everything else as it was given", () => {
    assert.deepEqual(spec({ ...feishuSeed, secret: "hidden", keyword: "k" }).shown, {
      ...feishuSeed,
      webhook_url: "***",
      secret: "***",
      keyword: "k",
    });
    assert.deepEqual(spec(emailSeed).shown, { ...emailSeed, password: "***" });
  });

  it("never print a secret by accident", () => {
    const parsed = spec({
      ...feishuSeed,
      webhook_url: "https://x.example/topsecret",
      secret: "topsecret",
    });
    assert.ok(!JSON.stringify(parsed).includes("topsecret"));
    assert.ok(!inspect(parsed, { depth: 9 }).includes("topsecret"));
  });

  it("tell a misspelt key the nearest known one, common or own", () => {
    assert.match(
      fault({ ...feishuSeed, webhok_url: "x" }, ".webhok_url"),
      /did you mean "webhook_url"/,
    );
    assert.match(fault({ ...feishuSeed, enbled: true }, ".enbled"), /did you mean "enabled"/);
    assert.match(
      fault({ ...feishuSeed, webhook_url_fil: "x" }, ".webhook_url_fil"),
      /did you mean "webhook_url_file"/,
    );
    assert.match(
      fault({ ...emailSeed, smtp_sever: "x" }, ".smtp_sever"),
      /did you mean "smtp_server"/,
    );
    assert.match(
      fault({ ...feishuSeed, mention: { mobile: [] } }, ".mention.mobile"),
      /did you mean "mobiles"/,
    );
  });

  it("report every fault at once", () => {
    const paths = faultsOf({
      type: "email",
      smtp_port: 0,
      to_emails: ["nobody"],
      levels: ["fatal"],
      language: "fr",
      enabled: "yes",
      colour: 1,
    }).map((one) => one.path.replace("alerts.channels[0]", ""));
    assert.deepEqual(paths.sort(), [
      ".colour",
      ".enabled",
      ".language",
      ".levels[0]",
      ".smtp_port",
      ".smtp_server",
      ".to_emails[0]",
    ]);
  });

  it("list the known types when the type is missing or unknown", () => {
    assert.match(
      fault({ webhook_url: "https://x" }, ".type"),
      /is required; known types: feishu, dingtalk, wecom, slack, email, webhook, alertmanager/,
    );
    assert.match(fault({ type: "pager" }, ".type"), /unknown type "pager"; known types: feishu/);
    assert.match(fault({ type: 7 }, ".type"), /unknown type a number/);
    assert.deepEqual(faultsOf("feishu"), [
      { path: "alerts.channels[0]", message: "expected an object, got a string" },
    ]);
    assert.match(faultsOf(null)[0]?.message ?? "", /got null/);
    assert.match(faultsOf([])[0]?.message ?? "", /got a list/);
  });

  const wrong: readonly [
    what: string,
    input: Record<string, unknown>,
    at: string,
    message: RegExp,
  ][] = [
    [
      "a webhook_url that is none",
      { ...feishuSeed, webhook_url: "feishu" },
      ".webhook_url",
      /http:\/\/ or https:\/\//,
    ],
    [
      "another scheme",
      { ...feishuSeed, webhook_url: "ftp://x/y" },
      ".webhook_url",
      /http:\/\/ or https:\/\//,
    ],
    ["no webhook_url", { type: "feishu" }, ".webhook_url", /is required/],
    ["an empty secret", { ...feishuSeed, secret: "" }, ".secret", /must not be empty/],
    [
      "a secret that is a number",
      { ...feishuSeed, secret: 12345 },
      ".secret",
      /expected a text, got a number/,
    ],
    ["no level", { ...feishuSeed, levels: [] }, ".levels", /expected a level/],
    ["a name with a slash", { ...feishuSeed, name: "a/b" }, ".name", /letters, digits/],
    [
      "a mention that is markup",
      { ...feishuSeed, mention: { user_ids: ["x></at>"] } },
      ".mention.user_ids[0]",
      /user id/,
    ],
    ["a port that is a text", { ...emailSeed, smtp_port: "587" }, ".smtp_port", /port number/],
    ["a port out of range", { ...emailSeed, smtp_port: 70_000 }, ".smtp_port", /1 to 65535/],
    ["no recipient", { ...emailSeed, to_emails: [] }, ".to_emails", /at least one/],
    [
      "a recipient that ends a header",
      { ...emailSeed, to_emails: ["a@b\r\nBcc: c@d"] },
      ".to_emails[0]",
      /an address/,
    ],
    [
      "two recipients in one text",
      { ...emailSeed, to_emails: ["a@b,c@d"] },
      ".to_emails[0]",
      /an address/,
    ],
    [
      "a sender that ends a header",
      { ...emailSeed, from: "x <a@b>\nBcc: c@d" },
      ".from",
      /an address/,
    ],
    [
      "a username without a password",
      { type: "email", smtp_server: "s", to_emails: ["a@b"], username: "u" },
      ".password",
      /required with a username/,
    ],
    [
      "an unknown kind of TLS",
      { ...emailSeed, tls: "ssl" },
      ".tls",
      /auto, implicit, starttls, none/,
    ],
    [
      "a server that is a URL",
      { ...emailSeed, smtp_server: "smtp://x" },
      ".smtp_server",
      /host name/,
    ],
  ];
  for (const [what, input, at, message] of wrong)
    it(`refuse ${what}`, () => assert.match(fault(input, at), message));

  it("keep secrets out of every fault", () => {
    const hidden = "hidden-secret-value";
    const texts = [
      faultsOf({ ...feishuSeed, webhook_url: hidden, secret: [hidden], mention: hidden }),
      faultsOf({ ...emailSeed, password: { value: hidden } }),
      faultsOf({ ...feishuSeed, secret: hidden, secret_file: `/x` }),
    ];
    assert.ok(!JSON.stringify(texts).includes(hidden));
  });

  it("check a disabled channel like any other", () => {
    assert.match(fault({ type: "feishu", enabled: false }, ".webhook_url"), /is required/);
  });
});

describe("channel settings from files", () => {
  let dir = "";
  const deps = { readFile: (file: string): string => readFileSync(file, "utf8") };
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), "targetvpc-settings-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const write = (name: string, text: string): string => {
    const file = path.join(dir, name);
    writeFileSync(file, text);
    return file;
  };

  it("read secrets and drop the newline at the end", () => {
    const parsed = parseChannel(
      {
        type: "feishu",
        webhook_url_file: write("url", "https://x.example/hook\n"),
        secret_file: write("secret", "s3cret\r\n"),
      },
      "c",
      deps,
    );
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const { webhook_url, secret } = parsed.value.settings as Record<string, unknown>;
    assert.ok(webhook_url instanceof Secret && secret instanceof Secret);
    assert.equal(webhook_url.reveal(), "https://x.example/hook");
    assert.equal(secret.reveal(), "s3cret");
    assert.deepEqual(parsed.value.shown, {
      type: "feishu",
      webhook_url_file: path.join(dir, "url"),
      secret_file: path.join(dir, "secret"),
    });
  });

  it("read the password and the authority of a mail server", () => {
    const { password: _, ...rest } = emailSeed;
    const parsed = parseChannel(
      { ...rest, password_file: write("p", "pass word\n"), ca_file: write("ca", "PEM\n") },
      "c",
      deps,
    );
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const { password, ca } = parsed.value.settings as Record<string, unknown>;
    assert.ok(password instanceof Secret);
    assert.equal(password.reveal(), "pass word");
    assert.equal(ca, "PEM");
  });

  const only = (input: Record<string, unknown>): Fault => {
    const parsed = parseChannel(input, "c", deps);
    assert.ok(!parsed.ok);
    assert.equal(parsed.faults.length, 1, JSON.stringify(parsed.faults));
    return parsed.faults[0] ?? { path: "", message: "" };
  };

  it("name a file that cannot be read, and say nothing of the missing value", () => {
    const missing = path.join(dir, "missing");
    const { path: at, message } = only({ type: "feishu", webhook_url_file: missing });
    assert.equal(at, "c.webhook_url_file");
    assert.ok(message.includes(missing), message);
  });

  it("refuse a secret that is given both ways", () => {
    assert.deepEqual(only({ ...feishuSeed, secret: "a", secret_file: write("s", "b") }), {
      path: "c.secret_file",
      message: "is given beside secret; give one of them",
    });
  });

  it("refuse an empty file, a wrong content and a path that is none, under the key that names the file", () => {
    assert.match(only({ type: "feishu", webhook_url_file: write("e", "\n") }).message, /is empty/);
    const content = only({ type: "feishu", webhook_url_file: write("w", "not a url") });
    assert.equal(content.path, "c.webhook_url_file");
    assert.match(content.message, /http:\/\/ or https:\/\//);
    assert.match(
      only({ ...feishuSeed, secret_file: 5 }).message,
      /expected the path of a file, got a number/,
    );
  });
});

describe("a list of channels", () => {
  it("names the second of two that share a name", () => {
    const parsed = parseChannels(
      [feishuSeed, dingtalkSeed, { ...dingtalkSeed, name: "feishu" }],
      "alerts.channels",
      noFiles,
    );
    assert.ok(!parsed.ok);
    assert.deepEqual(parsed.faults, [
      {
        path: "alerts.channels[2].name",
        message: `"feishu" is the name of alerts.channels[0] too; give one of them another name`,
      },
    ]);
  });

  it("reports the faults of every item", () => {
    const parsed = parseChannels(
      [{ type: "x" }, feishuSeed, { type: "feishu" }],
      "channels",
      noFiles,
    );
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.faults.map((one) => one.path),
      ["channels[0].type", "channels[2].webhook_url"],
    );
  });

  it("must be a list", () => {
    assert.deepEqual(parseChannels({}, "channels", noFiles), {
      ok: false,
      faults: [{ path: "channels", message: "expected a list, got an object" }],
    });
    assert.deepEqual(parseChannels([], "channels", noFiles), { ok: true, value: [] });
  });
});

describe("channel warnings", () => {
  it("tell of a robot's address in clear, except on loopback", () => {
    const at = (url: string): readonly string[] =>
      channelWarnings(spec({ ...feishuSeed, webhook_url: url }));
    assert.equal(at("http://robot.example/hook/secret-token").length, 1);
    assert.ok(!at("http://robot.example/hook/secret-token").join().includes("secret-token"));
    for (const url of [
      "https://robot.example/x",
      "http://127.0.0.1:9/x",
      "http://localhost/x",
      "http://[::1]/x",
    ])
      assert.deepEqual(at(url), [], url);
  });

  it("tell of mail in clear, except on loopback", () => {
    assert.equal(channelWarnings(spec({ ...emailSeed, tls: "none" })).length, 1);
    assert.deepEqual(
      channelWarnings(spec({ ...emailSeed, smtp_server: "localhost", tls: "none" })),
      [],
    );
    assert.deepEqual(channelWarnings(spec(emailSeed)), []);
  });

  it("tell of mobiles, which Feishu cannot call", () => {
    assert.match(
      channelWarnings(spec({ ...feishuSeed, mention: { mobiles: ["13800000000"] } })).join(),
      /mobiles/,
    );
  });

  it("takes a lower rate, and says what a rate may be", () => {
    assert.equal(spec({ ...feishuSeed, max_per_minute: 5 }).maxPerMinute, 5);
    for (const wrong of [0, -1, 1.5, 1_001, "5"])
      assert.match(fault({ ...feishuSeed, max_per_minute: wrong }, ".max_per_minute"), /expected/);
  });
});
