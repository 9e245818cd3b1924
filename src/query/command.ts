import * as v from "valibot";
import type { Secret } from "../base/secret.ts";
import type { Clock } from "../core/ports.ts";
import { parseSelector, type SeriesKey } from "../core/series.ts";
import { agentUrl, type ServerAddress } from "./address.ts";
import { createAgentClient, type AgentClient, type SeriesAsk } from "./client.ts";
import { chooseNodes, type AskedNode } from "./nodes.ts";
import { readQuestion, spanOf, type Question } from "./question.ts";
import { createCsvWriter, createJsonWriter, reordered } from "./rows.ts";
import { summarise, type ChooseStep, type Summary } from "./summary.ts";
import { createStepChooser, printTable } from "./table.ts";

export { readQuestion };

export interface QueryDeps {
  /** As the agent is configured. */
  readonly server: ServerAddress & { readonly token: Secret | null };
  readonly clock: Clock;
  /** Characters in a line of the terminal; null: the output is none. */
  readonly columns: number | null;
  /** Resolves when more may be written. */
  readonly write: (text: string) => Promise<void>;
}

/** A question that was understood, and whom it is put to. */
interface Asking {
  readonly client: AgentClient;
  readonly nodes: readonly AskedNode[];
  readonly ask: Omit<SeriesAsk, "node">;
  readonly write: QueryDeps["write"];
}

const health = v.object({ node: v.string(), cluster: v.string() });
const indexes = v.object({ items: v.array(v.object({ name: v.string(), unit: v.string() })) });
/** Of what an agent says of itself; where it says nothing, the default interval. */
const pace = v.object({
  metrics: v.optional(v.object({ collection_interval: v.optional(v.number(), 10) }), {}),
});

/** The unit of each index. */
async function unitsOf(client: AgentClient): Promise<ReadonlyMap<string, string>> {
  const { value } = await client.get("/api/indexes?limit=1000", indexes);
  return new Map(value.items.map(({ name, unit }) => [name, unit]));
}

/** How often there is a sample: a shorter bar would be missing where none is. */
async function intervalMs(client: AgentClient): Promise<number> {
  const { metrics } = (await client.get("/api/config", pace)).value;
  return (metrics.collection_interval ?? 0) * 1_000;
}

async function chooserFor({ client, nodes, ask }: Asking, columns: number): Promise<ChooseStep> {
  const limits =
    ask.stepMs === null
      ? { leastMs: await intervalMs(client), unitMs: 1_000 }
      : { leastMs: ask.stepMs, unitMs: ask.stepMs };
  const labels = nodes.map(({ label }) => label);
  return createStepChooser(columns, labels, { ...limits, span: ask });
}

async function printSummaries(asking: Asking, columns: number | null): Promise<void> {
  const { client, ask, nodes } = asking;
  const units = await unitsOf(client);
  const chooseStep = columns === null ? () => null : await chooserFor(asking, columns);
  const summaries: Summary[] = [];
  for (const node of nodes) summaries.push(...(await summarise(client, node, ask, chooseStep)));
  const stepMs = chooseStep([]);
  const drawing =
    columns === null || stepMs === null ? null : { columns, stepMs, aggregate: ask.aggregate };
  await asking.write(printTable(summaries, units, drawing));
}

/** Every series of some nodes, where that is not known without asking them; null: it is. */
async function allKeys({ client, nodes, ask }: Asking): Promise<readonly SeriesKey[] | null> {
  const isOpen = (ask.indexes ?? []).some((text) => parseSelector(text).labels === "*");
  if (!isOpen || nodes.length === 1) return null;
  const keys = new Set<SeriesKey>();
  for (const { node } of nodes) {
    const table = await client.series({ ...ask, node });
    for (const key of table.keys) keys.add(key);
    table.close();
  }
  return [...keys].sort();
}

/** Every row of every node, as they arrive; no more than some are held. */
async function printRows(asking: Asking, format: "csv" | "json"): Promise<void> {
  const { client, nodes, ask, write } = asking;
  const writer = format === "csv" ? createCsvWriter() : createJsonWriter();
  let keys = format === "csv" ? await allKeys(asking) : null;
  for (const [at, { label, node }] of nodes.entries()) {
    const table = await client.series({ ...ask, node });
    keys ??= table.keys;
    const wanted = format === "csv" ? keys : table.keys;
    if (at === 0) await write(writer.begin(wanted));
    for await (const rows of reordered(table, wanted))
      await write(writer.rows(label, rows, wanted));
  }
  await write(writer.end());
}

/**
 * Asks the agent and writes its answer. Rejects with INPUT_INVALID when the question is wrong, and HTTP_FAILED when the
 * agent does not answer.
 */
export async function runQuery(question: Question, deps: QueryDeps): Promise<void> {
  const { server, clock, columns, write } = deps;
  const url = question.url ?? agentUrl(server);
  const client = createAgentClient({ url, token: server.token, clock });
  try {
    const { value: own, nowMs } = await client.get("/health", health);
    const span = spanOf(question, nowMs ?? clock.now());
    const identity = { name: own.node, cluster: own.cluster };
    const nodes = await chooseNodes(question.nodes, identity, client);
    const { indexes, stepMs, aggregate, format } = question;
    const asking = { client, nodes, write, ask: { ...span, indexes, stepMs, aggregate } };
    if (format === "table") await printSummaries(asking, columns);
    else await printRows(asking, format);
  } finally {
    client.close();
  }
}
