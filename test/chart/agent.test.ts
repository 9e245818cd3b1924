import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { chart } from "../../scripts/chart.ts";
import { setNames } from "../../scripts/chart/golden.ts";
import type { KubernetesObject } from "../../scripts/chart/helm.ts";
import { loadConfig } from "../../src/config/load.ts";
import { leavesOf, type Config } from "../../src/config/settings.ts";
import { documentParser, table } from "../../src/settings.ts";
import { readFile } from "node:fs/promises";
import { startAgent } from "../support/agent.ts";
import { eventually } from "../support/clock.ts";
import { golden, podSpec, type Container } from "./support.ts";

const run = promisify(execFile);

/** What the downward API gives, and what Secrets hold that are not the chart's. */
const given: Readonly<Record<string, string>> = {
  NODE_NAME: "node-1",
  NODE_IP: "10.0.0.1",
  POD_NAME: "tv-x",
  POD_NAMESPACE: "monitoring",
  POD_UID: "00000000-0000-0000-0000-000000000000",
};
const foreign: Readonly<Record<string, string>> = {
  "/etc/targetvpc/channels/feishu-url": "https://open.feishu.cn/open-apis/bot/v2/hook/0",
};

class Rendered {
  readonly agent: Container;
  readonly env: Record<string, string>;
  readonly #objects: readonly KubernetesObject[];

  constructor(objects: readonly KubernetesObject[]) {
    this.#objects = objects;
    const [agent] = this.#daemonset().containers;
    assert.ok(agent !== undefined);
    this.agent = agent;
    this.env = Object.fromEntries(
      (agent.env ?? []).map(({ name, value }) => [name, value ?? given[name] ?? "?"]),
    );
  }

  /** The config.yaml of the ConfigMap that a volume mounts. */
  document(volume: string): unknown {
    const { configMap } = this.#volume(volume) as { configMap: { name: string } };
    return parse(this.#data("ConfigMap", configMap.name)?.["config.yaml"] ?? "");
  }

  /** A file as the container sees it. */
  readonly file = (at: string): string => {
    const mount = (this.agent.volumeMounts ?? []).find(({ mountPath }) =>
      at.startsWith(`${mountPath}/`),
    );
    if (mount === undefined) throw new Error(`${at} is not mounted`);
    const name = path.basename(at);
    const encoded = this.#secretFiles(this.#volume(mount.name)).get(name);
    if (encoded !== undefined) return Buffer.from(encoded, "base64").toString();
    const other = foreign[at];
    if (other === undefined) throw new Error(`${at} is in no Secret`);
    return other;
  };

  #daemonset(): NonNullable<ReturnType<typeof podSpec>> {
    const found = this.#objects.find(({ kind }) => kind === "DaemonSet");
    const spec = found === undefined ? null : podSpec(found);
    assert.ok(spec !== null);
    return spec;
  }

  #volume(name: string): Record<string, unknown> {
    const found = (this.#daemonset().volumes ?? []).find((volume) => volume["name"] === name);
    assert.ok(found !== undefined, `no volume ${name}`);
    return found;
  }

  #data(kind: string, name: string): Readonly<Record<string, string>> | undefined {
    return this.#objects.find((one) => one.kind === kind && one.metadata.name === name)?.data;
  }

  #secretFiles(volume: Record<string, unknown>): Map<string, string> {
    const { secret, projected } = volume as {
      secret?: { secretName: string; items: { key: string; path: string }[] };
      projected?: { sources: { secret: { name: string } }[] };
    };
    const files = new Map<string, string>();
    // What a Secret of the user's own holds is unknown: any text will do.
    const unknown = Buffer.from("a-secret-of-yours").toString("base64");
    for (const { key, path } of secret?.items ?? []) {
      const data = this.#data("Secret", secret?.secretName ?? "");
      files.set(path, data === undefined ? unknown : (data[key] ?? ""));
    }
    for (const source of projected?.sources ?? [])
      for (const [key, value] of Object.entries(this.#data("Secret", source.secret.name) ?? {}))
        files.set(key, value);
    return files;
  }
}

