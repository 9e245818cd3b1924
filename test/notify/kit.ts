import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { createLog } from "../../src/base/log.ts";
import { createRedactor, type Redactor } from "../../src/base/secret.ts";
import type { Incident, MessageKind } from "../../src/core/alert.ts";
import type {
  AlertMessage,
  Channel,
  ChannelSpec,
  Language,
  Receipt,
} from "../../src/core/delivery.ts";
import { AgentError } from "../../src/core/errors.ts";
import type { Clock, Log } from "../../src/core/ports.ts";
import type { Sourced } from "../../src/core/rule.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { parseChannel } from "../../src/notify/settings.ts";

export const startMs = Date.UTC(2026, 0, 5, 12, 0, 0);

type IncidentChanges = Partial<Omit<Incident, "subject">> & {
  subject?: Partial<Incident["subject"]>;
};

/** An alert of cpu on node-1 that fires at 97.3 %. */
export function incident({ subject, ...changes }: IncidentChanges = {}): Incident {
  return {
    id: "inc-1",
    subject: {
      key: "cpu-high|cpu",
      rule: "cpu-high",
      index: "cpu",
      unit: "%",
      labels: {},
      operator: ">",
      message: null,
      runbookUrl: null,
      channels: null,
      cooldownMs: null,
      node: { cluster: "prod", name: "node-1", ip: "10.0.0.1" },
      ...subject,
    },
    status: "firing",
    level: "critical",
    threshold: 80,
    value: 97.3,
    peak: 97.3,
    startedAtMs: startMs,
    updatedAtMs: startMs,
    endedAtMs: null,
    flaps: 0,
    flapping: false,
    acknowledgedBy: null,
    noData: false,
    ...changes,
  };
}

let messages = 0;

/** A message about that alert, with an id of its own. */
export function message(
  kind: MessageKind = "firing",
  changes: IncidentChanges = {},
  more: Partial<Omit<AlertMessage, "incident" | "kind">> = {},
): AlertMessage {
  messages += 1;
  return {
    id: `msg-${messages}`,
    kind,
    atMs: startMs,
    incident: incident(changes),
    recent: [],
    evidence: null,
    publicUrl: null,
    ...more,
  };
}

export const noFiles = {
  readFile: (path: string): string => {
    throw new AgentError("INPUT_INVALID", `no file ${path} in this test`);
  },
};

/** A channel as parsed from settings that must be right. */
export function spec(settings: Record<string, unknown>): ChannelSpec {
  const parsed = parseChannel(settings, "channel", noFiles);
  if (!parsed.ok)
    throw new AgentError("CONFIG_INVALID", "bad test settings", { faults: parsed.faults });
  return parsed.value;
}

export function sourced(value: ChannelSpec): Sourced<ChannelSpec> {
  return { value, source: "file", revision: "1" };
}

/** The channel of some settings, alone. */
export function openChannel(
  settings: Record<string, unknown>,
  deps: { http: HttpClient; clock: Clock; language?: Language },
): Channel {
  const parsed = spec(settings);
  const plugin = channelPlugins.find(({ type }) => type === parsed.type);
  if (plugin === undefined) throw new Error(`no plugin ${parsed.type}`);
  return plugin.create(parsed.settings, {
    ...deps,
    language: parsed.language ?? deps.language ?? "en",
    template: parsed.template,
  });
}

/** A log whose lines can be read. */
export function recordingLog(
  clock: Clock,
  redactor: Redactor = createRedactor(),
): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({
    level: "debug",
    format: "json",
    clock,
    redactor,
    write: (line) => lines.push(line),
  });
  return { log, lines };
}

/** Runs a test with an HTTP client and gives its connections back. */
export async function withHttp<T>(work: (http: HttpClient) => Promise<T>): Promise<T> {
  const http = createHttpClient();
  try {
    return await work(http);
  } finally {
    http.close();
  }
}

export type ReceiptSummary = Pick<Receipt, "channel" | "kind" | "outcome" | "attempts" | "code">;

export function summary({ channel, kind, outcome, attempts, code }: Receipt): ReceiptSummary {
  return { channel, kind, outcome, attempts, code };
}
