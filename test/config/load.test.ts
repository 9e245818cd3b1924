import assert from "node:assert/strict";
import { AgentError } from "../../src/core/errors.ts";
import { Secret } from "../../src/base/secret.ts";
import { parseConfigText } from "../../src/config/file.ts";
import { loadConfig } from "../../src/config/load.ts";
import { settingsTable, type Config } from "../../src/config/settings.ts";

const table = settingsTable({
  backends: ["memory", "redis"],
  collectors: ["cpu", "memory", "disk"],
});
const files: Readonly<Record<string, string>> = {
  "/run/secrets/redis": "from-a-file\n",
  "/run/secrets/empty": "",
};

function load(file: unknown, env: Record<string, string> = {}): Config {
  return loadConfig(table, {
    file,
    env,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Error(`ENOENT: no such file, open '${path}'`);
      return text;
    },
  }).config;
}

function faults(file: unknown, env: Record<string, string> = {}): string[] {
  try {
    load(file, env);
  } catch (cause) {
    assert.ok(cause instanceof AgentError);
    assert.equal(cause.code, "CONFIG_INVALID");
    return cause.faults.map(({ path, message }) => `${path}: ${message}`);
  }
  assert.fail("expected faults");
}

describe("configuration", () => {
  it("has a default for everything", () => {
    const config = load(undefined);
    assert.equal(config.redis.port, 6379);
    assert.equal(config.admin.base_url, null);
    assert.equal(config.metrics.collection_interval, 10);
    assert.equal(config.alerts.language, "zh-CN");
    assert.deepEqual(config.alerts.precedence, ["admin", "configmap", "file"]);
    assert.equal(config.server.port, 8001);
  });

  it("takes the file over the defaults and the environment over the file", () => {
    const config = load(
      { redis: { host: "a", port: 1 }, alerts: { send_resolved: false } },
      { REDIS_PORT: "7000", METRICS_COLLECTION_INTERVAL: "30", ALERTS_PRECEDENCE: "file, admin" },
    );
    assert.equal(config.redis.host, "a");
    assert.equal(config.redis.port, 7000);
    assert.equal(config.alerts.send_resolved, false);
    assert.equal(config.metrics.collection_interval, 30);
    assert.deepEqual(config.alerts.precedence, ["file", "admin"]);
  });

  for (const [text, value] of [
    ["true", true],
    ["1", true],
    ["yes", true],
    ["0", false],
    ["no", false],
    ["off", false],
  ] as const)
    it(`reads ${text} in the environment as ${value}`, () => {
      assert.equal(load(undefined, { ALERTS_DEFAULT_RULES: text }).alerts.default_rules, value);
    });

  it("treats an empty variable as none, and what Kubernetes calls REDIS_PORT too", () => {
    const config = load(undefined, {
      REDIS_PASSWORD: "",
      REDIS_PORT: "tcp://10.96.3.4:6379",
      SERVER_PORT: "tcp://10.96.3.5:8001",
    });
    assert.equal(config.redis.password, null);
    assert.equal(config.redis.port, 6379);
    assert.equal(config.server.port, 8001);
  });

  it("reads secrets from files, without the newline at the end", () => {
    assert.equal(
      load(undefined, { REDIS_PASSWORD_FILE: "/run/secrets/redis" }).redis.password?.reveal(),
      "from-a-file",
    );
    assert.equal(
      load({ redis: { password_file: "/run/secrets/redis" } }).redis.password?.reveal(),
      "from-a-file",
    );
  });

  it("lets a secret from the environment win over one from the file, in either form", () => {
    assert.equal(
      load(
        { redis: { password: "old" } },
        { REDIS_PASSWORD_FILE: "/run/secrets/redis" },
      ).redis.password?.reveal(),
      "from-a-file",
    );
    assert.equal(
      load(
        { redis: { password_file: "/nowhere" } },
        { REDIS_PASSWORD: "new" },
      ).redis.password?.reveal(),
      "new",
    );
  });

  it("knows the short form of TLS, and that a certificate means TLS", () => {
    assert.equal(load({ redis: { tls: true } }).redis.tls.enabled, true);
    assert.equal(load({ redis: { tls: { ca_file: "/ca.pem" } } }).redis.tls.enabled, true);
    assert.equal(load(undefined).redis.tls.enabled, false);
  });

  it("reads labels of the node as an object or as a list of pairs", () => {
    assert.deepEqual(load(undefined).node.labels, {});
    assert.deepEqual(load({ node: { labels: { pool: "gpu", "a.b/c": "" } } }).node.labels, {
      pool: "gpu",
      "a.b/c": "",
    });
    assert.deepEqual(
      load({ node: { labels: { pool: "x" } } }, { NODE_LABELS: "pool=gpu, zone = a=b ,empty=" })
        .node.labels,
      { pool: "gpu", zone: "a=b", empty: "" },
    );
    const expected =
      'expected labels such as {"pool": "gpu"} (pool=gpu,zone=a in the environment, each name once), got';
    for (const text of ["gpu", "pool=gpu,", "=gpu", "a=1,a=2"])
      assert.deepEqual(faults(undefined, { NODE_LABELS: text }), [
        `NODE_LABELS: ${expected} "${text}"`,
      ]);
    assert.deepEqual(faults({ node: { labels: ["pool=gpu"] } }), [
      `node.labels: ${expected} a list`,
    ]);
    assert.deepEqual(faults({ node: { labels: { pool: 1 } } }), [
      'node.labels: expected a text for "pool", got 1',
    ]);
    assert.deepEqual(faults({ node: { labels: { "": "x" } } }), [
      "node.labels: has a label without a name",
    ]);
  });

  it("takes addresses as texts or as objects, and from a variable separated by commas", () => {
    const given = ["10.0.0.1:26379", "[fd00::1]:26380", { host: "sentinel-2.example", port: 1 }];
    const { redis } = load({ redis: { sentinels: given, sentinel_name: "mymaster" } });
    assert.deepEqual(redis.sentinels, [
      { host: "10.0.0.1", port: 26_379 },
      { host: "fd00::1", port: 26_380 },
      { host: "sentinel-2.example", port: 1 },
    ]);
    const env = { REDIS_CLUSTER_NODES: "a:7000, [::1]:7001" };
    assert.deepEqual(load(undefined, env).redis.cluster_nodes, [
      { host: "a", port: 7_000 },
      { host: "::1", port: 7_001 },
    ]);
  });

  it("refuses what is no address, without showing it", () => {
    for (const wrong of [
      "a",
      "a:0",
      "a:65536",
      ":1",
      "::1:6379",
      "[a]:1",
      "a b:1",
      "redis://:s3cret@a:1",
      1,
      null,
      { host: "a" },
      { host: "a", port: "1" },
      { host: "a", port: 1, db: 0 },
    ]) {
      const found = faults({ redis: { cluster_nodes: ["b:1", wrong] } });
      assert.equal(found.length, 1, JSON.stringify(wrong));
      assert.match(
        found[0]!,
        /^redis\.cluster_nodes: expected host:port such as .* as number 2, got/,
      );
      assert.doesNotMatch(found[0]!, /s3cret/);
    }
    assert.deepEqual(faults(undefined, { REDIS_CLUSTER_NODES: "a:1,a:1" }), [
      "REDIS_CLUSTER_NODES: names number 2 twice",
    ]);
    assert.match(faults({ redis: { sentinels: "a:1" } })[0]!, /^redis\.sentinels: expected a list/);
  });

  it("refuses ways to Redis that cannot stand together, each with its place", () => {
    const nodes = ["a:1"];
    for (const [redis, env, expected] of [
      [
        { url: "redis://h", sentinels: nodes, sentinel_name: "m" },
        {},
        ["redis.sentinels: both this and redis.url are set; keep one"],
      ],
      [
        { cluster_nodes: nodes },
        { REDIS_URL: "redis://h" },
        ["redis.cluster_nodes: both this and REDIS_URL are set; keep one"],
      ],
      [
        { sentinels: nodes, sentinel_name: "m" },
        { REDIS_CLUSTER_NODES: "a:1" },
        ["REDIS_CLUSTER_NODES: both this and redis.sentinels are set; keep one"],
      ],
      [
        { sentinels: nodes },
        {},
        ["redis.sentinel_name: is missing: what the Sentinels call the master, often mymaster"],
      ],
      [
        { sentinel_name: "m", sentinel_password_file: "/run/secrets/redis" },
        {},
        [
          "redis.sentinel_name: is of no use without redis.sentinels (REDIS_SENTINELS)",
          "redis.sentinel_password_file: is of no use without redis.sentinels (REDIS_SENTINELS)",
        ],
      ],
      [
        { cluster_nodes: nodes },
        { REDIS_DB: "1" },
        ["REDIS_DB: expected 0: a cluster has no other database"],
      ],
    ] as const)
      assert.deepEqual(faults({ redis }, env), expected);
    assert.equal(load({ redis: { host: "h", port: 1, cluster_nodes: nodes } }).redis.host, "h");
  });

  it("reports every fault at once, each at its key or its variable", () => {
    assert.deepEqual(
      faults(
        {
          redis: { prot: 1, port: 0 },
          metrics: "often",
          log: { level: "inof" },
          alerts: { rules: {} },
          servers: {},
        },
        { SERVER_PORT: "12abc", METRICS_RETENTION_DAYS: "1e3x", ALERTS_SEND_RESOLVED: "maybe" },
      ).sort(),
      [
        'ALERTS_SEND_RESOLVED: expected true or false, got "maybe"',
        'METRICS_RETENTION_DAYS: expected a whole number from 1 to 90, got "1e3x"',
        'SERVER_PORT: expected a whole number from 0 to 65535, got "12abc"',
        "alerts.rules: expected a list, got an object",
        'log.level: expected one of debug, info, warn, error, got "inof"; did you mean "info"?',
        "metrics: expected an object, got a string",
        "redis.port: expected a whole number from 1 to 65535, got 0",
        'redis.prot: unknown key; did you mean "port"?',
        'servers: unknown key; did you mean "server"?',
      ],
    );
  });

  for (const [name, file, env, expected] of [
    ["a file that is a list", [], {}, ": expected an object of settings, got a list"],
    [
      "a retention of a year",
      { metrics: { retention_days: 365 } },
      {},
      "metrics.retention_days: expected a whole number from 1 to 90, got 365",
    ],
    [
      "a fractional interval",
      { metrics: { collection_interval: 2.5 } },
      {},
      "metrics.collection_interval: expected a whole number from 1 to 300, got 2.5",
    ],
    [
      "an unknown collector",
      { metrics: { collectors: { dsk: true } } },
      {},
      'metrics.collectors: knows no "dsk"; did you mean disk?',
    ],
    [
      "a URL without a scheme",
      { admin: { base_url: "admin.example.com" } },
      {},
      "admin.base_url: expected a URL such as https://admin.example.com, got a string that is none",
    ],
    [
      "a null where none may be",
      { server: { host: null } },
      {},
      "server.host: expected a text, got null",
    ],
    [
      "both forms of a secret",
      { redis: { password: "a", password_file: "/run/secrets/redis" } },
      {},
      "redis.password_file: both this and redis.password are set; keep one",
    ],
    [
      "a secret file that is not there",
      {},
      { ADMIN_TOKEN_FILE: "/nope" },
      "ADMIN_TOKEN_FILE: cannot be read: ENOENT: no such file, open '/nope'",
    ],
    [
      "an empty secret file",
      {},
      { ADMIN_TOKEN_FILE: "/run/secrets/empty" },
      "ADMIN_TOKEN_FILE: expected a text, got another text",
    ],
    [
      "a backend nobody wrote",
      { storage: { backend: "etcd" } },
      {},
      'storage.backend: expected one of memory, redis, got "etcd"',
    ],
    [
      "a precedence that names one twice",
      { alerts: { precedence: ["admin", "admin"] } },
      {},
      'alerts.precedence: names "admin" twice',
    ],
  ] as const)
    it(`refuses ${name}`, () => {
      assert.deepEqual(faults(file, env), [expected]);
    });

  it("never shows a secret in a fault", () => {
    const shown = faults(
      {
        redis: { url: "http://user:hunter2@redis", password: 12345678 },
        admin: { base_url: "https://u:hunter2@admin" },
        server: { token: ["hunter2"] },
      },
      {},
    ).join("\n");
    assert.equal(shown.split("\n").length, 4);
    assert.doesNotMatch(shown, /hunter2|12345678/);
  });

  it("masks secrets in every print", () => {
    const { password } = load({ redis: { password: "hunter2" } }).redis;
    assert.ok(password instanceof Secret);
    assert.equal(`${String(password)} ${JSON.stringify({ password })}`, '*** {"password":"***"}');
  });
});