const load = async (name: string): Promise<{ rendered: Rendered; config: Config }> => {
  const rendered = new Rendered(await golden(name));
  const { config } = loadConfig(table, {
    file: rendered.document("config"),
    env: rendered.env,
    readFile: rendered.file,
  });
  return { rendered, config };
};

describe("the agent, as the chart runs it", () => {
  for (const name of setNames()) {
    it(`${name}: takes its configuration`, async () => {
      const { rendered, config } = await load(name);
      assert.equal(config.host.root, "/host/root");
      assert.equal(config.node.name, "node-1");
      assert.equal(config.kubernetes.secrets_dir, "/etc/targetvpc/channels");
      assert.deepEqual(rendered.agent.ports, [{ name: "http", containerPort: config.server.port }]);
      assert.equal(
        config.server.token?.reveal(),
        rendered.file(rendered.env["SERVER_TOKEN_FILE"] ?? ""),
      );
    });

    it(`${name}: takes its rules and channels, with their secrets from files`, async () => {
      const { rendered } = await load(name);
      const parsed = documentParser(rendered.file)(rendered.document("policy"));
      assert.deepEqual(parsed.ok ? [] : parsed.faults, []);
    });

    it(`${name}: knows every variable it is given`, async () => {
      const { rendered } = await load(name);
      const known = leavesOf(table).flatMap(({ setting: { env, secret } }) =>
        env === null ? [] : secret ? [env, `${env}_FILE`] : [env],
      );
      assert.deepEqual(
        Object.keys(rendered.env).filter((key) => !known.includes(key)),
        ["TARGETVPC_CONFIG"],
      );
    });
  }

  it("finds the bundled Redis by the name of its Service, with its password", async () => {
    const { config } = await load("default");
    assert.equal(config.redis.host, "tv-targetvpc-redis");
    assert.equal(config.redis.password?.reveal(), "generated-redis-password");
  });

  it("finds another Redis and the admin server where the values say", async () => {
    const { config } = await load("external");
    assert.equal(config.redis.host, "redis.example.com");
    assert.equal(config.redis.tls.enabled, true);
    assert.equal(config.redis.password?.reveal(), "an-external-password");
    assert.equal(config.admin.token?.reveal(), "an-admin-token");
  });

  it("gets every channel's own secret, whatever the channel is called", async () => {
    const { rendered } = await load("external");
    const parsed = documentParser(rendered.file)(rendered.document("policy"));
    assert.ok(parsed.ok);
    assert.deepEqual(
      parsed.value.channels.map(({ name, settings }) => {
        const { webhook_url, password } = settings as Record<string, { reveal(): string }>;
        return [name, (webhook_url ?? password)?.reveal()];
      }),
      [
        [
          "feishu",
          "https://open.feishu.cn/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000",
        ],
        ["ops group", "https://oapi.dingtalk.com/robot/send?access_token=0000000000000000"],
        ["值班 邮件", "a-mail-password"],
      ],
    );
  });
});

describe("helm test's script", () => {
  const smoke = async (url: string): Promise<string> => {
    const script = await readFile(path.join(chart, "files/smoke-test.mjs"), "utf8");
    const args = ["--input-type=module", "--eval", script, url];
    const { stdout } = await run(process.execPath, args, { timeout: 30_000 });
    return stdout;
  };

  for (const off of [[], ["memory"], ["cpu", "load", "swap"]])
    it(`is content with an agent${off.length === 0 ? "" : ` without ${off.join(", ")}`}`, async () => {
      const collectors = Object.fromEntries(off.map((name) => [name, false]));
      const agent = await startAgent({
        config: { storage: { backend: "memory" }, metrics: { collectors } },
      });
      try {
        await eventually("it has a sample", async () => (await agent.get("/ready")).status === 200);
        assert.equal((await smoke(agent.url)).match(/: ok$/gm)?.length, 4);
      } finally {
        await agent.stop();
      }
    });

  it("fails where nobody answers", () => assert.rejects(smoke("http://127.0.0.1:9")));
});
