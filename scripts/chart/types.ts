import type { JsonSchema } from "../../src/config/formats.ts";
import { leavesOf } from "../../src/config/settings.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import type { AnyChannelPlugin } from "../../src/notify/contract.ts";
import { common } from "../../src/notify/settings.ts";
import { inhibitionSchema, quietHoursSchema } from "../../src/alerts/mute-schema.ts";
import { ruleSchema } from "../../src/rules/schema.ts";
import { table } from "../../src/settings.ts";
import { closed, fromValibot, members } from "./from-valibot.ts";

const text: JsonSchema = { type: "string" };
const name: JsonSchema = { type: "string", minLength: 1 };
const free: JsonSchema = { type: "object" };
/** An amount as Kubernetes writes it: `500m`, `96Mi`, `1e9`. */
const quantity: JsonSchema = {
  type: ["string", "number"],
  pattern: "^[0-9]+([.][0-9]*)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]+)?$",
};
/** Bytes as redis.conf writes them: whole numbers, and `mb` where Kubernetes writes `Mi`. */
const redisMemory: JsonSchema = {
  type: ["string", "integer"],
  pattern: "^[0-9]+([bB]|[kmgKMG][bB]?)?$",
};
const amountOrShare: JsonSchema = { type: ["string", "number"] };
/** `--set` makes numbers and booleans of some texts; the templates make texts of them again. */
const scalar: JsonSchema = { type: ["string", "number", "boolean", "null"] };

function listOf(items: JsonSchema): JsonSchema {
  return { type: "array", items };
}

function mapOf(additionalProperties: JsonSchema): JsonSchema {
  return { type: "object", additionalProperties };
}

/** A reference to one of the named types. */
export function ref(type: string): JsonSchema {
  return { $ref: `#/definitions/${type}` };
}

type Tree = Map<string, Tree | JsonSchema>;

/** The settings in the shape of the config file; a secret may come from a file too. */
function configTree(): Tree {
  const root: Tree = new Map();
  const put = (key: string, schema: JsonSchema): void => {
    const steps = key.split(".");
    const last = steps.pop() ?? key;
    let at = root;
    for (const step of steps) {
      const next = at.get(step) ?? new Map();
      at.set(step, next);
      if (next instanceof Map) at = next;
    }
    at.set(last, schema);
  };
  for (const { key, setting } of leavesOf(table)) {
    put(key, setting.format.schema);
    if (setting.secret) put(`${key}_file`, name);
  }
  put("alerts.rules", ref("rules"));
  put("alerts.channels", ref("channels"));
  put("alerts.quiet_hours", listOf(fromValibot(quietHoursSchema)));
  put("alerts.inhibit", listOf(fromValibot(inhibitionSchema)));
  return root;
}

function treeSchema(tree: Tree): JsonSchema {
  return closed(
    Object.fromEntries(
      [...tree].map(([key, node]) => [key, node instanceof Map ? treeSchema(node) : node]),
    ),
  );
}

function config(): JsonSchema {
  const tree = configTree();
  const redis = tree.get("redis");
  const tls = redis instanceof Map ? redis.get("tls") : undefined;
  if (redis instanceof Map && tls instanceof Map)
    // `tls: true` is the short form.
    redis.set("tls", { ...treeSchema(tls), type: ["object", "boolean"] });
  return treeSchema(tree);
}

function rule(): JsonSchema {
  return {
    ...fromValibot(ruleSchema),
    anyOf: [{ required: ["threshold"] }, { required: ["levels"] }],
  };
}

/** The settings of one type of channel, each of `fromFile` also as a file. */
function channelSettings({ type, settings, fromFile }: AnyChannelPlugin): JsonSchema {
  const own = members(settings.entries);
  const files = Object.fromEntries(fromFile.map((key) => [`${key}_file`, name]));
  const either = own.required
    .filter((key) => fromFile.includes(key))
    .map((key) => ({ anyOf: [{ required: [key] }, { required: [`${key}_file`] }] }));
  return {
    if: { properties: { type: { const: type } } },
    // oxlint-disable-next-line unicorn/no-thenable -- the word of JSON Schema
    then: {
      ...closed(
        { ...members(common.entries).properties, type: text, ...own.properties, ...files },
        own.required.filter((key) => !fromFile.includes(key)),
      ),
      ...(either.length === 0 ? {} : { allOf: either }),
    },
  };
}

function channel(): JsonSchema {
  return {
    type: "object",
    required: ["type"],
    properties: { type: { enum: channelPlugins.map(({ type }) => type) } },
    allOf: channelPlugins.map(channelSettings),
  };
}

const toleration = closed({
  key: text,
  operator: { enum: ["Exists", "Equal", "Lt", "Gt"] },
  value: text,
  effect: { enum: ["NoSchedule", "PreferNoSchedule", "NoExecute"] },
  tolerationSeconds: { type: "integer" },
});

const relabeling = closed({
  sourceLabels: listOf(text),
  separator: text,
  targetLabel: text,
  regex: text,
  modulus: { type: "integer" },
  replacement: text,
  action: text,
});

/** The types that values.yaml names by `@type`. */
export function valueTypes(): Readonly<Record<string, JsonSchema>> {
  return {
    config: config(),
    rules: listOf(rule()),
    channels: listOf(channel()),
    pullPolicy: { enum: ["Always", "IfNotPresent", "Never"] },
    toggle: { enum: ["auto", "true", "false", true, false] },
    quantity,
    redisMemory,
    scalarMap: mapOf(scalar),
    texts: listOf(text),
    references: listOf(closed({ name }, ["name"])),
    resources: closed({
      limits: mapOf(quantity),
      requests: mapOf(quantity),
      claims: listOf(closed({ name, request: text }, ["name"])),
    }),
    tolerations: listOf(toleration),
    affinity: closed({ nodeAffinity: free, podAffinity: free, podAntiAffinity: free }),
    updateStrategy: closed({
      type: { enum: ["RollingUpdate", "OnDelete"] },
      rollingUpdate: closed({ maxUnavailable: amountOrShare, maxSurge: amountOrShare }),
    }),
    relabelings: listOf(relabeling),
    peers: listOf(closed({ podSelector: free, namespaceSelector: free, ipBlock: free })),
    env: listOf(closed({ name, value: text, valueFrom: free }, ["name"])),
    // Every kind of volume is a key of its own; the API server knows them.
    volumes: listOf({ type: "object", required: ["name"], properties: { name } }),
    volumeMounts: listOf(
      closed(
        {
          name,
          mountPath: name,
          subPath: text,
          subPathExpr: text,
          readOnly: { type: "boolean" },
          recursiveReadOnly: text,
          mountPropagation: { enum: ["None", "HostToContainer", "Bidirectional"] },
        },
        ["name", "mountPath"],
      ),
    ),
    extraObjects: listOf({ type: ["object", "string"] }),
  };
}
