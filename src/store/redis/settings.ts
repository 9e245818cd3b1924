import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { decoded, type Secret } from "../../base/secret.ts";
import { AgentError, errorText, type Fault } from "../../core/errors.ts";

/** TLS to Redis; files are PEM, null: the system's authorities, no client certificate, the host's name. */
export interface RedisTls {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly serverName: string | null;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, and as whom. A `url`, Sentinels or nodes of a cluster win over `host` and `port`. */
export interface RedisSettings {
  /** `redis://` or `rediss://`, with user, password and database as wanted. */
  readonly url: Secret | null;
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username: string | null;
  readonly password: Secret | null;
  readonly tls: RedisTls | null;
  /** Asked which server is the master; empty: there are none. */
  readonly sentinels: readonly RedisAddress[];
  /** What the Sentinels call the master. */
  readonly sentinelName: string | null;
  readonly sentinelPassword: Secret | null;
  /** Some nodes of a cluster, which know the others; empty: it is none. */
  readonly clusterNodes: readonly RedisAddress[];
  /** First word of every key. */
  readonly prefix: string;
}

/** As whom, and how it is spoken; secrets revealed: only for the client. */
export interface RedisAccess {
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
}

/** Where to connect, by the form of the installation. */
export type RedisTarget =
  | ({ readonly form: "server"; readonly db: number } & RedisAddress & RedisAccess)
  | ({
      readonly form: "sentinel";
      readonly db: number;
      readonly sentinels: readonly RedisAddress[];
      readonly name: string;
      readonly sentinelPassword?: string;
    } & RedisAccess)
  | ({ readonly form: "cluster"; readonly nodes: readonly RedisAddress[] } & RedisAccess);

/** Redis' own port. */
const defaultPort = 6_379;

function invalid(faults: readonly Fault[]): AgentError {
  return new AgentError("CONFIG_INVALID", "redis settings", { faults });
}

function readPem(path: string, setting: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw invalid([{ path: setting, message: `cannot be read: ${errorText(cause)}` }]);
  }
}

function tlsOptions(tls: RedisTls): ConnectionOptions {
  return {
    ...(tls.caFile === null ? {} : { ca: readPem(tls.caFile, "redis.tls.ca_file") }),
    ...(tls.certFile === null ? {} : { cert: readPem(tls.certFile, "redis.tls.cert_file") }),
    ...(tls.keyFile === null ? {} : { key: readPem(tls.keyFile, "redis.tls.key_file") }),
    ...(tls.serverName === null ? {} : { servername: tls.serverName }),
  };
}

function parseUrl(text: string): RedisTarget {
  const fault = (message: string): AgentError => invalid([{ path: "redis.url", message }]);
  if (!URL.canParse(text)) throw fault("expected redis:// or rediss://, got no URL");
  const url = new URL(text);
  if (url.protocol !== "redis:" && url.protocol !== "rediss:")
    throw fault(`expected redis:// or rediss://, got ${url.protocol}//`);
  const db = url.pathname.replace(/^\//, "");
  if (!/^\d*$/.test(db)) throw fault("expected the number of a database as path");
  return {
    form: "server",
    host: url.hostname.replace(/^\[(.*)\]$/, "$1") || "localhost",
    port: url.port === "" ? defaultPort : Number(url.port),
    db: Number(db),
    ...(url.username === "" ? {} : { username: decoded(url.username) }),
    ...(url.password === "" ? {} : { password: decoded(url.password) }),
    ...(url.protocol === "rediss:" ? { tls: {} } : {}),
  };
}

function formOf(settings: RedisSettings): RedisTarget {
  const { host, port, db, username, password, sentinels, clusterNodes } = settings;
  const access: RedisAccess = {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password: password.reveal() }),
  };
  if (clusterNodes.length > 0) return { form: "cluster", nodes: clusterNodes, ...access };
  if (sentinels.length === 0) return { form: "server", host, port, db, ...access };
  const { sentinelName: name, sentinelPassword } = settings;
  if (name === null) throw invalid([{ path: "redis.sentinel_name", message: "is missing" }]);
  return {
    form: "sentinel",
    sentinels,
    name,
    db,
    ...access,
    ...(sentinelPassword === null ? {} : { sentinelPassword: sentinelPassword.reveal() }),
  };
}

/** Where to connect. Throws CONFIG_INVALID when the URL or a file of TLS is wrong; no message holds a secret. */
export function redisTarget(settings: RedisSettings): RedisTarget {
  const { url, tls } = settings;
  const target = url === null ? formOf(settings) : parseUrl(url.reveal());
  return tls === null ? target : { ...target, tls: tlsOptions(tls) };
}

/** `host:port`, an IPv6 address in brackets. */
export function addressText({ host, port }: RedisAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Where a target is, for people. */
export function targetText(target: RedisTarget): string {
  switch (target.form) {
    case "server":
      return addressText(target);
    case "sentinel":
      return `${target.name} of Sentinel ${target.sentinels.map(addressText).join(", ")}`;
    case "cluster":
      return `cluster ${target.nodes.map(addressText).join(", ")}`;
  }
}
