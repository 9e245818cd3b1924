import { parseTimeMs } from "../../base/duration.ts";
import { AgentError, errorText } from "../../core/errors.ts";
import { parsePromDurationMs, parseSecondsMs } from "./durations.ts";
import { parseQuery, parseSelectors } from "./parse.ts";
import type { Expression, Matcher } from "./syntax.ts";

/** Times at which a query is evaluated: from the first on, `count` of them. */
export interface Steps {
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
}

/** Prometheus' own bound, and its own words: Grafana's users know them. */
const maxPoints = 11_000;
/** The year 5138; Unix milliseconds given as seconds lie beyond it. */
const latestMs = 1e14;
/** Queries that run longer are of no use to a person; Prometheus' default. */
const longestTimeoutMs = 120_000;

/** The refusal of a request as a whole. */
export function badData(message: string): AgentError {
  return new AgentError("INPUT_INVALID", message);
}

function wrong(name: string, why: string): AgentError {
  return badData(`invalid parameter ${JSON.stringify(name)}: ${why}`);
}

/** Shows what was sent; a long text is of no use in a message. */
function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/** The parameters of a request, from its form and its query string. Parameters nobody knows are left alone, as there. */
export class Params {
  readonly #given: URLSearchParams;
  readonly #nowMs: number;

  constructor(given: URLSearchParams, nowMs: number) {
    this.#given = given;
    this.#nowMs = nowMs;
  }

  text(name: string): string | null {
    return this.#given.get(name);
  }

  /** Unix seconds or RFC 3339; milliseconds out. */
  timeMs(name: string, missingMs?: number): number {
    const text = this.#given.get(name) ?? "";
    if (text === "" && missingMs !== undefined) return missingMs;
    // A query string turns the `+` of a zone into a space.
    const mended = text.replace(/(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$/, "$1+$2");
    const ms = parseSecondsMs(text) ?? parseTimeMs(mended, this.#nowMs);
    if (ms === null || Math.abs(ms) > latestMs)
      throw wrong(name, `cannot parse ${shown(text)} to a valid timestamp`);
    return Math.round(ms);
  }

  /** Seconds or a duration; milliseconds out. */
  durationMs(name: string): number {
    const text = this.#given.get(name) ?? "";
    const ms = parseSecondsMs(text) ?? parsePromDurationMs(text);
    if (ms === null || Math.abs(ms) > latestMs)
      throw wrong(name, `cannot parse ${shown(text)} to a valid duration`);
    return ms;
  }

  /** How long an answer may take, milliseconds. */
  timeoutMs(): number {
    const given = this.text("timeout") ?? "";
    return given === "" ? longestTimeoutMs : Math.min(this.durationMs("timeout"), longestTimeoutMs);
  }

  /** How many items an answer may have; infinite when it is not given or 0. */
  limit(name = "limit"): number {
    const text = this.text(name) ?? "";
    if (text === "") return Number.POSITIVE_INFINITY;
    if (!/^\d{1,15}$/.test(text))
      throw wrong(name, `${shown(text)} is not a whole number from 0 on`);
    const limit = Number(text);
    return limit === 0 ? Number.POSITIVE_INFINITY : limit;
  }

  query(): Expression {
    try {
      return parseQuery(this.text("query") ?? "");
    } catch (cause) {
      throw cause instanceof AgentError && cause.code === "INPUT_INVALID"
        ? wrong("query", errorText(cause))
        : cause;
    }
  }

  /** The selectors of `match[]`; none when it is not given. */
  matches(): readonly (readonly Matcher[])[] {
    try {
      return parseSelectors(this.#given.getAll("match[]"));
    } catch (cause) {
      throw cause instanceof AgentError && cause.code === "INPUT_INVALID"
        ? wrong("match[]", errorText(cause))
        : cause;
    }
  }

  /** `start` and `end`, both inclusive. */
  span(missing?: { readonly startMs: number; readonly endMs: number }): {
    readonly startMs: number;
    readonly endMs: number;
  } {
    const startMs = this.timeMs("start", missing?.startMs);
    const endMs = this.timeMs("end", missing?.endMs);
    if (endMs < startMs) throw wrong("end", "end timestamp must not be before start time");
    return { startMs, endMs };
  }

  /** The times of a range query: from `start`, every `step`, to `end` at most. */
  steps(): Steps {
    const { startMs, endMs } = this.span();
    const stepMs = this.durationMs("step");
    if (stepMs <= 0)
      throw wrong(
        "step",
        "zero or negative query resolution step widths are not accepted. Try a positive integer",
      );
    const more = Math.floor((endMs - startMs) / stepMs);
    if (more > maxPoints)
      throw badData(
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
      );
    return { startMs, stepMs, count: more + 1 };
  }
}
