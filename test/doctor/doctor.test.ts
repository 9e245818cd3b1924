import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { checks } from "../../src/doctor/index.ts";
import { propagationOf } from "../../src/doctor/host-root.ts";
import { readClaims } from "../../src/doctor/kubernetes-token.ts";
import { printed } from "../../src/doctor/print.ts";
import { Waits } from "../../src/doctor/waits.ts";
import { startAdminServer, type AdminServer } from "../support/admin.ts";
import { runAgent, startAgent } from "../support/agent.ts";
import { ManualClock } from "../support/clock.ts";
import { freePort, startRedis, type TestRedis } from "../support/redis.ts";
import { startFeishu, type Robot } from "../support/robots.ts";
import { startSmtp, type Smtp, type SmtpOptions } from "../support/smtp.ts";
import { doctor, startApiServer, tokenOf, writeKubeconfig, writeProc, type Answer } from "./kit.ts";

const password = "redis-password-1";
const adminToken = "admin-token-1";
const mailPassword = "mail-password-1";

describe("doctor", function () {
  this.timeout(30_000);
  let redis: TestRedis;
  let dir: string;
  let proc: string;
  const stops: (() => Promise<unknown>)[] = [];
  const track = <T extends { close(): Promise<unknown> }>(started: T): T => {
    stops.push(() => started.close());
    return started;
  };

  before(async () => {
    redis = await startRedis({ password });
  });
  after(() => redis.stop());
  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-doctor-"));
    proc = await writeProc(dir);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
    await rm(dir, { recursive: true, force: true });
  });

  const feishu = async (): Promise<Robot> => track(await startFeishu({}));
  const smtp = async (options: SmtpOptions = {}): Promise<Smtp> =>
    track(await startSmtp({ auth: { user: "ops", pass: mailPassword }, ...options }));
  const admin = async (): Promise<AdminServer> =>
    track(await startAdminServer({ token: adminToken }));
  const mail = async ({ port, ca }: Smtp, password = mailPassword): Promise<unknown> => {
    const file = path.join(dir, "ca.pem");
    await writeFile(file, ca);
    return {
      type: "email",
      smtp_server: "localhost",
      smtp_port: port,
      username: "ops",
      password,
      to_emails: ["duty@example.com"],
      ca_file: file,
    };
  };
  const config = (more: Record<string, unknown> = {}, channels: unknown[] = []): object => ({
    redis: { host: "127.0.0.1", port: redis.port, password },
    host: { proc, root: "/" },
    node: { name: "node-1", ip: "192.0.2.7" },
    kubernetes: { enabled: false },
    alerts: { channels },
    ...more,
  });

  it("says that all is fine, sends nothing and leaves nothing behind", async () => {
    const [robot, server, hub] = [await feishu(), await smtp(), await admin()];
    hub.serve({ alerts: { rules: [{ index: "cpu", threshold: 80 }] } });
    const stateDir = path.join(dir, "state");
    const channels = [
      { type: "feishu", webhook_url: robot.url },
      await mail(server),
      { type: "dingtalk", webhook_url: "https://robot.invalid/x", enabled: false },
    ];
    const found = await doctor({
      stateDir,
      config: config({ admin: { base_url: hub.url, token: adminToken } }, channels),
    });
    assert.deepEqual([found.code, found.troubles], [0, []], found.output);
    assert.match(found.of("redis").found, /version \d/);
    assert.match(found.of("admin").found, /1 rules, 0 channels/);
    assert.match(found.of("channel.file.email").found, /login accepted; nothing was sent/);
    assert.equal(found.of("channel.file.dingtalk").status, "off");
    assert.equal(found.of("clock.redis").status, "ok");
    assert.equal(robot.requests() + server.received.length, 0);
    assert.deepEqual(await redis.client.keys("*"), []);
    await assert.rejects(readdir(stateDir));
  });

  it("sends a test message through every channel when it is told to", async () => {
    const [robot, server] = [await feishu(), await smtp()];
    const channels = [{ type: "feishu", webhook_url: robot.url }, await mail(server)];
    const found = await doctor({ config: config({}, channels) }, ["--send"]);
    assert.equal(found.code, 0, found.output);
    assert.deepEqual([robot.received.length, server.received.length], [1, 1]);
    robot.respondWith({ body: { code: 19001, msg: "param invalid" } });
    const refused = await doctor({ config: config({}, channels.slice(0, 1)) }, ["--send"]);
    assert.match(refused.of("channel.file.feishu").found, /refused: .*19001/s);
  });

  it("says what is broken, what it costs and how to mend it, and no secret", async () => {
    const [server, hub] = [await smtp(), await admin()];
    const hook = "https://robot.invalid/open-apis/bot/v2/hook/0123456789-secret-hook";
    const channels = [
      { type: "feishu", webhook_url: hook },
      await mail(server, "not-this-password"),
      { type: "dingtalk", webhook_url: `http://127.0.0.1:${await freePort()}/robot` },
    ];
    const found = await doctor({
      stateDir: path.join(proc, "stat", "state"),
      config: config(
        {
          redis: { host: "127.0.0.1", port: redis.port, password: "wrong-password-1" },
          admin: { base_url: hub.url, token: "wrong-token-1" },
          host: { proc: path.join(dir, "nowhere"), source: "proc" },
        },
        channels,
      ),
    });
    assert.equal(found.code, 1);
    for (const [name, says, fix] of [
      ["redis", /WRONGPASS|NOAUTH/, /redis\.password/],
      ["admin", /admin\.token is not accepted/, /ADMIN_TOKEN/],
      ["channel.file.feishu", /does not resolve/, /DNS/],
      ["channel.file.email", /login is refused/, /password/],
      ["channel.file.dingtalk", /ECONNREFUSED/, /address/],
      ["storage.dir", /ENOTDIR/, /STORAGE_DIR/],
      ["host.proc", /ENOENT/, /HOST_PROC/],
      ["collector.cpu", /stat/, /metrics\.collectors\.cpu/],
    ] as const) {
      const finding = found.of(name);
      assert.equal(finding.status, "failed", name);
      assert.match(finding.found, says);
      assert.match(finding.fix ?? "", fix);
      assert.notEqual(finding.costs ?? "", "");
    }
    for (const secret of ["wrong-password-1", "wrong-token-1", "secret-hook", "not-this-password"])
      assert.ok(!found.output.includes(secret), secret);
  });

  it("tells an unknown node, an invalid answer and a clock apart", async () => {
    const hub = await admin();
    const from = (): ReturnType<typeof doctor> =>
      doctor({ config: config({ admin: { base_url: hub.url, token: adminToken } }) });
    const unknown = await from();
    assert.equal(unknown.of("admin").status, "warning");
    assert.match(unknown.of("admin").found, /not registered/);
    hub.answerConfig({
      headers: { Date: new Date(Date.now() - 3_600_000).toUTCString() },
      body: { alerts: { rules: [{ index: "cpu", threshold: "much" }] } },
    });
    const invalid = await from();
    assert.match(invalid.of("admin").found, /alerts\.rules\[0\]\.threshold/);
    assert.match(invalid.of("clock.admin").found, /36\d\d\.\d s ahead of that of admin/);
    assert.equal(invalid.code, 1);
  });

  it("ends in time whatever hangs", async () => {
    const [robot, server] = [await feishu(), await smtp({ hang: "connect" })];
    robot.respondWith("hang");
    const hub = await admin();
    hub.answerConfig(() => {});
    const api = track(await startApiServer(() => "hang"));
    const kubeconfig = await writeKubeconfig(dir, api.url, tokenOf("node-1"));
    redis.freeze();
    try {
      const found = await doctor(
        {
          config: config(
            {
              admin: { base_url: hub.url, token: adminToken },
              kubernetes: { enabled: true },
            },
            [{ type: "feishu", webhook_url: robot.url }, await mail(server)],
          ),
          env: { KUBECONFIG: kubeconfig },
        },
        ["--send"],
      );
      assert.equal(found.code, 1, found.output);
      assert.ok(found.seconds < 15, `${found.seconds} s`);
      for (const name of ["redis", "admin", "channel.file.feishu", "channel.file.email"])
        assert.match(found.of(name).found, /no (?:whole )?answer|timeout|timed out/i, name);
      assert.equal(found.of("kubernetes.api").status, "failed");
      assert.equal(found.of("kubernetes.right").status, "off");
    } finally {
      redis.thaw();
    }
  });

  it("says what a cluster does not allow, by the rule that would", async () => {
    const cm = "/api/v1/namespaces/monitoring/configmaps/targetvpc";
    const answer: Answer = (at, body) => {
      if (at === "/version") return { body: { gitVersion: "v1.37.1" } };
      if (at === "/api/v1/nodes/node-1") return { status: 404, body: {} };
      if (at === cm)
        return {
          body: {
            metadata: { name: "targetvpc" },
            data: { "config.yaml": "alerts:\n  rules: [{index: cpu, treshold: 1}]\n" },
          },
        };
      const { resourceAttributes: asked } = (
        body as {
          spec: { resourceAttributes: { verb: string; resource: string; namespace?: string } };
        }
      ).spec;
      const allowed = asked.resource !== "events" || asked.namespace !== "default";
      return { status: 201, body: { status: { allowed } } };
    };
    const api = track(await startApiServer(answer));
    const token = tokenOf("node-2");
    const found = await doctor({
      config: config({ kubernetes: { enabled: true, namespace: "monitoring" } }),
      env: { KUBECONFIG: await writeKubeconfig(dir, api.url, token) },
    });
    assert.equal(found.code, 1);
    assert.match(
      found.of("kubernetes.token").found,
      /Pod targetvpc-abcde, on node node-2, .*node-1/,
    );
    assert.ok(!found.output.includes(token.split(".")[1] ?? "?"));
    assert.deepEqual([...api.tokens], [`Bearer ${token}`]);
    const events = found.of("kubernetes.right.nodeEvents");
    assert.match(events.found, /may not create, patch/);
    assert.match(events.costs ?? "", /kubectl describe node/);
    assert.match(
      events.fix ?? "",
      /Role in namespace default.*"events\.k8s\.io".*"create", "patch"/,
    );
    assert.equal(found.of("kubernetes.right.configmap").status, "ok");
    assert.equal(found.of("kubernetes.right.nodeCondition").status, "off");
    assert.ok(api.reviews.some(({ verb, name }) => verb === "watch" && name === "targetvpc"));
    assert.match(found.of("kubernetes.configmap").found, /treshold/);
    assert.match(found.of("kubernetes.node").found, /no Node "node-1"/);
  });

  it("asks for the right to a condition only where it is switched on", async () => {
    const api = track(
      await startApiServer((at) =>
        at === "/version"
          ? { body: { gitVersion: "v1.37.1" } }
          : { status: 403, body: { kind: "Status", code: 403, message: "no" } },
      ),
    );
    const kubernetes = { enabled: true, events: false, node_condition: true };
    const found = await doctor({
      config: config({ kubernetes }),
      env: { KUBECONFIG: await writeKubeconfig(dir, api.url, "opaque-token") },
    });
    assert.equal(found.of("kubernetes.right.nodeEvents").status, "off");
    assert.equal(found.of("kubernetes.right.nodeCondition").status, "failed");
    assert.deepEqual(api.reviews.at(-1)?.["subresource"], "status");
    assert.match(found.of("kubernetes.configmap").found, /kubernetes\.right\.configmap/);
    assert.match(found.of("kubernetes.node").found, /kubernetes\.right\.node/);
  });

  it("knows the agent of this node from others that have its port", async () => {
    const port = await freePort();
    const env = { SERVER_PORT: String(port), NODE_NAME: "node-1" };
    const memory = { storage: { backend: "memory" }, kubernetes: { enabled: false } };
    const agent = await startAgent({ config: memory, env });
    try {
      const own = await doctor({ config: memory, env });
      assert.match(own.of("server").found, /the agent of this node answers/);
      assert.equal(own.of("redis").status, "off");
      const other = await doctor({ config: memory, env: { ...env, NODE_NAME: "node-2" } });
      assert.match(other.of("server").found, /another node answers: node-1/);
    } finally {
      await agent.stop();
    }
    const squatter = createServer((socket) => socket.end("hello\n"));
    await new Promise<void>((resolve) => squatter.listen(port, "127.0.0.1", resolve));
    const taken = await doctor({ config: memory, env });
    squatter.close();
    assert.equal(taken.of("server").status, "failed");
    assert.match(taken.of("server").found, /in use/);
  });

  it("doubts a Redis that may throw away what it holds", async () => {
    await redis.client.config("SET", "maxmemory", "1gb");
    await redis.client.config("SET", "maxmemory-policy", "allkeys-lru");
    try {
      const found = await doctor({ config: config() });
      assert.equal(found.of("redis.memory").status, "warning");
      assert.match(found.of("redis.memory").found, /allkeys-lru/);
      assert.match(found.of("channel").found, /there is no channel/);
    } finally {
      await redis.client.config("SET", "maxmemory", "0");
      await redis.client.config("SET", "maxmemory-policy", "noeviction");
    }
  });

  it("says which right in Redis is missing", async () => {
    await redis.client.call(
      "ACL",
      "SETUSER",
      "few",
      "on",
      ">few-password",
      "~targetvpc:*",
      "+ping",
      "+info",
      "+hset",
    );
    const found = await doctor({
      config: config({
        redis: { host: "127.0.0.1", port: redis.port, username: "few", password: "few-password" },
      }),
    });
    assert.equal(found.of("redis").status, "ok");
    assert.match(found.of("redis.write").found, /NOPERM/);
    assert.match(found.of("redis.write").fix ?? "", /~targetvpc:\*/);
    assert.equal(found.of("clock.redis").status, "off");
    await redis.client.flushall();
  });

  it("prints one aligned line a check, and problems below it", async () => {
    const { code, output } = await runAgent({ config: config(), args: ["doctor"] });
    assert.equal(code, 1);
    assert.match(output, /^ok {7}host\.proc {2,}\S/);
    assert.match(output, /^warning {2}channel .*\n {11}costs: .*\n {11}fix: {3}\S/m);
    assert.match(output, /\n\n\d+ ok, 1 warnings, 0 failed, \d+ off\n$/);
    assert.ok(!output.includes("\u001B"));
    const finding = { name: "x", status: "failed", found: "a\nb", costs: null, fix: null } as const;
    assert.ok(printed([finding], { colour: true }).startsWith("\u001B[31mfailed "));
    assert.match(printed([finding], { colour: false }), /x {2}a b/);
  });

  it("ends with 2 when the configuration or the use is wrong", async () => {
    const missing = await runAgent({
      unconfigured: true,
      args: ["doctor", "--config", "/nowhere.json"],
    });
    assert.equal(missing.code, 2);
    assert.match(missing.output, /nowhere\.json: cannot be read/);
    assert.equal((await runAgent({ config: { redis: { port: "x" } }, args: ["doctor"] })).code, 2);
    assert.equal((await runAgent({ args: ["doctor", "operand"] })).code, 2);
    const wrong = await runAgent({ args: ["--json"] });
    assert.deepEqual([wrong.code, /for doctor only/.test(wrong.output)], [2, true]);
  });

  it("reads propagation, claims and deadlines", async () => {
    const info = [
      "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw",
      "30 22 8:1 / /host/root ro,relatime master:1 - ext4 /dev/sda1 rw",
      "31 22 8:2 / /private ro - ext4 /dev/sdb1 rw",
    ].join("\n");
    assert.equal(propagationOf(info, "/host/root"), "master:1");
    assert.equal(propagationOf(info, "/private"), "");
    assert.equal(propagationOf(info, "/other"), null);
    assert.equal(readClaims("x.y.z"), null);
    assert.equal(readClaims(tokenOf("n"))?.["kubernetes.io"]?.node?.name, "n");
    const clock = new ManualClock();
    const waits = new Waits(clock);
    const never = Promise.withResolvers<undefined>();
    const late = assert.rejects(
      waits.within(1_000, () => never.promise),
      /no answer in 1000 ms/,
    );
    await clock.advance(1_000);
    await late;
    assert.equal(waits.leftBehind, 1);
    never.resolve(undefined);
    await clock.advance(0);
    assert.equal(waits.leftBehind, 0);
  });

  it("has checks of different names, each with its cost", () => {
    const names = checks.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { costs, doc } of checks) assert.ok(costs.length > 10 && doc.length > 10);
  });
});
