import { inspect } from "node:util";
import { cutMark, escapeHtml } from "./text.ts";

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
/** Base64 of less may be part of any other. */
const shortestEncoded = 8;
/** The last part of an address's path is a token when it is as long as this. */
const shortestToken = 16;
const bitsPerByte = 8;
const bitsPerLetter = 6;

/** A part of a URL without its percent-encoding; as it is when that is broken. */
export function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * What base64 makes of a secret, wherever it stands in what is encoded (a login is `user:password`): one for each place of
 * its first byte within a group of three, without the letters that its neighbours decide too.
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const first = before === 0 ? 0 : before + 1;
    const last = Math.floor(((before + bytes.length) * bitsPerByte) / bitsPerLetter);
    const own = whole.slice(first, last);
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")].filter(
      (form) => form.length >= shortestEncoded,
    );
  });
}

/** A secret in the letters of URLs, JSON and HTML. */
function encodings(secret: string): string[] {
  const percent = encodeURIComponent(secret);
  return [
    secret,
    percent,
    percent.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    new URLSearchParams({ s: secret }).toString().slice("s=".length),
    JSON.stringify(secret).slice(1, -1),
    escapeHtml(secret),
  ];
}

/** What of an address is secret by itself: all that was made up for one user. */
function tokensOf({ searchParams, pathname, password }: URL): string[] {
  const last = pathname.split("/").at(-1) ?? "";
  return [
    ...searchParams.values(),
    ...(last.length >= shortestToken ? [last, decoded(last)] : []),
    ...(password === "" ? [] : [password, decoded(password)]),
  ];
}

/** The forms in which a secret may turn up in a text: as it is, inside URLs, JSON, HTML and base64, and each secret part of a URL. */
function forms(secret: string): string[] {
  const url = URL.canParse(secret) ? new URL(secret) : null;
  const path = url === null ? "" : url.pathname + url.search;
  const wholes = url === null ? [] : [url.href, decoded(url.href), path, decoded(path)];
  const tokens = [secret, ...(url === null ? [] : tokensOf(url))].filter(
    (token) => token.length >= shortestSearched,
  );
  return [...wholes, ...tokens]
    .flatMap(encodings)
    .concat(tokens.flatMap(base64Forms))
    .filter((form) => form.length >= shortestSearched);
}

/** Less of a secret tells nothing, and may be the beginning of any word. */
const shortestBeginning = 6;

/** A text that was cut in the middle of a secret, without the beginning of it. */
function withoutBeginnings(text: string, forms: readonly string[]): string {
  const [first = "", ...rest] = text.split(cutMark);
  const masked = (part: string): string => {
    for (const form of forms) {
      const head = form.slice(0, shortestBeginning);
      for (let at = part.indexOf(head); at >= 0; at = part.indexOf(head, at + 1))
        if (form.startsWith(part.slice(at))) return part.slice(0, at) + mask;
    }
    return part;
  };
  const last = rest.pop();
  if (last === undefined) return text;
  return [...[first, ...rest].map(masked), last].join(cutMark);
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
    redact: (text) => {
      const whole = ordered.reduce((rest, form) => rest.replaceAll(form, mask), text);
      return withoutBeginnings(whole, ordered);
    },
  };
}
