import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { bareId, getUrl, hostPid, pause, soon } from "./cluster.ts";
import { Release } from "./release.ts";

const namespace = "targetvpc-soak";
/** Half an hour by hand: SOAK_MINUTES=30. */
const minutes = Number(process.env["SOAK_MINUTES"] ?? 2);
const limitBytes = 96 * 2 ** 20;
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** The directory of a container's cgroup: version 1's memory tree, or the one of version 2. */
async function cgroupDir(pid: number): Promise<string> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).split("\n");
  const one = lines.find((line) => line.split(":")[1] === "memory")?.split(":")[2];
  if (one !== undefined) return path.join("/sys/fs/cgroup/memory", one);
  return path.join("/sys/fs/cgroup", lines[0]?.split(":")[2] ?? "");
}

interface Memory {
  /** As the kubelet computes it: usage without pages of files that nobody has used of late. */
  readonly workingSetBytes: number;
  readonly anonBytes: number;
  readonly ooms: number;
}

async function readMemory(dir: string): Promise<Memory> {
  const isTwo = (await readdir(dir)).includes("memory.current");
  const usage = await readFile(
    path.join(dir, isTwo ? "memory.current" : "memory.usage_in_bytes"),
    "utf8",
  );
  const stat = await readFile(path.join(dir, "memory.stat"), "utf8");
  const events = await readFile(
    path.join(dir, isTwo ? "memory.events" : "memory.oom_control"),
    "utf8",
  );
  const field = (text: string, name: string): number =>
    Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
  return {
    workingSetBytes: Number(usage) - field(stat, isTwo ? "inactive_file" : "total_inactive_file"),
    anonBytes: field(stat, isTwo ? "anon" : "total_rss"),
    ooms: field(events, "oom_kill"),
  };
}

describe(`${minutes} minutes with Redis, a scrape every five seconds, and the API in use`, function () {
  this.timeout((minutes + 5) * 60_000);
  const release = new Release(namespace);
  before(async () => {
    await release.uninstall();
    await release.install({ rules: [{ name: "quiet", index: "cpu", threshold: 101 }] });
  });
  after(() => release.uninstall());

  it("stay under the limit, and a ConfigMap that was silent all the time is in force in two seconds", async () => {
    const pod = await release.pod();
    const [container] = pod.status.containerStatuses ?? [];
    const pid = await hostPid(bareId(container?.containerID ?? ""));
    const dir = await cgroupDir(pid);
    const url = await release.url();
    const most = { workingSetBytes: 0, anonBytes: 0, rssBytes: 0 };
    const endMs = performance.now() + minutes * 60_000;
    let requests = 0;
    while (performance.now() < endMs) {
      const queries = [
        "/metrics",
        "/health",
        "/api/metrics?start=-10m&index=cpu,memory,disk",
        "/api/metrics?start=-7d&index=cpu",
        "/api/alerts",
        "/api/config",
        "/",
      ];
      for (const query of queries) assert.equal((await getUrl(url + query)).status, 200, query);
      requests += queries.length;
      const memory = await readMemory(dir);
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      const rssBytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1_024;
      assert.equal(memory.ooms, 0);
      most.workingSetBytes = Math.max(most.workingSetBytes, memory.workingSetBytes);
      most.anonBytes = Math.max(most.anonBytes, memory.anonBytes);
      most.rssBytes = Math.max(most.rssBytes, rssBytes);
      await pause(5_000);
    }
    console.log(
      `        ${requests} requests; most: working set ${mib(most.workingSetBytes)}, anonymous ${mib(most.anonBytes)}, RSS ${mib(most.rssBytes)}`,
    );
    assert.ok(most.workingSetBytes < limitBytes, mib(most.workingSetBytes));
    const after = (await release.pod()).status.containerStatuses?.[0];
    assert.equal(after?.containerID, container?.containerID, "the container is the same");
    assert.equal(after?.lastState.terminated, undefined);

    await release.setPolicy({
      alerts: { rules: [{ name: "loud", index: "cpu", threshold: 101 }] },
    });
    const appliedMs = performance.now();
    await soon("in force", async () => (await release.rule("loud")) !== undefined);
    const tookMs = performance.now() - appliedMs;
    console.log(`        in force ${Math.round(tookMs)} ms after the silence`);
    assert.ok(tookMs <= 2_000, `${tookMs} ms`);
  });
});
