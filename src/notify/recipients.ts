import { domainToASCII } from "node:url";
import type { Outcome } from "../core/delivery.ts";

/** A recipient that a mail server did not take, and what it said. */
export interface Rejection {
  readonly recipient: string;
  /** The server's code; null: it gave none. */
  readonly code: number | null;
  readonly said: string;
}

interface Progress {
  readonly taken: Set<string>;
  /** Refused for good, by canonical address. */
  readonly refused: Map<string, Rejection>;
}

/** Messages that are remembered while some of their recipients wait; of more the oldest are forgotten. */
const maxRemembered = 1_000;

function isPermanent({ code }: Rejection): boolean {
  return code !== null && code >= 500 && code <= 599;
}

function shown({ recipient, code, said }: Rejection): string {
  return `${recipient} (${said === "" ? (code ?? "?") : said})`;
}

/** One way to write an address: mail software changes the letters of its domain. */
function canonical(address: string): string {
  const at = address.lastIndexOf("@") + 1;
  const domain = address.slice(at);
  return (address.slice(0, at) + (domainToASCII(domain) || domain)).toLowerCase();
}

function lists(rejections: readonly Rejection[]): string {
  return rejections.map(shown).join(", ");
}

/**
 * Who of the recipients of each mail has it. A server that puts off one of three has taken the mail for the other two:
 * the next try is for that one alone. A restart forgets it; then those who have it get it once more, under the same id.
 */
export class Recipients {
  readonly #all: readonly string[];
  readonly #progress = new Map<string, Progress>();

  constructor(all: readonly string[]) {
    this.#all = all;
  }

  /** Those that a mail is still to be sent to. */
  left(id: string): readonly string[] {
    const { taken, refused } = this.#of(id);
    return this.#all.filter((one) => !taken.has(one) && !refused.has(canonical(one)));
  }

  /** What a try means whose recipients the server answered one by one; `code` is its answer to the mail, if it took one. */
  conclude(id: string, rejections: readonly Rejection[], code: string | null): Outcome {
    const { taken, refused } = this.#of(id);
    const deferred = rejections.filter((one) => !isPermanent(one));
    const isRejected = new Set(rejections.map(({ recipient }) => canonical(recipient)));
    for (const one of this.left(id))
      if (!isRejected.has(canonical(one)) && code !== null) taken.add(one);
    for (const one of rejections) if (isPermanent(one)) refused.set(canonical(one.recipient), one);
    const [first] = deferred;
    if (first !== undefined) {
      this.#remember(id, { taken, refused });
      const told = taken.size === 0 ? "" : `taken for ${[...taken].join(", ")}; `;
      const reason = `${told}not yet for ${lists(deferred)}`;
      return { outcome: "retry", code: String(first.code ?? "unknown"), reason };
    }
    this.#progress.delete(id);
    return this.#settled({ taken, refused }, code);
  }

  /** What a refusal of a whole try means: those who have the mail by an earlier one keep it. */
  refuse(id: string, refusal: Extract<Outcome, { outcome: "refused" }>): Outcome {
    const { taken, refused } = this.#of(id);
    if (taken.size === 0) return refusal;
    for (const recipient of this.left(id))
      refused.set(canonical(recipient), { recipient, code: null, said: refusal.reason });
    this.#progress.delete(id);
    return this.#settled({ taken, refused }, null);
  }

  #settled({ taken, refused }: Progress, code: string | null): Outcome {
    const rejected = [...refused.values()];
    if (taken.size === 0)
      return {
        outcome: "refused",
        code: String(rejected[0]?.code ?? "unknown"),
        reason: `taken for nobody: ${lists(rejected)}`,
      };
    const accepted = code ?? "250";
    const names = rejected.map((one) => shown({ ...one, said: "" })).join(", ");
    return {
      outcome: "sent",
      code: accepted,
      ...(names === "" ? {} : { note: `rejected: ${names}` }),
    };
  }

  #of(id: string): Progress {
    return this.#progress.get(id) ?? { taken: new Set(), refused: new Map() };
  }

  #remember(id: string, progress: Progress): void {
    this.#progress.set(id, progress);
    const [oldest] = this.#progress.keys();
    if (this.#progress.size > maxRemembered && oldest !== undefined) this.#progress.delete(oldest);
  }
}
