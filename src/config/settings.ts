import { logLevels } from "../base/log.ts";
import { repeats } from "../core/policy.ts";
import type { Language } from "../core/delivery.ts";
import { addresses } from "./addresses.ts";
import * as f from "./formats.ts";
import { kubernetes } from "./kubernetes.ts";
import { storage } from "./storage.ts";
import { secretSetting, setting, type Setting } from "./setting.ts";

const languages = ["zh-CN", "en"] as const satisfies readonly Language[];
const port = f.integer(0, 65_535);
const optionalText = f.nullable(f.text());
const path = f.text({ is: /^\/[^?#\s]*$/, expected: "a path that starts with /, without a query" });
const hostName = f.text({
  is: /^[^/@\s]+$/,
  expected: "a host name or an address; a URL goes into redis.url",
});
const keyWord = f.text({ is: /^[A-Za-z0-9_.:-]+$/, expected: "letters, digits and _ . : -" });
const clusterName = f.text({ is: /^[^/\s]+$/, expected: "a name without / and spaces" });

const redis = {
  host: setting("REDIS_HOST", hostName, "localhost", "Host name or address of Redis"),
  port: setting("REDIS_PORT", f.integer(1, 65_535), 6379, "Its port"),
  db: setting("REDIS_DB", f.integer(0, 1_000), 0, "Database number"),
  username: setting("REDIS_USERNAME", optionalText, null, "ACL user"),
  password: secretSetting("REDIS_PASSWORD", f.nullable(f.secret()), "Password"),
  url: secretSetting(
    "REDIS_URL",
    f.nullable(f.secret("a URL such as redis://host:6379/0 or rediss://host", /^rediss?:\/\/.+/)),
    "`redis://` or `rediss://`; wins over the single keys",
  ),
  sentinels: setting(
    "REDIS_SENTINELS",
    addresses("10.0.0.1:26379"),
    [],
    "Sentinels, which name the master: a list of `{host, port}` or `host:port`; in the environment separated by commas",
  ),
  sentinel_name: setting(
    "REDIS_SENTINEL_NAME",
    optionalText,
    null,
    "What the Sentinels call the master, often `mymaster`",
  ),
  sentinel_password: secretSetting(
    "REDIS_SENTINEL_PASSWORD",
    f.nullable(f.secret()),
    "Password of the Sentinels themselves",
  ),
  cluster_nodes: setting(
    "REDIS_CLUSTER_NODES",
    addresses("10.0.0.1:6379"),
    [],
    "Some nodes of a Redis Cluster, as `redis.sentinels`",
  ),
  prefix: setting("REDIS_PREFIX", keyWord, "targetvpc", "First word of every key"),
  tls: {
    enabled: setting("REDIS_TLS", f.flag, false, "Speak TLS; `redis.tls: true` is the short form"),
    ca_file: setting("REDIS_CA_FILE", optionalText, null, "CA certificates that are trusted (PEM)"),
    cert_file: setting("REDIS_CERT_FILE", optionalText, null, "Client certificate (PEM)"),
    key_file: setting("REDIS_KEY_FILE", optionalText, null, "Its key (PEM)"),
    server_name: setting(
      "REDIS_SERVER_NAME",
      optionalText,
      null,
      "Name expected in the server's certificate",
    ),
  },
};

const admin = {
  base_url: setting("ADMIN_BASE_URL", f.nullable(f.httpUrl), null, "Admin server; null: none"),
  config_endpoint: setting(
    "ADMIN_CONFIG_ENDPOINT",
    path,
    "/api/servers/config/",
    "Where rules and channels are fetched",
  ),
  alert_endpoint: setting(
    "ADMIN_ALERT_ENDPOINT",
    path,
    "/api/alert-records/report/",
    "Where alert records are posted",
  ),
  token: secretSetting("ADMIN_TOKEN", f.nullable(f.secret()), "Bearer token"),
  sync_interval: setting(
    "ADMIN_SYNC_INTERVAL",
    f.number(2, 3_600, "seconds"),
    30,
    "Seconds between polls",
  ),
};

const metrics = {
  collection_interval: setting(
    "METRICS_COLLECTION_INTERVAL",
    f.integer(1, 300),
    10,
    "Seconds between samples",
  ),
  retention_days: setting("METRICS_RETENTION_DAYS", f.integer(1, 90), 7, "Days samples are kept"),
  tier_retention_days: setting(
    "METRICS_TIER_RETENTION_DAYS",
    f.integer(1, 400),
    30,
    "Days the average, minimum and maximum of each five minutes are kept",
  ),
};

const alerts = {
  cooldown_minutes: setting(
    "ALERTS_COOLDOWN_MINUTES",
    f.number(0, 1_440, "minutes"),
    5,
    "No second message about the same alert and level within",
  ),
  repeat: setting(
    "ALERTS_REPEAT",
    f.oneOf(repeats),
    "backoff",
    "How a firing alert is repeated: each cooldown, doubling up to 4 h, or not",
  ),
  language: setting("ALERTS_LANGUAGE", f.oneOf(languages), "zh-CN", "Language of messages"),
  send_resolved: setting("ALERTS_SEND_RESOLVED", f.flag, true, "Tell recoveries too"),
  history_days: setting(
    "ALERTS_HISTORY_DAYS",
    f.integer(1, 400),
    90,
    "Days alerts that are over are kept: `GET /api/history`",
  ),
  rules: setting(null, f.opaqueList, [], "Rules"),
  channels: setting(null, f.opaqueList, [], "Channels"),
  quiet_hours: setting(
    null,
    f.opaqueList,
    [],
    "Hours that come again, in which people are told nothing but what is critical: [silences](silences.md)",
  ),
  inhibit: setting(
    null,
    f.opaqueList,
    [],
    "While one rule fires, nothing is told of others of the same node: [silences](silences.md)",
  ),
  default_rules: setting(
    "ALERTS_DEFAULT_RULES",
    f.flag,
    true,
    "Keep the built-in rules where no source has one",
  ),
  precedence: setting(
    "ALERTS_PRECEDENCE",
    f.wordList(["admin", "configmap", "file"]),
    ["admin", "configmap", "file"],
    "Whose rule or channel wins when names are equal",
  ),
};

const server = {
  host: setting("SERVER_HOST", f.text(), "0.0.0.0", "Address to listen on"),
  port: setting("SERVER_PORT", port, 8001, "Port to listen on; 0 takes a free one"),
  token: secretSetting(
    "SERVER_TOKEN",
    f.nullable(f.secret()),
    "Bearer token for what changes something; null: loopback only",
  ),
  protect: setting(
    "SERVER_PROTECT",
    f.oneOf(["writes", "all"]),
    "writes",
    "`all` closes reads too",
  ),
  public_url: setting(
    "SERVER_PUBLIC_URL",
    f.nullable(f.httpUrl),
    null,
    "What links in messages start with, by which people reach any agent; with it, messages have [buttons](actions.md)",
  ),
};

const host = {
  proc: setting("HOST_PROC", f.directory, "/proc", "Where the host's /proc is"),
  sys: setting("HOST_SYS", f.directory, "/sys", "Where the host's /sys is"),
  root: setting("HOST_ROOT", f.directory, "/", "Where the host's / is"),
  source: setting(
    "HOST_SOURCE",
    f.oneOf(["auto", "proc", "portable"]),
    "auto",
    "`portable` reads through the operating system's own tools",
  ),
};

const node = {
  name: setting("NODE_NAME", f.nullable(clusterName), null, "Name of this node; the host name"),
  ip: setting("NODE_IP", optionalText, null, "Its address; that of the default route"),
  cluster: setting("CLUSTER_NAME", clusterName, "default", "Cluster it belongs to"),
  labels: setting(
    "NODE_LABELS",
    f.labels,
    {},
    "What `nodes.matchLabels` of rules may ask for, as `pool=gpu,zone=a`; in a cluster below the node's own labels",
  ),
};

const log = {
  level: setting("LOG_LEVEL", f.oneOf(logLevels), "info", "Least level that is written"),
  format: setting(
    "LOG_FORMAT",
    f.nullable(f.oneOf(["json", "text"])),
    null,
    "`text` on a terminal, else `json`",
  ),
};

/** What the lists of the agent know, for the settings that choose among them. */
export interface KnownNames {
  readonly backends: readonly string[];
  readonly collectors: readonly string[];
}

/**
 * Every setting there is, in the shape of the config file. What the file's loader, the environment, the docs table
 * and the redacted print know of settings, they know from here.
 */
export function settingsTable(known: KnownNames) {
  return {
    redis,
    storage: storage(known.backends),
    admin,
    metrics: {
      ...metrics,
      collectors: setting(
        null,
        f.switches(known.collectors),
        {},
        "Switches collectors on and off by name",
      ),
    },
    alerts,
    server,
    host,
    node,
    kubernetes,
    log,
  };
}

type Tree = ReturnType<typeof settingsTable>;

/** The typed values of a table of settings, in the same shape. */
export type Values<T> = {
  readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : Values<T[K]>;
};

/** The whole configuration, every value checked. */
export type Config = Values<Tree>;

/** A setting with its dotted key. */
export interface Leaf {
  readonly key: string;
  readonly setting: Setting<unknown>;
}

function isSetting(value: unknown): value is Setting<unknown> {
  return typeof value === "object" && value !== null && "format" in value && "doc" in value;
}

/** Every setting of a table with its dotted key, in order. */
export function leavesOf(tree: object, prefix = ""): Leaf[] {
  return Object.entries(tree).flatMap(([name, node]: [string, unknown]) => {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    if (isSetting(node)) return [{ key, setting: node }];
    return typeof node === "object" && node !== null ? leavesOf(node, key) : [];
  });
}
