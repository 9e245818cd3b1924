import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

async function hasRedis(): Promise<boolean> {
  try {
    await run("redis-server", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

async function installRedis(): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", ["update"], { env });
  await run("apt-get", ["install", "-y", "--no-install-recommends", "redis-server"], { env });
}

/** Runs once before all tests: they need a real Redis, and must not pass without one. */
export async function mochaGlobalSetup(): Promise<void> {
  if (await hasRedis()) return;
  let why = "";
  if (process.getuid?.() === 0)
    await installRedis().catch((cause: unknown) => {
      why = `; apt-get: ${cause instanceof Error ? cause.message : String(cause)}`;
    });
  if (await hasRedis()) return;
  throw new Error(
    `redis-server is not on the PATH: install the package redis-server (Debian, Ubuntu) or redis (others)${why}`,
  );
}
