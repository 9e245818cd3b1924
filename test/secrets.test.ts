import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { allRoutes } from "../src/api/server.ts";
import { runAgent, startAgent, type Agent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import { startRedis, type TestRedis } from "./support/redis.ts";
import { startSmtp, type Smtp } from "./support/smtp.ts";

/** Letters that JSON, HTML, URLs and base64 all write in other ways, and some that none of them do. */
let made = 0;
const given = new Map<string, string>();
function secret(name: string, special = '"+/&<é%'): string {
  made += 1;
  const value = `${name}-${special}-${(made * 7_919_777).toString(36)}zq${made}`;
  given.set(name, value);
  return value;
}
/** What a header or a URL can carry as it is. */
const plainSecret = (name: string): string => secret(name, "x");

/** Every way in which a secret may be written down, found without any code of the agent's. */
function waysToWrite(value: string): string[] {
  const bytes = Buffer.from(value);
  const html = value
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
  const json = JSON.stringify(value).slice(1, -1);
  // base64 of it wherever it stands in a text: without the letters that its neighbours decide too.
  const encoded = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    return text
      .replace(/=+$/, "")
      .slice(before === 0 ? 0 : before + 1, bytes.length % 3 === 0 ? undefined : -2);
  });
  return [
    value,
    html,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(value),
    encodeURIComponent(value).toLowerCase(),
    new URLSearchParams({ a: value }).toString().slice(2),
    bytes.toString("hex"),
    ...encoded,
    ...encoded.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
  ];
}

/** The secrets that stand in a text, with the words around them. */
function leaks(text: string): string[] {
  return [...given].flatMap(([name, value]) =>
    waysToWrite(value).flatMap((way) => {
      const at = text.indexOf(way);
      return at < 0 ? [] : [`${name} as ${way}: …${text.slice(Math.max(0, at - 60), at + 80)}…`];
    }),
  );
}

/** Says back all it was sent, in every way there is: a service that is no friend of secrets. */
function echo(request: http.IncomingMessage): string {
  const url = request.url ?? "";
  const headers = JSON.stringify(request.headers);
  const login = /^Basic (.*)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const token = url.split(/[/=]/).at(-1) ?? "";
  return [
    "you sent",
    url,
    decodeURIComponent(url),
    token,
    Buffer.from(token).toString("base64"),
    headers,
    Buffer.from(login, "base64").toString(),
  ].join(" ");
}

const says: Readonly<Record<string, (words: string) => string>> = {
  feishu: (msg) => JSON.stringify({ code: 19001, msg }),
  dingtalk: (errmsg) => JSON.stringify({ errcode: 300001, errmsg }),
  wecom: (errmsg) => JSON.stringify({ errcode: 93000, errmsg }),
};
const takes: Readonly<Record<string, string>> = {
  feishu: '{"code":0}',
  dingtalk: '{"errcode":0}',
  wecom: '{"errcode":0}',
  slack: "ok",
};

