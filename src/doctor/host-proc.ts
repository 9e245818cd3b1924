import { readdir, readFile, readlink } from "node:fs/promises";
import path from "node:path";
import { errorText } from "../core/errors.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";

/** Files below `host.proc`, and what is lost without each. */
const wanted: readonly { readonly file: string; readonly costs: string }[] = [
  { file: "stat", costs: "no values of cpu, cpu_iowait and cpu_steal" },
  { file: "meminfo", costs: "no values of memory and swap" },
  { file: "loadavg", costs: "no values of load1, load5 and load15" },
  {
    file: "1/mountinfo",
    costs: "only filesystems that the agent itself has mounted are watched, not all of the host's",
  },
  {
    file: "1/net/dev",
    costs: "the host's network is not seen, and its address not detected: set node.ip (NODE_IP)",
  },
];

const mend =
  "mount the host's /proc read-only into the container (hostPath /proc, or -v /proc:/host/proc:ro) and set host.proc (HOST_PROC) to it";

/** `PROC_PID_INIT_INO` of <linux/proc_ns.h>: the PID namespace the machine booted with. */
const firstPidNamespace = "pid:[4026531836]";
/** First processes of hosts and of system containers, which count as hosts. */
const inits = new Set(["systemd", "init", "launchd", "runit", "s6-svscan", "openrc-init"]);

async function text(file: string, signal: AbortSignal): Promise<string | null> {
  return readFile(file, { encoding: "utf8", signal }).catch(() => null);
}

async function fileFindings(proc: string, signal: AbortSignal): Promise<Finding[]> {
  const looked = await Promise.all(
    wanted.map(async ({ file, costs }): Promise<Finding | null> => {
      const full = path.join(proc, file);
      try {
        await readFile(full, { signal });
        return null;
      } catch (cause) {
        const hidden = file.startsWith("1/") && (await text(path.join(proc, "stat"), signal));
        const fix = hidden
          ? `process 1 is hidden: mount ${proc} without hidepid, or give the agent the group of gid=`
          : mend;
        return failed("host.proc", { found: errorText(cause), costs, fix });
      }
    }),
  );
  const bad = looked.filter((one) => one !== null);
  const names = wanted.map(({ file }) => file).join(", ");
  return bad.length > 0 ? bad : [ok("host.proc", `${proc}: ${names} are readable`)];
}

/** By what the processes below `host.proc` are known to be the host's; null: nothing says so. */
async function whoseProcesses(proc: string, signal: AbortSignal): Promise<string | null> {
  // Kernel threads are in the first PID namespace only.
  if ((await text(path.join(proc, "2/comm"), signal))?.trim() === "kthreadd")
    return "kernel threads are among them";
  const own = await readlink("/proc/self/ns/pid").catch(() => "");
  if (own === firstPidNamespace) return "the agent runs in the host's PID namespace";
  const outer = /^NSpid:\s+\d+\s+\d+/m.exec(
    (await text(path.join(proc, "self/status"), signal)) ?? "",
  );
  if (outer !== null) return "they are of a PID namespace outside of the agent's";
  const first = (await text(path.join(proc, "1/comm"), signal))?.trim() ?? "";
  return inits.has(first) ? `process 1 is ${first}` : null;
}

async function whose(proc: string, signal: AbortSignal): Promise<Finding> {
  const name = "host.proc.host";
  const why = await whoseProcesses(proc, signal);
  if (why !== null) return ok(name, `the processes below ${proc} are the host's: ${why}`);
  return warning(name, {
    found: `${proc} seems to be that of the agent's own container`,
    costs: "mounts, network and processes are those of the container, not of the node",
    fix: mend,
  });
}

/** Whether processes of others are visible, whose files tell what uses the most. */
async function others(proc: string, signal: AbortSignal): Promise<Finding> {
  const name = "host.proc.processes";
  const own = await readlink(path.join(proc, "self")).catch(() => String(process.pid));
  const pids = (await readdir(proc).catch(() => [])).filter(
    (entry) => /^\d+$/.test(entry) && entry !== own,
  );
  const files = ["stat", "cgroup"];
  let readable = 0;
  for (const pid of pids) {
    const texts = await Promise.all(files.map((file) => text(path.join(proc, pid, file), signal)));
    if (texts.every((one) => one !== null)) readable += 1;
    if (readable > 0 || signal.aborted) break;
  }
  if (readable > 0) return ok(name, `${pids.length} processes, stat and cgroup are readable`);
  return warning(name, {
    found: `no other process is visible below ${proc} (hidepid?)`,
    costs: "alerts cannot name the processes that use the most",
    fix: `mount ${proc} without hidepid=1 or 2, or give the agent the group of gid=`,
  });
}

/** What collectors read of the host. */
export const hostProc: Check = {
  name: "host.proc",
  doc: "`host.proc` is readable file by file, and is the host's and not the container's; processes of others are visible",
  costs: "no values of this node, or those of the container instead",
  run: async ({ config }, signal) => {
    const { proc, source } = config.host;
    if (source === "portable") return [off("host.proc", "host.source is portable")];
    if (process.platform !== "linux" && source === "auto")
      return [off("host.proc", `${process.platform} has none; the portable collectors are used`)];
    const files = await fileFindings(proc, signal);
    if (files.length === wanted.length) return files.slice(0, 1).map(unreadable);
    return [...files, await whose(proc, signal), await others(proc, signal)];
  },
};

/** Nothing is there at all: one finding instead of five. */
function unreadable(first: Finding): Finding {
  return {
    ...first,
    costs: "no values of this node at all, or only what the portable collectors see",
  };
}
