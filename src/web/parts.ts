import type { Language } from "../core/delivery.ts";
import { spanText, timeText } from "./format.ts";
import { markup, type Html } from "./html.ts";
import type { PageModel } from "./model.ts";
import type { words } from "./words.ts";

type Words = (typeof words)[Language];

/** What every part of the page needs. */
export interface Writer {
  readonly model: PageModel;
  readonly w: Words;
  /** Masks secrets in what other software wrote. */
  readonly clean: (text: string) => string;
}

/** How a state looks; an unknown one looks neutral. */
const looks: Readonly<Record<string, string>> = {
  ok: "good",
  sent: "good",
  resolved: "good",
  starting: "warn",
  degraded: "warn",
  warning: "warn",
  retrying: "warn",
  pending: "warn",
  down: "bad",
  critical: "bad",
  refused: "bad",
  dead: "bad",
};

/** A word of the API as the language says it. */
export function term(w: Words, word: string): string {
  return (Object.hasOwn(w.terms, word) ? w.terms[word] : undefined) ?? word;
}

/** A state word with its colour. */
export function state({ w }: Writer, word: string): Html {
  return markup`<span class="state ${Object.hasOwn(looks, word) ? (looks[word] ?? "") : "off"}">${term(w, word)}</span>`;
}

/** A table of rows of cells. */
export function table(headings: readonly string[], rows: readonly Html[]): Html {
  const cells = headings.map((heading) => markup`<th scope="col">${heading}</th>`);
  return markup`<table>
    <thead>
      <tr>
        ${cells}
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

/** How long ago something was; the time itself when pointed at. */
export function since({ model, w }: Writer, ms: number): Html {
  return markup`<span class="when" title="${timeText(ms)}">${w.ago(spanText(model.nowMs - ms, w.units, 1))}</span>`;
}

/** What other software said, secrets masked. */
export function error({ clean, w }: Writer, text: string | null): Html {
  return text === null ? markup`<span class="soft">${w.none}</span>` : markup`${clean(text)}`;
}

/** In the place of a section that could not be had. */
export function unavailable({ clean, w }: Writer, text: string): Html {
  return markup`<p class="bad">${w.unavailable}: ${clean(text)}</p>`;
}
