import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";

/** A server that is measured beside ours. */
export interface Program {
  stop(): Promise<void>;
}

const lookMs = 50;

/** Runs a command to its end. Throws what it wrote when it fails. */
export async function run(file: string, args: readonly string[]): Promise<void> {
  const child = spawn(file, [...args], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${errors}`);
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    async (reply) => (await reply.text(), reply.ok),
    () => false,
  );
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

/** Starts a server and waits until it is ready. */
export async function launch(
  file: string,
  args: readonly string[],
  readyUrl: string,
): Promise<Program> {
  const child = spawn(file, [...args], { stdio: "ignore" });
  const failed = once(child, "error").then(([cause]) => {
    throw cause;
  });
  const ready = async (): Promise<void> => {
    while (!(await answers(readyUrl))) {
      if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}`);
      await systemClock.sleep(lookMs);
    }
  };
  await Promise.race([ready(), failed]);
  return { stop: () => end(child) };
}

/** Bytes of all files below a directory. */
export async function directoryBytes(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(path.join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The text of an answer. Throws when it is a refusal. */
export async function fetchText(url: string, body?: string): Promise<string> {
  const reply = await fetch(url, body === undefined ? {} : { method: "POST", body });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${url}: HTTP ${reply.status}: ${text.slice(0, 200)}`);
  return text;
}
