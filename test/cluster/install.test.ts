import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { chart, doctor, getUrl, helm, kubectl, portForward, sh, soon } from "./cluster.ts";
import { Release, type Rows } from "./release.ts";

const run = promisify(execFile);
const namespace = "targetvpc-install";

/** Busy and total time of all CPUs since boot, in ticks: idle and iowait are not busy. */
async function cpuTimes(): Promise<{ busy: number; total: number }> {
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, one) => sum + one, 0);
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
}

async function memoryPercent(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]);
  return 100 * (1 - kib("MemAvailable") / kib("MemTotal"));
}

/** As `df` computes it, with the decimals that it rounds away. */
async function diskPercent(): Promise<number> {
  const { stdout } = await run("df", ["-B1", "--output=used,avail", "/"]);
  const [used = 0, available = 0] = (stdout.split("\n")[1] ?? "").trim().split(/\s+/).map(Number);
  return (100 * used) / (used + available);
}

describe("an installation from nothing", () => {
  const release = new Release(namespace);
  before(() => release.uninstall());
  after(() => release.uninstall());

  it("is ready within a minute with nothing but the bundled Redis", async () => {
    const startedMs = performance.now();
    await release.install({ config: { metrics: { collection_interval: 2 } } });
    const seconds = (performance.now() - startedMs) / 1_000;
    console.log(`        ready in ${seconds.toFixed(1)} s`);
    assert.ok(seconds <= 60, `${seconds} s`);
    await soon("Redis is used", async () => {
      return (await release.health()).components["redis"]?.status === "ok";
    });
    const { status, components } = await release.health();
    assert.equal(status, "ok", JSON.stringify(components));
    assert.deepEqual(components["kubernetes"]?.details, {
      configmap: "watch",
      node: "ok",
      events: "ok",
    });
  });

  it("passes its own helm test", async () => {
    assert.match(await helm("test", release.name, "-n", namespace), /Phase:\s+Succeeded/);
  });

  it("gives the host's values over a forwarded port", async () => {
    const forward = await portForward(namespace, `daemonset/${release.name}`);
    const rows = async (query: string): Promise<Rows> =>
      JSON.parse((await getUrl(`${forward.url}/api/metrics?${query}`)).text) as Rows;
    // The agent's window has slots of two seconds: the host is looked at from one slot's end to another's.
    const slotEnd = async (): Promise<number> => {
      const [last] = (await rows("start=-10s&index=cpu")).slice(-1);
      let next = last;
      await soon("the next slot", async () => {
        [next] = (await rows("start=-10s&index=cpu")).slice(-1);
        return next?.timestamp !== last?.timestamp;
      });
      return next?.timestamp ?? 0;
    };
    const fromSlot = await slotEnd();
    const before = await cpuTimes();
    let toSlot = fromSlot;
    while (toSlot < fromSlot + 20) toSlot = await slotEnd();
    const after = await cpuTimes();
    const host = (100 * (after.busy - before.busy)) / (after.total - before.total);
    const between = (await rows(`start=${fromSlot + 1}&end=${toSlot}&index=cpu`)).flatMap(
      ({ metrics }) => metrics["cpu"] ?? [],
    );
    const agent = between.reduce((sum, one) => sum + one, 0) / between.length;
    assert.ok(Math.abs(agent - host) < 5, `cpu: agent ${agent}, host ${host} (${between.length})`);

    const [last] = (await rows("start=-10s&index=memory,disk")).slice(-1);
    const memory = last?.metrics["memory"] ?? Number.NaN;
    const disk = last?.metrics["disk"] ?? Number.NaN;
    assert.ok(Math.abs(memory - (await memoryPercent())) < 3, `memory ${memory}`);
    assert.ok(Math.abs(disk - (await diskPercent())) < 0.2, `disk ${disk}`);
    await forward.close();
  });

  it("shows the host's interfaces, not the pod's", async () => {
    const { text } = await getUrl(`${await release.url()}/metrics`);
    const shown = [
      ...text.matchAll(/^node_network_receive_bytes_total\{device="([^"]+)"\} (\d+)/gm),
    ];
    const route = await readFile("/proc/net/route", "utf8");
    const [gateway = ""] = route.split("\n").flatMap((line) => {
      const [name = "", destination] = line.split("\t");
      return destination === "00000000" ? [name] : [];
    });
    const found = shown.find(([, device]) => device === gateway);
    assert.ok(found !== undefined, `${gateway} is not among ${shown.map(([, one]) => one).join()}`);
    const file = `/sys/class/net/${gateway}/statistics/rx_bytes`;
    const host = Number(await readFile(file, "utf8"));
    const agent = Number(found[2]);
    assert.ok(agent <= host && agent > 0.5 * host, `agent ${agent}, host ${host}`);
    const podIp = (await release.pod()).status.podIP;
    assert.ok(!(await readFile("/proc/net/fib_trie", "utf8")).includes(`|-- ${podIp}\n`));
  });

  it("exposes metrics that promtool accepts", async () => {
    const { text } = await getUrl(`${await release.url()}/metrics`);
    const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-promtool-"));
    const file = path.join(dir, "metrics");
    await writeFile(file, text);
    try {
      // Exit code 3 are remarks of style: node_exporter's own names have capitals, and names are kept as they are.
      const said = await run("sh", ["-c", `promtool check metrics < ${file} 2>&1; echo "exit $?"`]);
      assert.match(said.stdout, /exit [03]\n$/);
      const remarks = said.stdout
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("exit"));
      for (const remark of remarks)
        assert.match(remark, /^node_\w+ .*(camelCase|snake_case|units|counter)/i, remark);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it("has a doctor that misses nothing but a channel, and says what that costs", async () => {
    const { metadata } = await release.pod();
    const { code, checks } = await doctor(namespace, metadata.name);
    const wrong = checks.filter(({ status }) => status === "warning" || status === "failed");
    assert.deepEqual(
      wrong.map(({ name }) => name),
      ["channel"],
    );
    assert.match(wrong[0]?.costs ?? "", /nobody is told/);
    assert.equal(code, 1);
    for (const name of ["host.proc", "host.root", "redis", "kubernetes.api", "kubernetes.token"])
      assert.ok(
        checks.some((check) => check.name.startsWith(name) && check.status === "ok"),
        name,
      );
  });

  it("is upgraded from the version before, rolled back, and leaves nothing behind", async () => {
    await release.uninstall();
    const cluster = new Release(`${namespace}-2`);
    const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-chart-"));
    try {
      const old = path.join(dir, "targetvpc");
      await cp(chart, old, { recursive: true });
      const chartFile = path.join(old, "Chart.yaml");
      const text = await readFile(chartFile, "utf8");
      await writeFile(chartFile, text.replace(/^version: .*$/m, "version: 0.1.0"));
      await cluster.install({ rules: [{ name: "first", index: "cpu", threshold: 101 }] }, old);
      const secret = (): Promise<string> =>
        kubectl("-n", cluster.namespace, "get", "secret", "targetvpc", "-o", "jsonpath={.data}");
      const generated = await secret();
      await cluster.upgrade({ rules: [{ name: "second", index: "cpu", threshold: 101 }] });
      assert.equal(await secret(), generated, "generated secrets are kept");
      await soon("the new rule", async () => (await cluster.rule("second")) !== undefined);
      await helm("rollback", "targetvpc", "1", "-n", cluster.namespace, "--wait");
      await soon("the old rule", async () => (await cluster.rule("first")) !== undefined);
      assert.equal(await secret(), generated);
      await helm("uninstall", "targetvpc", "-n", cluster.namespace, "--wait");
      await soon("all pods are gone", async () => {
        const pods = await kubectl("-n", cluster.namespace, "get", "pods", "-o", "name");
        return pods.trim() === "";
      });
      const kinds = "all,configmap,secret,serviceaccount,role,rolebinding,pvc,networkpolicy";
      const left = (await kubectl("-n", cluster.namespace, "get", kinds, "-o", "name"))
        .split("\n")
        .filter((one) => !/kube-root-ca|serviceaccount\/default|^$/.test(one));
      assert.deepEqual(left, []);
      const wide =
        "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding,priorityclass";
      const [all, inDefault] = await Promise.all([
        sh("kubectl", ["get", wide, "-o", "name"]),
        sh("kubectl", ["-n", "default", "get", "role,rolebinding", "-o", "name"]),
      ]);
      assert.doesNotMatch(all + inDefault, /targetvpc/);
      const node = await kubectl("get", "nodes", "-o", "json");
      assert.doesNotMatch(node, /TargetVPC/);
    } finally {
      await rm(dir, { recursive: true });
      await cluster.uninstall();
    }
  });
});
