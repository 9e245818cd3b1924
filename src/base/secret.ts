import { inspect } from "node:util";

const mask = "***";

/** A value that is never printed: `String()`, JSON and `console` all show `***`; only `reveal()` gives it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself, for the one place that must send it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}

/** Replaces known secrets in texts that other software wrote (error messages, replies of services). */
export interface Redactor {
  /** Learns every `Secret` inside a value, however deep. */
  learn(value: unknown): void;
  redact(text: string): string;
}

/** Secrets shorter than this are not searched for in texts: they would mask ordinary words. */
const shortestSearched = 4;

/** A part of a URL without its percent-encoding; as it is when that is broken. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The forms in which a secret may turn up in a text: as it is, URL-encoded, inside JSON, and each query value of a URL. */
function forms(secret: string): string[] {
  const found = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)];
  if (URL.canParse(secret)) {
    const url = new URL(secret);
    found.push(url.href, url.pathname + url.search);
    for (const value of url.searchParams.values()) found.push(value);
    const last = url.pathname.split("/").at(-1);
    if (last !== undefined && last.length >= 16) found.push(last);
    if (url.password !== "") found.push(url.password, decoded(url.password));
  }
  return found.filter((form) => form.length >= shortestSearched);
}

export function createRedactor(): Redactor {
  const known = new Set<string>();
  let ordered: readonly string[] = [];
  const learn = (value: unknown): void => {
    if (value instanceof Secret) {
      for (const form of forms(value.reveal())) known.add(form);
      ordered = [...known].sort((a, b) => b.length - a.length);
    } else if (value instanceof Map) {
      for (const item of value.values()) learn(item);
    } else if (typeof value === "object" && value !== null) {
      for (const item of Object.values(value)) learn(item);
    }
  };
  return {
    learn,
    redact: (text) => ordered.reduce((rest, form) => rest.replaceAll(form, mask), text),
  };
}
