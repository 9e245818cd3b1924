/** The cluster of the current KUBECONFIG, by the tools everybody has for it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import { promisify } from "node:util";
import { eventually } from "../support/clock.ts";

const run = promisify(execFile);
const root = new URL("../../", import.meta.url).pathname;
export const chart = `${root}charts/targetvpc`;
/** The image under test; it must be in the cluster already, nothing is pulled. */
export const image = process.env["TARGETVPC_IMAGE"] ?? "targetvpc:dev";
const helmProgram = process.env["HELM"] ?? "helm";

/** Runs a program to its end; its standard output. The error of a failure holds what it said. */
export async function sh(
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const running = run(program, [...args], { maxBuffer: 64 * 1024 * 1024, timeout: 240_000 });
  if (input !== undefined) running.child.stdin?.end(input);
  try {
    return (await running).stdout;
  } catch (cause) {
    const { stderr = "", stdout = "" } = cause as { stderr?: string; stdout?: string };
    throw new Error(`${program} ${args.join(" ")}: ${stderr}${stdout}`, { cause });
  }
}

export const kubectl = (...args: string[]): Promise<string> => sh("kubectl", args);
export const helm = (...args: string[]): Promise<string> => sh(helmProgram, args);

/** Applies objects given as values. */
export const apply = (...objects: unknown[]): Promise<string> =>
  sh(
    "kubectl",
    ["apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
  );

export async function getJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl("get", ...args, "-o", "json")) as T; // what is asked for has this shape
}

export interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName: string; readonly containers: readonly unknown[] };
  readonly status: {
    readonly podIP: string;
    readonly containerStatuses?: readonly {
      readonly containerID: string;
      readonly ready: boolean;
      readonly restartCount: number;
      readonly lastState: { readonly terminated?: { readonly reason: string } };
    }[];
  };
}

export interface Event {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly type: string;
  readonly reason: string;
  readonly note: string;
  readonly eventTime: string;
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid: string };
  readonly reportingController: string;
  readonly series?: { readonly count: number };
}

/** Events the agents made, of one kind of object. */
export async function ourEvents(kind: "Node" | "Pod" | "ConfigMap", namespace = "default") {
  const { items } = await getJson<{ items: Event[] }>("-n", namespace, "events.events.k8s.io");
  return items.filter(
    (event) => event.reportingController === "targetvpc.io/agent" && event.regarding.kind === kind,
  );
}

/** An address of this machine that pods can reach. */
export function hostAddress(): string {
  const given = process.env["TEST_HOST_ADDRESS"];
  if (given !== undefined) return given;
  const all = Object.entries(os.networkInterfaces()).flatMap(([name, list]) =>
    (list ?? []).map((address) => ({ ...address, name })),
  );
  const found = all.find(
    ({ family, internal, name }) =>
      family === "IPv4" && !internal && !/^(cni|veth|docker|br-|kube)/.test(name),
  );
  if (found === undefined) throw new Error("no address of this machine: set TEST_HOST_ADDRESS");
  return found.address;
}

/** Waits for something of the cluster. */
export const soon = (what: string, check: () => Promise<boolean> | boolean, timeoutMs = 120_000) =>
  eventually(
    what,
    async () => {
      if (await check()) return true;
      await pause(200);
      return false;
    },
    timeoutMs,
  );

/** A cluster has no clock to inject: between two looks, and to load a node for a while, time itself must pass. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A way to a pod's port, as people open one. */
export interface Forward {
  readonly url: string;
  close(): Promise<void>;
}

export async function portForward(
  namespace: string,
  target: string,
  port = 8001,
): Promise<Forward> {
  const child: ChildProcess = spawn("kubectl", [
    "-n",
    namespace,
    "port-forward",
    target,
    `:${port}`,
  ]);
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const found = (): string | undefined => /127\.0\.0\.1:(\d+) ->/.exec(output)?.[1];
  await eventually("the port is forwarded", () => {
    if (child.exitCode !== null) throw new Error(`port-forward ended: ${output}`);
    return found() !== undefined;
  });
  return {
    url: `http://127.0.0.1:${found() ?? ""}`,
    close: async () => {
      if (child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}

export async function getUrl(url: string): Promise<{ status: number; text: string }> {
  const reply = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  return { status: reply.status, text: await reply.text() };
}

/** The name of a container in cgroups and logs, without its runtime's. */
export function bareId(containerId: string): string {
  return containerId.replace(/.*\//, "");
}

/** A process of a container, as the node numbers it; the node must be this machine. */
export async function hostPid(containerId: string): Promise<number> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may end while it is looked at.
    const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
    if (cgroup.includes(bareId(containerId))) return Number(pid);
  }
  throw new Error("the container's process is not on this machine: run this where the node is");
}

/** Kills a container's process as the node's kernel would, so that nothing in it can say goodbye. */
export async function killContainer(containerId: string): Promise<void> {
  process.kill(await hostPid(containerId), "SIGKILL");
}

/** One line of `targetvpc doctor --json`. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed" | "off";
  readonly costs: string | null;
  readonly fix: string | null;
}

/** Runs the doctor inside a pod. */
export async function doctor(
  namespace: string,
  pod: string,
): Promise<{ code: number; checks: readonly Check[] }> {
  const inPod = [
    "-n",
    namespace,
    "exec",
    pod,
    "--",
    "node",
    "dist/targetvpc.mjs",
    "doctor",
    "--json",
  ];
  // kubectl exec ends with the code of the program.
  const { code, stdout } = await run("kubectl", inPod).then(
    (said) => ({ ...said, code: 0 }),
    (cause: { code: number; stdout: string }) => cause,
  );
  return { code, checks: JSON.parse(stdout) as readonly Check[] };
}
