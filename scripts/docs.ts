/** Writes the tables in the docs from the lists in the code, between `<!-- table: name -->` and `<!-- end -->`. */
import { readFile, writeFile } from "node:fs/promises";
import { valuesText } from "./chart.ts";
import { documentedValues } from "./chart/values.ts";
import { collectors } from "../src/collect/index.ts";
import { leavesOf } from "../src/config/settings.ts";
import { reasonOf } from "../src/kubernetes/reasons.ts";
import { rights, type Right } from "../src/kubernetes/rights.ts";
import { checks } from "../src/doctor/index.ts";
import { channelPlugins } from "../src/notify/index.ts";
import { templateFlags, templateNames } from "../src/notify/template-view.ts";
import { ownHistograms, ownMetrics, type MeasuredParts } from "../src/own-metrics.ts";
import { table as settings } from "../src/settings.ts";
import { backends } from "../src/store/index.ts";
import { aclRules, rights as redisRights } from "../src/store/redis/commands.ts";

type Row = readonly string[];

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function table(head: Row, rows: readonly Row[]): string {
  const line = (row: Row): string => `| ${row.map(cell).join(" | ")} |`;
  return [line(head), `|${" --- |".repeat(head.length)}`, ...rows.map(line)].join("\n");
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

function shownDefault(value: unknown): string {
  if (value === null) return "";
  return code(typeof value === "string" ? value : JSON.stringify(value));
}

/** A value as JSON, unless that would make the table too wide to read. */
function briefly(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? "see values.yaml" : code(text);
}

const perMinute = ({ count, perMs }: { count: number; perMs: number }): string =>
  `${count} in ${perMs / 1_000} s`;

const places: Readonly<Record<Right["scope"], string>> = {
  namespaced: "the agent's namespace",
  default: "namespace `default`",
  cluster: "the cluster",
};

/** Every table by its name. */
export const tables: Readonly<Record<string, () => string>> = {
  settings: () =>
    table(
      ["key", "environment", "default", ""],
      leavesOf(settings).map(({ key, setting }) => [
        code(key) + (setting.secret ? `, ${code(`${key}_file`)}` : ""),
        setting.env === null
          ? ""
          : code(setting.env) + (setting.secret ? `, ${code(`${setting.env}_FILE`)}` : ""),
        shownDefault(setting.default),
        setting.doc,
      ]),
    ),
  indexes: () =>
    table(
      ["index", "unit", "labels", "collector", ""],
      collectors.flatMap(({ name, indexes }) =>
        indexes.map((index) => [
          code(index.name),
          index.unit,
          index.labels.map(code).join(", "),
          code(name),
          index.help,
        ]),
      ),
    ),
  collectors: () =>
    table(
      ["collector", "default", ""],
      collectors.map(({ name, defaultOn, doc }) => [code(name), defaultOn ? "on" : "off", doc]),
    ),
  channels: () =>
    table(
      ["type", "limits kept", "longest body", ""],
      channelPlugins.map(({ type, limits, maxBytes, doc }) => [
        code(type),
        limits.map(perMinute).join(", "),
        maxBytes === null ? "" : `${maxBytes} bytes`,
        doc,
      ]),
    ),
  values: () =>
    table(
      ["value", "default", ""],
      documentedValues(valuesText()).map(({ key, default: value, doc }) => [
        code(key),
        briefly(value),
        doc,
      ]),
    ),
  backends: () =>
    table(
      ["backend", ""],
      backends.map(({ name, doc }) => [code(name), doc]),
    ),
  checks: () =>
    table(
      ["check", "what it looks at", "what is lost without it"],
      checks.map(({ name, doc, costs }) => [code(name), doc, costs]),
    ),
  reasons: () =>
    table(
      ["index", "breach", "recovery"],
      collectors.flatMap(({ indexes }) =>
        indexes.map(({ name }) => [
          code(name),
          code(reasonOf(name, "breach", ">")),
          code(reasonOf(name, "recovery", ">")),
        ]),
      ),
    ),
  rights: () =>
    table(
      ["right", "where", "for", "without it"],
      Object.values<Right>(rights).map((right) => [
        code(
          `${right.verbs.join(", ")} ${right.resource}${right.group === "" ? "" : `.${right.group}`}`,
        ),
        places[right.scope],
        right.neededFor,
        right.without,
      ]),
    ),
  acl: () => `\`\`\`\nACL SETUSER targetvpc on >password ${aclRules("targetvpc")}\n\`\`\``,
  redisrights: () =>
    table(
      ["right", "for"],
      Object.entries(redisRights).map(([name, needed]) => [code(`+${name}`), needed]),
    ),
  templatenames: () =>
    table(
      ["name", ""],
      Object.entries({ ...templateNames, ...templateFlags }).map(([name, doc]) => [
        code(name),
        doc,
      ]),
    ),
  metrics: () =>
    table(
      ["metric", "labels", ""],
      // Nothing is read here: only names, labels and help texts are.
      [...ownMetrics({} as MeasuredParts), ...ownHistograms({} as MeasuredParts)].map(
        ({ name, labels, help }) => [code(name), labels.map(code).join(", "), help],
      ),
    ),
};

/** A document with its tables as the code has them now. */
export function withTables(text: string): string {
  return text.replaceAll(
    /(<!-- table: (\w+) -->)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, name: string, close: string) => {
      const make = tables[name];
      if (make === undefined)
        throw new Error(`no table "${name}"; known: ${Object.keys(tables).join(", ")}`);
      return `${open}\n\n${make()}\n\n${close}`;
    },
  );
}

/** Documents that hold tables. */
export const documents = [
  "README.md",
  "docs/configuration.md",
  "docs/metrics.md",
  "docs/channels.md",
  "docs/kubernetes.md",
  "docs/doctor.md",
  "docs/redis.md",
  "charts/targetvpc/README.md",
];

if (process.argv[1] === import.meta.filename)
  for (const document of documents) {
    const file = new URL(`../${document}`, import.meta.url);
    await writeFile(file, withTables(await readFile(file, "utf8")));
  }
