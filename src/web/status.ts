import type { Receipt } from "../core/delivery.ts";
import type { ComponentStatus } from "../core/ports.ts";
import { markup, type Html } from "./html.ts";
import type { PageChannel } from "./model.ts";
import { error, since, state, table, term, unavailable, type Writer } from "./parts.ts";

function statusCells(writer: Writer, { status, sinceMs, lastError }: ComponentStatus): Html {
  return markup`<td>${state(writer, status)}</td>
    <td>${since(writer, sinceMs)}</td>
    <td class="free">${error(writer, lastError)}</td>`;
}

/** The agent's parts and what each last failed at. */
export function parts(writer: Writer): Html {
  const { model, w } = writer;
  const rows = Object.entries(model.components).map(
    ([name, status]) =>
      markup`<tr>
        <td>${name}</td>
        ${statusCells(writer, status)}
      </tr>`,
  );
  return markup`<section>
    <h2>${w.parts}</h2>
    ${table([w.part, w.state, w.since, w.lastError], rows)}
  </section>`;
}

/** Where rules and channels come from. */
export function sources(writer: Writer): Html {
  const { model, w } = writer;
  const rows = model.sources.map(
    ({ source, status, revision, rules, channels }) =>
      markup`<tr>
        <td>${term(w, source)}</td>
        <td>${state(writer, status.status)}</td>
        <td class="free">${revision ?? w.none}</td>
        <td class="num">${rules}</td>
        <td class="num">${channels}</td>
        <td class="free">${error(writer, status.lastError)}</td>
      </tr>`,
  );
  const headings = [w.source, w.state, w.revision, w.rules, w.channels, w.lastError];
  return markup`<section>
    <h2>${w.sources}</h2>
    ${table(headings, rows)}
  </section>`;
}

function channelRow(writer: Writer, channel: PageChannel): Html {
  const { w } = writer;
  const { name, type, enabled, status, pending, tokensLeft } = channel;
  const shown = enabled
    ? state(writer, status.status)
    : markup`<span class="off">${w.disabled}</span>`;
  return markup`<tr>
    <td><a href="/api/deliveries?channel=${encodeURIComponent(name.toWellFormed())}">${name}</a></td>
    <td>${type}</td>
    <td>${shown}</td>
    <td class="num">${pending}</td>
    <td class="num">${tokensLeft ?? "–"}</td>
    <td>${term(w, channel.source)}</td>
    <td class="free">${error(writer, status.lastError)}</td>
  </tr>`;
}

/** The channels and whether they can send. */
export function channels(writer: Writer): Html {
  const { model, w } = writer;
  const body = (): Html => {
    if (!model.channels.ok) return unavailable(writer, model.channels.error);
    if (model.channels.value.length === 0) return markup`<p class="warn">${w.noChannels}</p>`;
    const rows = model.channels.value.map((channel) => channelRow(writer, channel));
    const headings = [w.channel, w.type, w.state, w.waiting, w.tokens, w.source, w.lastError];
    return table(headings, rows);
  };
  return markup`<section>
    <h2>${w.channels}</h2>
    ${body()}
  </section>`;
}

function deliveryRow(writer: Writer, receipt: Receipt): Html {
  const answer = [receipt.code, receipt.message].filter((part) => part !== null).join(" ");
  return markup`<tr>
    <td>${since(writer, receipt.createdAtMs)}</td>
    <td>${receipt.channel}</td>
    <td>${term(writer.w, receipt.kind)}</td>
    <td>${state(writer, receipt.outcome)}</td>
    <td class="free">${writer.clean(answer)}</td>
  </tr>`;
}

/** What became of the last messages. */
export function deliveries(writer: Writer): Html {
  const { model, w } = writer;
  const body = (): Html => {
    if (!model.deliveries.ok) return unavailable(writer, model.deliveries.error);
    if (model.deliveries.value.length === 0) return markup`<p class="soft">${w.noDeliveries}</p>`;
    const rows = model.deliveries.value.map((receipt) => deliveryRow(writer, receipt));
    return table([w.time, w.channel, w.kind, w.outcome, w.answer], rows);
  };
  return markup`<section>
    <h2>${w.deliveries}</h2>
    ${body()}
  </section>`;
}
