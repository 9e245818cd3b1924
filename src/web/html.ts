/** HTML that is safe to put into a page as it is. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? "");
}

type Part = string | number | Html | readonly Html[];

function partText(part: Part): string {
  if (part instanceof Html) return part.text;
  return typeof part === "object" ? part.map(({ text }) => text).join("") : escape(String(part));
}

/** Builds HTML from a template; every text put into it is escaped, whoever wrote it. Attributes must be in quotes. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const texts = parts.map(partText);
  return new Html(strings.map((text, at) => text + (texts[at] ?? "")).join(""));
}
