import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { Secret } from "../../src/base/secret.ts";
import type { RedisSettings } from "../../src/store/redis/settings.ts";

export interface RedisOptions {
  readonly password?: string;
  /** Keeps its data there; without it, a directory of its own that `stop` removes. */
  readonly dir?: string;
  /** A free one without it. */
  readonly port?: number;
  /** Further arguments of the server. */
  readonly args?: readonly string[];
}

/** A real Redis of a test. */
export interface TestRedis {
  readonly port: number;
  /** The settings to reach it with; another prefix for another test. */
  settings(changes?: Partial<RedisSettings>): RedisSettings;
  /** A plain client, to look at what is there and to put garbage there. */
  readonly client: Redis;
  /** Stands still: connections stay open, nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Dies at once, as by `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again on the same port and directory. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A port nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Settings of a Redis on loopback. */
export function redisSettings(port: number, changes: Partial<RedisSettings> = {}): RedisSettings {
  return {
    url: null,
    host: "127.0.0.1",
    port,
    db: 0,
    username: null,
    password: null,
    tls: null,
    sentinels: [],
    sentinelName: null,
    sentinelPassword: null,
    clusterNodes: [],
    prefix: "targetvpc",
    ...changes,
  };
}

/** The server that tests run over; another with `REDIS_SERVER=/path/to/valkey-server npm test`. */
export const redisServer = process.env["REDIS_SERVER"] ?? "redis-server";

/** Starts the program with arguments and waits until it is ready. */
export async function launchServer(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(redisServer, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      if (/Ready to accept connections|Sentinel ID is/.test(output)) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${redisServer} ended (${code}): ${output}`)));
  });
  return child;
}

async function launch(port: number, dir: string, options: RedisOptions): Promise<ChildProcess> {
  return launchServer(
    `--port ${port} --bind 127.0.0.1 --save  --appendonly no --daemonize no`
      .split(" ")
      .concat("--dir", dir)
      .concat(options.password === undefined ? [] : ["--requirepass", options.password])
      .concat(options.args ?? []),
  );
}

/** Ends it at once, as by `kill -9`. */
export async function endServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** Starts a `redis-server` on loopback; `stop` it when the test is over. */
export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "targetvpc-redis-")));
  let child = await launch(port, dir, options);
  const client = new Redis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    protocol: 2,
    retryStrategy: () => 50,
    ...(options.password === undefined ? {} : { password: options.password }),
  });
  client.on("error", () => {
    // Tests end the server on purpose; a command that fails says so itself.
  });
  return {
    port,
    client,
    settings: (changes = {}) =>
      redisSettings(port, {
        password: options.password === undefined ? null : new Secret(options.password),
        ...changes,
      }),
    freeze: () => {
      child.kill("SIGSTOP");
    },
    thaw: () => {
      child.kill("SIGCONT");
    },
    kill: () => endServer(child),
    restart: async () => {
      await endServer(child);
      child = await launch(port, dir, options);
    },
    stop: async () => {
      client.disconnect();
      await endServer(child);
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}
