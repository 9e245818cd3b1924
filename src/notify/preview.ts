import type { Incident, MessageKind } from "../core/alert.ts";
import type { AlertMessage, ChannelSpec, Language } from "../core/delivery.ts";
import type { NodeIdentity } from "../core/node.ts";
import { renderMessage, rowText } from "./render.ts";
import { testMessage } from "./test-message.ts";

/** An alert as it may come: what a preview shows. */
function example(node: NodeIdentity, nowMs: number, publicUrl: string | null): AlertMessage {
  const message = testMessage("preview", node, nowMs);
  const startedAtMs = nowMs - 15 * 60_000;
  const incident: Incident = {
    ...message.incident,
    id: "preview",
    level: "critical",
    threshold: 80,
    value: 97.3,
    peak: 99.1,
    startedAtMs,
    subject: {
      ...message.incident.subject,
      key: "disk-full|disk",
      rule: "disk-full",
      index: "disk",
      unit: "%",
      labels: { mount: "/data" },
      operator: ">",
      message: "Clean up /data",
      runbookUrl: "https://runbooks.example/disk",
    },
  };
  const recent = [71, 74, 79, 83, 86, 91, 95, 97.3];
  const processes = [
    { pid: 7, name: "postgres", value: 2_400_000, unit: "B/s", owner: "shop/db-0/postgres" },
  ] as const;
  const evidence = { processes, pressure: null };
  return { ...message, kind: "firing", incident, recent, evidence, publicUrl };
}

function textOf(message: AlertMessage, spec: ChannelSpec, language: Language): string {
  const { title, rows, links, words } = renderMessage(message, language, spec.template);
  return [
    title,
    "",
    ...rows.map((row) => rowText(row, words)),
    ...links.map(({ label, url }) => rowText({ label, value: url }, words)),
  ].join("\n");
}

/** What a channel would send of an alert and of its end, as plain text. */
export function previewChannel(
  spec: ChannelSpec,
  about: {
    readonly node: NodeIdentity;
    readonly nowMs: number;
    readonly language: Language;
    readonly publicUrl: string | null;
  },
): string {
  const { node, nowMs, publicUrl } = about;
  const firing = example(node, nowMs, publicUrl);
  const kind: MessageKind = "resolved";
  const incident = { ...firing.incident, status: "resolved", value: 62, endedAtMs: nowMs } as const;
  const resolved = { ...firing, kind, incident, recent: [], evidence: null };
  const language = spec.language ?? about.language;
  return [firing, resolved].map((message) => textOf(message, spec, language)).join("\n\n---\n\n");
}
