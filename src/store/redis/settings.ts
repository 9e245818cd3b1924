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

/** Where Redis is, and as whom; a `url` wins over the single values. */
export interface RedisSettings {
  /** `redis://` or `rediss://`, with user, password and database as wanted. */
  readonly url: Secret | null;
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username: string | null;
  readonly password: Secret | null;
  readonly tls: RedisTls | null;
  /** First word of every key. */
  readonly prefix: string;
}

/** Where to connect, secrets revealed: only for the client. */
export interface RedisTarget {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
}

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
    host: url.hostname.replace(/^\[(.*)\]$/, "$1") || "localhost",
    port: url.port === "" ? defaultPort : Number(url.port),
    db: Number(db),
    ...(url.username === "" ? {} : { username: decoded(url.username) }),
    ...(url.password === "" ? {} : { password: decoded(url.password) }),
    ...(url.protocol === "rediss:" ? { tls: {} } : {}),
  };
}

/** Where to connect. Throws CONFIG_INVALID when the URL or a file of TLS is wrong; no message holds a secret. */
export function redisTarget(settings: RedisSettings): RedisTarget {
  const { url, host, port, db, username, password, tls } = settings;
  const target: RedisTarget =
    url === null
      ? {
          host,
          port,
          db,
          ...(username === null ? {} : { username }),
          ...(password === null ? {} : { password: password.reveal() }),
        }
      : parseUrl(url.reveal());
  return tls === null ? target : { ...target, tls: tlsOptions(tls) };
}
