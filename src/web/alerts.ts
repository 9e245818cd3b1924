import type { Incident } from "../core/alert.ts";
import { formatLabels } from "../core/series.ts";
import { valueText } from "./format.ts";
import { markup, type Html } from "./html.ts";
import { since, state, table, term, type Writer } from "./parts.ts";

/** What holds messages about an incident back; empty when nothing does. */
function held({ model, w, clean }: Writer, incident: Incident): string {
  const mute = model.muteOf(incident);
  return mute === null ? "" : `${term(w, mute.reason)} (${clean(mute.id)})`;
}

function notes(writer: Writer, incident: Incident): string {
  const { w } = writer;
  return [
    held(writer, incident),
    incident.flapping ? w.flapping : "",
    incident.noData ? w.noData : "",
    incident.acknowledgedBy === null ? "" : `${w.acknowledged} ${incident.acknowledgedBy}`,
  ]
    .filter((note) => note !== "")
    .join(", ");
}

function incidentRow(writer: Writer, incident: Incident): Html {
  const { subject } = incident;
  const labels = formatLabels(subject.labels);
  const shown = (value: number | null): string =>
    value === null ? "" : valueText(value, subject.unit, 1);
  const when = incident.endedAtMs ?? incident.startedAtMs;
  return markup`<tr>
    <td>${state(writer, incident.status === "firing" ? incident.level : incident.status)}</td>
    <td class="free">
      <a href="/api/alerts/${encodeURIComponent(incident.id.toWellFormed())}">${subject.rule}</a>
      <span class="soft">${notes(writer, incident)}</span>
    </td>
    <td class="free">${subject.index}${labels === "" ? "" : `{${labels}}`}</td>
    <td>
      ${shown(incident.value)} ${subject.operator ?? ""} ${shown(incident.threshold)}
      <span class="soft">${incident.peak === null ? "" : `(${writer.w.peak} ${shown(incident.peak)})`}</span>
    </td>
    <td>${since(writer, when)}</td>
  </tr>`;
}

/** What fires, and what ended lately. */
export function alerts(writer: Writer): Html {
  const { model, w } = writer;
  const headings = [w.level, w.rule, w.index, w.value, w.since];
  const rows = (incidents: readonly Incident[]): Html[] =>
    incidents.map((incident) => incidentRow(writer, incident));
  const firing =
    model.firing.length === 0
      ? markup`<p class="good">${w.noAlerts}</p>`
      : table(headings, rows(model.firing));
  const ended =
    model.ended.length === 0
      ? markup``
      : markup`<section>
          <h2>${w.ended}</h2>
          ${table(headings, rows(model.ended))}
        </section>`;
  return markup`<section class="${model.firing.length === 0 ? "" : "firing"}">
      <h2>${w.alerts} (${model.firing.length})</h2>
      ${firing}
    </section>
    ${ended}`;
}
