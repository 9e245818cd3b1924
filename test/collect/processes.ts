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
  /** Through system calls, the page cache included. */
  readonly rchar?: number;
  readonly readBytes?: number;
  readonly writeBytes?: number;
}

/** The text of /proc/<pid>/stat, every field of proc_pid_stat(5) there. */
export function statText(process: FakeProcess): string {
  const { pid, name, utime = 0, stime = 0, startTicks = 100, rssPages = 0 } = process;
  const upToTime = `S 1 1 1 0 -1 4194560 3561 6446 0 6 ${utime} ${stime} 41 25 20 0 14 0`;
  return `${pid} (${name}) ${upToTime} ${startTicks} 47128576 ${rssPages} 18446744073709551615 1 1 0 0 0 0 0 4096 1256 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n`;
}

/** The text of /proc/<pid>/io, every field of proc_pid_io(5) there. */
export function ioText(process: Partial<FakeProcess>): string {
  const { rchar = 0, readBytes = 0, writeBytes = 0 } = process;
  return `rchar: ${rchar}\nwchar: 7\nsyscr: 7\nsyscw: 7\nread_bytes: ${readBytes}\nwrite_bytes: ${writeBytes}\ncancelled_write_bytes: 7\n`;
}

/** A host's /proc and / in a directory that `remove` takes away. */
export interface ProcessTree {
  readonly proc: string;
  readonly root: string;
  put(process: FakeProcess): Promise<void>;
  end(pid: number): Promise<void>;
  /** A file of /proc/pressure. */
  pressure(name: string, text: string): Promise<void>;
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
      await writeFile(path.join(own, "io"), ioText(process));
      await writeFile(path.join(own, "cgroup"), `${cgroup}\n`);
      const memory = vmRssKb === null ? "" : `VmHWM:\t  999999 kB\nVmRSS:\t  ${vmRssKb} kB\n`;
      await writeFile(
        path.join(own, "status"),
        `Name:\t${name}\nPid:\t${pid}\n${memory}Threads:\t1\n`,
      );
    },
    pressure: async (name, text) => {
      await mkdir(path.join(proc, "pressure"), { recursive: true });
      await writeFile(path.join(proc, "pressure", name), text);
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
