import { joinPath } from "../base/parse.ts";
import type { AgentError } from "../core/errors.ts";
import { invalid } from "./problem.ts";

/** No input of this API nests deeper than two. */
const maxDepth = 32;

/**
 * Walks a JSON text and throws at the first thing that is wrong with it, saying where and never quoting it: the
 * messages of `JSON.parse` quote the text, mostly have no position, and it accepts a key given twice.
 */
class JsonScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(0, "");
    this.#skip();
    if (this.#at < this.#text.length) throw this.#fault("expected the end");
  }

  #fault(message: string, path = ""): AgentError {
    const before = this.#text.slice(0, this.#at).split("\n");
    const column = (before.at(-1) ?? "").length + 1;
    return invalid([
      { path, message: `${message} at line ${before.length}, column ${column} of the JSON` },
    ]);
  }

  #skip(): void {
    this.#take(/[ \t\n\r]*/y);
  }

  /** The text a sticky pattern matches here, which is then behind us; undefined when it does not match. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #char(char: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #string(): string | undefined {
    this.#skip();
    return this.#take(/"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy);
  }

  #value(depth: number, path: string): void {
    if (depth > maxDepth) throw this.#fault(`nested deeper than ${maxDepth}`);
    if (this.#char("{")) this.#members(depth, path);
    else if (this.#char("[")) this.#items(depth, path);
    else if (
      this.#string() === undefined &&
      this.#take(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y) === undefined
    )
      throw this.#fault("expected a value");
  }

  #members(depth: number, path: string): void {
    if (this.#char("}")) return;
    const seen = new Set<string>();
    do {
      const key = this.#key(path, seen);
      if (!this.#char(":")) throw this.#fault('expected ":"');
      this.#value(depth + 1, joinPath(path, [key]));
    } while (this.#char(","));
    if (!this.#char("}")) throw this.#fault('expected "," or "}"');
  }

  #key(path: string, seen: Set<string>): string {
    const quoted = this.#string();
    if (quoted === undefined) throw this.#fault("expected a key in double quotes");
    const key = String(JSON.parse(quoted));
    if (seen.has(key)) throw this.#fault("the key is given twice", joinPath(path, [key]));
    // Names every object has (`__proto__`, `constructor`): schemas would take them for known keys.
    if (key in Object.prototype) throw this.#fault("the key is not allowed", joinPath(path, [key]));
    seen.add(key);
    return key;
  }

  #items(depth: number, path: string): void {
    if (this.#char("]")) return;
    let index = 0;
    do this.#value(depth + 1, joinPath(path, [index++]));
    while (this.#char(","));
    if (!this.#char("]")) throw this.#fault('expected "," or "]"');
  }
}

/** Reads a JSON text. Throws INPUT_INVALID with the position of the first thing that is wrong. */
export function parseJson(text: string): unknown {
  new JsonScanner(text).document();
  return JSON.parse(text);
}