describe("configuration text", () => {
  it("reads JSON with comments and trailing commas", async () => {
    assert.deepEqual(
      await parseConfigText('\uFEFF{ // a node\n "redis": { "port": 1, /* two */ }, }', "a.json"),
      { redis: { port: 1 } },
    );
  });

  it("reads YAML by its suffix", async () => {
    assert.deepEqual(await parseConfigText("redis:\n  port: 1\n", "a.yaml"), {
      redis: { port: 1 },
    });
  });

  it("takes an empty file for none", async () => {
    assert.equal(await parseConfigText("  \n", "a.json"), undefined);
  });

  for (const [text, path, expected] of [
    ['{\n "password": hunter2\n}', "a.json", "not valid JSON at line 2, column 14 (InvalidSymbol)"],
    [
      '{"password": "hunter2"',
      "a.json",
      "not valid JSON at line 1, column 23 (CloseBraceExpected)",
    ],
    ["a: 'hunter2\n", "a.yaml", "not valid YAML at line 2, column 1 (MISSING_CHAR)"],
    ["a: *hunter2\n", "a.yml", "not valid YAML: too many aliases, or one that points nowhere"],
  ] as const)
    it(`says where ${JSON.stringify(text)} is wrong, and shows none of it`, async () => {
      await assert.rejects(
        () => parseConfigText(text, path),
        (cause: unknown) =>
          cause instanceof AgentError &&
          cause.message === expected &&
          cause.faults[0]?.path === path,
      );
    });
});
