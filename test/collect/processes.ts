import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** A process as a test wants it to be. */
export interface FakeProcess {
  readonly pid: number;
  readonly name: string;
  readonly cgroup?: string;
  readonly utime?: number;
  readonly stime?: number;
  readonly startTicks?: number;
  readonly rssPages?: number;
  /** Null: a kernel thread, which has no memory of its own. */
  readonly vmRssKb?: number | null;
}

/** The text of /proc/<pid>/stat, every field of proc_pid_stat(5) there. */
export function statText(process: FakeProcess): string {
  const { pid, name, utime = 0, stime = 0, startTicks = 100, rssPages = 0 } = process;
  const upToTime = `S 1 1 1 0 -1 4194560 3561 6446 0 6 ${utime} ${stime} 41 25 20 0 14 0`;
  return `${pid} (${name}) ${upToTime} ${startTicks} 47128576 ${rssPages} 18446744073709551615 1 1 0 0 0 0 0 4096 1256 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n`;
}

/** A host's /proc and / in a directory that `remove` takes away. */
export interface ProcessTree {
  readonly proc: string;
  readonly root: string;
  put(process: FakeProcess): Promise<void>;
  end(pid: number): Promise<void>;
  /** An entry of the kubelet's `/var/log/<dir>`. */
  log(dir: "containers" | "pods", name: string): Promise<void>;
  remove(): Promise<void>;
}

export async function createProcessTree(): Promise<ProcessTree> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-processes-"));
  const proc = path.join(dir, "proc");
  const root = path.join(dir, "root");
  await mkdir(proc);
  await mkdir(root);
  return {
    proc,
    root,
    put: async (process) => {
      const { pid, name, cgroup = "0::/init.scope", vmRssKb = 0 } = process;
      const own = path.join(proc, String(pid));
      await mkdir(own, { recursive: true });
      await writeFile(path.join(own, "stat"), statText(process));
      await writeFile(path.join(own, "cgroup"), `${cgroup}\n`);
      const memory = vmRssKb === null ? "" : `VmHWM:\t  999999 kB\nVmRSS:\t  ${vmRssKb} kB\n`;
      await writeFile(
        path.join(own, "status"),
        `Name:\t${name}\nPid:\t${pid}\n${memory}Threads:\t1\n`,
      );
    },
    end: (pid) => rm(path.join(proc, String(pid)), { recursive: true }),
    log: async (kind, name) => {
      const at = path.join(root, "var/log", kind);
      await mkdir(at, { recursive: true });
      await writeFile(path.join(at, name), "");
    },
    remove: () => rm(dir, { recursive: true }),
  };
}