/** Takes, refuses or puts off by the first part of the path; the second part says which service it is. */
async function startEcho(): Promise<{ url: string; close: () => void }> {
  const server = http.createServer((request, reply) => {
    request.resume().on("end", () => {
      const [, manner = "", service = ""] = (request.url ?? "").split("/");
      const words = echo(request);
      if (manner === "take") reply.end(takes[service] ?? "");
      else if (manner === "busy") reply.writeHead(503).end((says[service] ?? String)(words));
      else reply.writeHead(service in says ? 200 : 401).end((says[service] ?? String)(words));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

interface Hosts {
  readonly echo: string;
  readonly smtp: Smtp;
  readonly ca: string;
}

const robots = ["feishu", "dingtalk", "wecom", "slack"] as const;

/** Channels of every type, against services that take, refuse and put off, and against nobody at all. */
function channelsOf({ echo: url, smtp, ca }: Hosts): Record<string, unknown>[] {
  const places = [
    ["take", `${url}/take`],
    ["refuse", `${url}/refuse`],
    ["busy", `${url}/busy`],
    ["dns", "http://nowhere.invalid/dns"],
    ["closed", "http://127.0.0.1:1/closed"],
    ["tls", `${url.replace("http:", "https:")}/tls`],
  ] as const;
  const http_ = places.flatMap(([manner, at]) => [
    ...robots.map((type) => ({
      type,
      name: `${type}-${manner}`,
      webhook_url:
        type === "dingtalk"
          ? `${at}/${type}/send?access_token=${plainSecret(`token-${type}-${manner}`)}`
          : `${at}/${type}/${plainSecret(`token-${type}-${manner}`)}`,
      ...(type === "feishu" || type === "dingtalk"
        ? { secret: secret(`sign-${type}-${manner}`) }
        : {}),
    })),
    {
      type: "webhook",
      name: `webhook-${manner}`,
      url: `${at}/webhook/${plainSecret(`token-webhook-${manner}`)}`,
      secret: secret(`sign-webhook-${manner}`),
      token: plainSecret(`bearer-webhook-${manner}`),
    },
    {
      type: "alertmanager",
      name: `alertmanager-${manner}`,
      urls: [`${at}/alertmanager`],
      username: "tv",
      password: secret(`password-alertmanager-${manner}`),
    },
    {
      type: "alertmanager",
      name: `bearer-${manner}`,
      urls: [`${at}/alertmanager`],
      token: plainSecret(`bearer-alertmanager-${manner}`),
    },
  ]);
  const mail = (name: string, more: Record<string, unknown>) => ({
    type: "email",
    name,
    smtp_server: smtp.host,
    smtp_port: smtp.port,
    username: "ops",
    to_emails: ["duty@example.com"],
    ca_file: ca,
    ...more,
  });
  return [
    ...http_,
    mail("mail-refuse", { password: secret("password-mail") }),
    mail("mail-dns", { smtp_server: "nowhere.invalid", password: secret("password-mail-dns") }),
    mail("mail-closed", { smtp_port: 1, password: secret("password-mail-closed") }),
    mail("mail-tls", { ca_file: undefined, password: secret("password-mail-tls") }),
  ];
}

/** The same channels with every secret in a file of its own. */
async function inFiles(
  channels: readonly Record<string, unknown>[],
  dir: string,
): Promise<Record<string, unknown>[]> {
  const keys = ["webhook_url", "url", "secret", "token", "password"];
  return Promise.all(
    channels.map(async (channel) => {
      const entries = Object.entries(channel).map(async ([key, value]) => {
        if (!keys.includes(key)) return [key, value] as const;
        const file = path.join(dir, `${String(channel["name"])}-${key}`);
        await writeFile(file, `${String(value)}\n`);
        return [`${key}_file`, file] as const;
      });
      return Object.fromEntries(await Promise.all(entries));
    }),
  );
}

/** Throws, once told to, what quotes every secret. */
function crasher(): string {
  const words = JSON.stringify([...given.values()].join(" "));
  const code = `process.on("SIGUSR2", () => { throw new Error(${words}); });`;
  return `--import "data:text/javascript;base64,${Buffer.from(code).toString("base64")}"`;
}

describe("secrets", function () {
  this.timeout(120_000);
  let redis: TestRedis;
  let dir: string;
  let hosts: Hosts;
  let channels: Record<string, unknown>[];
  let env: Record<string, string>;
  const stops: (() => unknown)[] = [];

  before(async () => {
    redis = await startRedis({ password: secret("redis") });
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-secrets-"));
    const [server, smtp] = [
      await startEcho(),
      await startSmtp({ auth: { user: "ops", pass: "other" } }),
    ];
    const ca = path.join(dir, "ca.pem");
    await writeFile(ca, smtp.ca);
    stops.push(server.close, () => smtp.close());
    hosts = { echo: server.url, smtp, ca };
    channels = channelsOf(hosts);
    env = {
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD: given.get("redis")!,
      ADMIN_BASE_URL: `${hosts.echo}/refuse/admin`,
      ADMIN_TOKEN: plainSecret("admin"),
      SERVER_TOKEN: plainSecret("server"),
      LOG_LEVEL: "debug",
    };
  });
  after(async () => {
    for (const stop of stops) await stop();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const configOf = (all: readonly Record<string, unknown>[]) => ({
    kubernetes: { enabled: false },
    alerts: { default_rules: false, channels: all },
  });

  async function envInFiles(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const [name, value] of Object.entries(env)) {
      if (!/TOKEN|PASSWORD/.test(name)) {
        found[name] = value;
        continue;
      }
      const file = path.join(dir, name);
      await writeFile(file, `${value}\n`);
      found[`${name}_FILE`] = file;
    }
    return found;
  }

  /** Every GET there is, with ids and names that exist. */
  async function everyGet(agent: Agent): Promise<string> {
    const { items } = (await agent.get("/api/alerts")).json as { items: { id: string }[] };
    const id = items[0]?.id ?? "none";
    // Nothing of the view is looked at before a request comes.
    const routes = allRoutes({} as Parameters<typeof allRoutes>[0]).flatMap(
      ({ method, path: at }) => (method === "GET" ? [at.replaceAll(/:\w+/g, id)] : []),
    );
    assert.ok(routes.length > 15, routes.join());
    const all = ["/api/deliveries?limit=1000", "/nowhere", ...routes];
    const texts = await Promise.all(
      all.map(async (route) => {
        const reply = await fetch(agent.url + route);
        return `${route}\n${JSON.stringify([...reply.headers])}\n${await reply.text()}`;
      }),
    );
    return texts.join("\n");
  }

  async function write(agent: Agent, route: string, body: unknown): Promise<string> {
    const Authorization = `Bearer ${given.get("server")!}`;
    const headers = { "Content-Type": "application/json", Authorization };
    const reply = await fetch(agent.url + route, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return reply.text();
  }

  /** Whether every channel has a receipt that says more than "it waits". */
  async function allTried(agent: Agent): Promise<boolean> {
    const { items } = (await agent.get("/api/deliveries?limit=1000")).json as {
      items: { channel: string; outcome: string }[];
    };
    const tried = new Set(
      items.flatMap(({ channel, outcome }) => (outcome === "pending" ? [] : [channel])),
    );
    return channels.every(({ name }) => tried.has(String(name)));
  }

  for (const [how, asFiles] of [
    ["by value", false],
    ["by file", true],
  ] as const)
    it(`given ${how} stand in nothing that a running agent says, nor in its crash`, async () => {
      const all = asFiles ? await inFiles(channels, dir) : channels;
      const agent = await startAgent({
        config: configOf(all),
        env: { ...(asFiles ? await envInFiles() : env), NODE_OPTIONS: crasher() },
      });
      let said = "";
      try {
        const timestamp = Math.floor(Date.now() / 1_000);
        const alert = { index: "x", threshold: 1, current_value: 2, timestamp };
        said += await write(agent, "/api/alert", alert);
        await eventually("every channel is tried", () => allTried(agent), 30_000);
        said += (
          await Promise.all(
            channels.map(({ name }) => write(agent, `/api/channels/${String(name)}/test`, {})),
          )
        ).join("\n");
        said += await everyGet(agent);
        process.kill(agent.pid, "SIGUSR2");
        await eventually("it crashes", () => agent.output().includes('"crashed"'));
      } finally {
        await agent.kill();
      }
      const { items } = JSON.parse(
        /\/api\/deliveries\?limit=1000\n.*\n(.*)/.exec(said)?.[1] ?? "{}",
      ) as { items: { outcome: string }[] };
      const outcomes = new Set(items.map(({ outcome }) => outcome));
      for (const outcome of ["sent", "refused"])
        assert.ok(outcomes.has(outcome), [...outcomes].join());
      assert.match(said, /you sent/);
      assert.deepEqual([...leaks(said), ...leaks(agent.output())], []);
    });

  it("stand in nothing that is said about Redis and settings that are wrong", async () => {
    const wrong = await startAgent({
      config: configOf([]),
      env: { ...env, REDIS_PASSWORD: secret("redis-wrong"), REDIS_URL: "" },
    });
    const byUrl = encodeURIComponent(secret("redis-url"));
    const url = await startAgent({
      config: configOf([]),
      env: { ...env, REDIS_URL: `redis://:${byUrl}@127.0.0.1:${redis.port}/0` },
    });
    let said = "";
    try {
      for (const agent of [wrong, url]) {
        await eventually("it says that Redis refuses it", async () =>
          (await agent.get("/health")).text.includes("degraded"),
        );
        said += await everyGet(agent);
      }
    } finally {
      await Promise.all([wrong.stop(), url.stop()]);
    }
    assert.deepEqual([...leaks(said), ...leaks(wrong.output()), ...leaks(url.output())], []);
  });

  it("stand in nothing that the other commands print", async () => {
    const config = configOf(channels);
    const broken = configOf(channels.map((one) => ({ ...one, levels: ["no-level"], typo: 1 })));
    const channelNames = [
      ...[...robots, "webhook", "alertmanager", "bearer", "mail"].map((type) => `${type}-refuse`),
      "slack-busy",
      "alertmanager-busy",
      "feishu-dns",
      "mail-dns",
      "dingtalk-closed",
      "mail-closed",
      "webhook-tls",
      "mail-tls",
    ];
    const runs = [
      { config, args: ["check-config"] },
      { config: broken, args: ["check-config"] },
      { config: JSON.stringify(config).slice(0, -3), args: ["check-config"] },
      { config, args: ["doctor"] },
      { config, args: ["doctor", "--json"] },
      ...channelNames.map((name) => ({ config, args: ["test-channel", name] })),
    ];
    const found: string[] = [];
    for (const run of runs) {
      const { output } = await runAgent({ ...run, env });
      assert.notEqual(output, "", run.args.join(" "));
      found.push(...leaks(output).map((leak) => `${run.args.join(" ")}: ${leak}`));
    }
    assert.deepEqual(found, []);
  });
});
