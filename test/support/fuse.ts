import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rmdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** A real FUSE mount and the process behind it. */
export interface FuseMount {
  readonly mountPoint: string;
  /** Stops the server: whoever asks the filesystem anything now waits. */
  freeze(): void;
  thaw(): void;
  /** Ends the server, as a crash would; the mount stays and answers everything with an error. */
  kill(): Promise<void>;
  /** Unmounts, ends the server and removes the directory; whoever still waits gets an error. */
  remove(): Promise<void>;
}

const help =
  "the FUSE test needs /dev/fuse and the right to mount: run the tests as root (or with password-free sudo) after " +
  "`modprobe fuse`; Debian packages: mount, fuse3; in a container also --device /dev/fuse --cap-add SYS_ADMIN";

/** Mounting takes root; an ordinary user's continuous integration usually has sudo. */
function asRoot(command: readonly string[], stdin: "ignore" | number): void {
  const [program = "", ...words] = process.getuid?.() === 0 ? command : ["sudo", "-n", ...command];
  const { status, stderr, error } = spawnSync(program, words, {
    stdio: [stdin, "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${help}: ${command[0]}: ${error?.message ?? stderr}`);
}

function openDevice(): number {
  try {
    return openSync("/dev/fuse", "r+");
  } catch (cause) {
    throw new Error(help, { cause });
  }
}

/** Mounts a filesystem that has nothing but sizes. */
export async function mountFuse(): Promise<FuseMount> {
  const device = openDevice();
  const mountPoint = await mkdtemp(path.join(os.tmpdir(), "fuse-"));
  let server: ChildProcess;
  try {
    const owner = `user_id=${process.getuid?.() ?? 0},group_id=${process.getgid?.() ?? 0}`;
    const options = `fd=0,rootmode=40000,${owner}`;
    asRoot(["mount", "-i", "-t", "fuse.sizes", "-o", options, "sizes", mountPoint], device);
    const script = fileURLToPath(new URL("./fuse-server.ts", import.meta.url));
    server = spawn(process.execPath, [script], { stdio: ["ignore", "inherit", "inherit", device] });
  } catch (cause) {
    await rmdir(mountPoint);
    throw cause;
  } finally {
    closeSync(device);
  }
  const ended = once(server, "exit");
  // Ending the server closes /dev/fuse, which answers every waiting call with an error.
  const kill = async (): Promise<void> => {
    server.kill("SIGKILL");
    await ended;
  };
  return {
    mountPoint,
    kill,
    freeze: () => void server.kill("SIGSTOP"),
    thaw: () => void server.kill("SIGCONT"),
    remove: async () => {
      await kill();
      asRoot(["umount", "-l", mountPoint], "ignore");
      await rmdir(mountPoint);
    },
  };
}
