import { fileURLToPath } from "node:url";
import type { HostRoots } from "../../src/collect/contract.ts";
import { createHost, type LocalHost } from "../../src/collect/host.ts";
import type { Statfs, StatfsAnswer } from "../../src/collect/statfs.ts";
import type { Clock, Log, LogFields } from "../../src/core/ports.ts";
import { AgentError } from "../../src/core/errors.ts";
import { ManualClock } from "../support/clock.ts";

/** The recorded hosts below test/fixtures/proc. */
export const recordedHosts = ["vm", "many-core", "cgroup-v1", "cgroup-v2", "containers"] as const;

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/proc/${name}`, import.meta.url));
}

/** Sizes as a recorded host would answer them: different for every path, some filesystems with a fault. */
export const cannedStatfs: Statfs = async (path) => {
  if (path.includes("Share")) throw Object.assign(new Error("EACCES: denied"), { code: "EACCES" });
  const seed = Array.from(path).reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 9_973, 7);
  const blocks = 1_000_000 + seed;
  const isVfat = path.endsWith("/efi");
  const answer: StatfsAnswer = {
    bsize: 65_536,
    frsize: 4_096,
    blocks,
    bfree: blocks - 90 * seed,
    bavail: isVfat ? blocks - 90 * seed : blocks - 90 * seed - 50_000,
    files: isVfat ? 0 : 100_000,
    ffree: isVfat ? 0 : 100_000 - 9 * seed,
  };
  return answer;
};

export function recordedHost(name: string, clock: Clock = new ManualClock()): LocalHost {
  const roots: HostRoots = { proc: fixturePath(name), sys: "/nowhere", root: "/" };
  return createHost({ roots, clock, statfs: cannedStatfs });
}

/** A log that keeps its lines. */
export function createTestLog(): Log & {
  readonly lines: { level: string; event: string; fields: LogFields }[];
} {
  const lines: { level: string; event: string; fields: LogFields }[] = [];
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void =>
      void lines.push({ level, event, fields });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** For assert.throws: an error of /proc whose message matches. */
export function unreadable(message: RegExp): (cause: unknown) => boolean {
  return (cause) =>
    cause instanceof AgentError && cause.code === "PROC_UNREADABLE" && message.test(cause.message);
}
