import { errorText, faultsText, type Fault } from "../core/errors.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Clock, ComponentState, ComponentStatus, Log } from "../core/ports.ts";
import type { Parsed } from "../base/parse.ts";
import { createStatus, type StatusKeeper } from "../base/status.ts";
import { revisionOf, truncateBytes } from "../base/text.ts";
import type { KeptConfig } from "./keepsakes.ts";
import { findConfig, type Found, type Mounted } from "./mounted.ts";
import type { ConfigMap } from "./objects.ts";
import { explainRefusal, refusalStandsMs, rights } from "./rights.ts";
import type { Sight } from "./watch.ts";

/** How the ConfigMap in force came here. */
export type Way = "watch" | "mounted" | "cached" | "none";

/** A ConfigMap that was refused, as the API server gave it. */
export interface Rejected {
  readonly object: ConfigMap;
  /** Everything that is wrong with it. */
  readonly reason: string;
  /** Only files are missing that the kubelet brings about a minute after the ConfigMap. */
  readonly mayComeRight: boolean;
}

export interface ConfigMapDeps {
  /** `namespace/name`, for people. */
  readonly title: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the API server is asked at all. */
  readonly isWatched: boolean;
  /** Reads the text under a key; reports every fault. */
  readonly read: (text: string, key: string) => Promise<Parsed<PolicyDocument>>;
  /** Puts a document in force; null: there is no ConfigMap. */
  readonly publish: (document: PolicyDocument | null, revision: string) => void;
  readonly rejected: (rejected: Rejected) => void;
  /** What is in force is kept for a start without the API server; null: there is nothing to keep. */
  readonly keep: (content: KeptConfig | null) => Promise<void>;
}

/** A version of the ConfigMap. */
interface Content {
  readonly found: Found;
  readonly object: ConfigMap | null;
}

type Known = Content | "absent";

/** Why the watch does not see. */
interface Blind {
  readonly reason: string;
  /** Since when it has not been allowed to, monotonic; null: it is, and something else is wrong. */
  readonly forbiddenSinceMs: number | null;
}

/** All faults are told, up to what a status page and an Event can show. */
const maxReasonBytes = 4_096;

function contentOf(data: Readonly<Record<string, string>>, object: ConfigMap | null): Content {
  return { found: findConfig(data), object };
}

function textOf(known: Known): string {
  return known === "absent" ? "absent" : JSON.stringify(known.found);
}

/**
 * Rules and channels of the ConfigMap: from the watch while that sees anything, else from the mounted directory, else
 * what was kept of an earlier run. All or nothing: a faulty version is refused whole and the last good one stays.
 */
export class ConfigMapSource {
  readonly #deps: ConfigMapDeps;
  readonly #status: StatusKeeper;
  #watched: Known | null = null;
  #mounted: Mounted = { kind: "no-mount" };
  /** Why it is not known what is mounted now. */
  #unreadable: string | null = null;
  #cached: { readonly content: Content; readonly sinceMs: number } | null = null;
  #blind: Blind | null = null;
  /** Why the present version is not in force. */
  #refusal: string | null = null;
  #judged: string | null = null;
  /** Whether a version, or that there is none, was ever put in force. */
  #spoken = false;
  #revision: string | null = null;
  #way: Way = "none";
  #work: Promise<void> = Promise.resolve();

  constructor(deps: ConfigMapDeps) {
    this.#deps = deps;
    this.#status = createStatus(deps.clock, "starting");
  }

  get status(): ComponentStatus {
    return this.#status.current;
  }

  get way(): Way {
    return this.#way;
  }

  /** The version in force; null: none. */
  get revision(): string | null {
    return this.#revision;
  }

  get reloaded(): boolean {
    return this.#refusal === null;
  }

  /**
   * Whether it is known what the ConfigMap says, or that nothing can be known. A version that is refused says nothing:
   * rules of the last good one, which this run has not seen, are not gone.
   */
  get spoken(): boolean {
    return this.#spoken;
  }

  /** Whether what this version says is there and refused. */
  refuses(object: ConfigMap): boolean {
    if (this.#refusal === null || this.#watched === null) return false;
    return textOf(this.#watched) === textOf(contentOf(object.data ?? {}, object));
  }

  /** What an earlier run had in force. */
  async recall(kept: KeptConfig | null): Promise<void> {
    if (kept === null) return;
    const content = contentOf({ [kept.key]: kept.text }, null);
    this.#cached = { content, sinceMs: kept.sinceMs };
    await this.#judge(false);
  }

  /** What the watch sees. */
  async see(sight: Sight): Promise<void> {
    this.#blind = this.#blindBy(sight);
    if (sight.kind === "absent") this.#watched = "absent";
    if (sight.kind === "object") this.#watched = contentOf(sight.object.data ?? {}, sight.object);
    await this.#judge(false);
  }

  /** What is mounted now. */
  async mounted(mounted: Mounted): Promise<void> {
    this.#mounted = mounted;
    this.#unreadable = null;
    await this.#judge(false);
  }

  /** What is mounted cannot be read: what was read before stays. */
  async unreadable(cause: unknown): Promise<void> {
    const reason = `mounted configmap unreadable: ${errorText(cause)}`;
    if (this.#unreadable !== reason)
      this.#deps.log.warn("mounted configmap unreadable", { cause: errorText(cause) });
    this.#unreadable = reason;
    await this.#judge(false);
  }

  /** Reads the present version again: files it names have changed. */
  async refresh(): Promise<void> {
    await this.#judge(true);
  }

  #blindBy(sight: Sight): Blind | null {
    const { title, clock } = this.#deps;
    if (sight.kind === "unreachable") return { reason: sight.reason, forbiddenSinceMs: null };
    if (sight.kind !== "refused") return null;
    return {
      reason: explainRefusal(rights.configmap, ` ${title}`, sight.refusal),
      forbiddenSinceMs: this.#blind?.forbiddenSinceMs ?? clock.monotonic(),
    };
  }

  /** Whether the API server is there and does not let us look. */
  get #isForbidden(): boolean {
    return this.#blind !== null && this.#blind.forbiddenSinceMs !== null;
  }

  #choose(): { way: Way; known: Known | null } {
    if (this.#watched !== null && !this.#isForbidden) return { way: "watch", known: this.#watched };
    const mounted = this.#mounted;
    if (mounted.kind !== "no-mount" && !this.#isOutdated(mounted.sinceMs))
      return {
        way: "mounted",
        known: mounted.kind === "absent" ? "absent" : contentOf(mounted.data, null),
      };
    if (this.#watched !== null) return { way: "watch", known: this.#watched };
    return this.#cached === null
      ? { way: "none", known: null }
      : { way: "cached", known: this.#cached.content };
  }

  /** The kubelet mounts a version up to about a minute after the watch, of which an earlier run may have known more. */
  #isOutdated(mountedSinceMs: number): boolean {
    return this.#watched === null && this.#cached !== null && this.#cached.sinceMs > mountedSinceMs;
  }

  /** Versions are judged one after another; the YAML parser may have to be loaded first. */
  #judge(again: boolean): Promise<void> {
    this.#work = this.#work
      .then(() => this.#take(again))
      .catch((cause: unknown) => {
        this.#deps.log.error("configmap not judged", { cause: errorText(cause) });
      });
    return this.#work;
  }

  async #take(again: boolean): Promise<void> {
    const { way, known } = this.#choose();
    if (known !== null && (again || textOf(known) !== this.#judged)) {
      this.#judged = textOf(known);
      await this.#apply(known, way);
    }
    if (known !== null) this.#way = way;
    // Nothing will come: whoever waits for this source need not wait any longer.
    else if (this.#isHopeless && !this.#spoken) this.#publish(null, "unknown");
    this.#settle();
  }

  /** Nobody will tell, now and until somebody changes rights or mounts. */
  get #isHopeless(): boolean {
    if (this.#blind === null) return !this.#deps.isWatched && this.#unreadable === null;
    const { forbiddenSinceMs: sinceMs } = this.#blind;
    return sinceMs !== null && this.#deps.clock.monotonic() - sinceMs >= refusalStandsMs;
  }

  #publish(document: PolicyDocument | null, revision: string): void {
    this.#spoken = true;
    this.#deps.publish(document, revision);
  }

  async #apply(known: Known, way: Way): Promise<void> {
    const { clock, log, keep, title } = this.#deps;
    if (known === "absent") {
      this.#refusal = null;
      if (this.#revision !== null) log.info("configmap gone", { configmap: title });
      this.#revision = null;
      this.#publish(null, "absent");
      await keep(null);
      return;
    }
    const { found, object } = known;
    const parsed = await this.#parse(found);
    if (!parsed.ok) return this.#refuse(parsed.faults, object);
    this.#refusal = null;
    if (found.kind !== "text") return;
    this.#revision = revisionOf(found.text);
    this.#publish(parsed.value, this.#revision);
    log.info("configmap in force", { configmap: title, revision: this.#revision });
    if (way !== "cached") await keep({ key: found.key, text: found.text, sinceMs: clock.now() });
  }

  async #parse(found: Found): Promise<Parsed<PolicyDocument>> {
    if (found.kind === "wrong")
      return { ok: false, faults: [{ path: "data", message: found.fault }] };
    return this.#deps.read(found.text, found.key);
  }

  #refuse(faults: readonly Fault[], object: ConfigMap | null): void {
    const { log, title, rejected } = this.#deps;
    const reason = truncateBytes(faultsText(faults), maxReasonBytes);
    this.#refusal = reason;
    log.warn("configmap refused", { configmap: title, reason });
    const mayComeRight = faults.every(({ path }) => path.endsWith("_file"));
    if (object !== null) rejected({ object, reason, mayComeRight });
  }

  #health(): { readonly status: ComponentState; readonly why: string | null } {
    const unreadable = this.#unreadable;
    const { status, why } = this.#healthOfContent();
    if (unreadable === null) return { status, why };
    return {
      status: status === "down" ? "down" : "degraded",
      why: why === null ? unreadable : `${why}; ${unreadable}`,
    };
  }

  #healthOfContent(): { readonly status: ComponentState; readonly why: string | null } {
    const blind = this.#blind;
    if (this.#refusal !== null) return { status: "degraded", why: `refused: ${this.#refusal}` };
    if (blind === null && this.#judged !== null) return { status: "ok", why: null };
    if (blind === null)
      return this.#deps.isWatched || this.#unreadable !== null
        ? { status: "starting", why: null }
        : { status: "degraded", why: "nothing is mounted at kubernetes.configmap_dir" };
    const using = this.#way === "none" ? "" : ` (in force: ${this.#way})`;
    return { status: this.#isForbidden ? "degraded" : "down", why: blind.reason + using };
  }

  /** How it is doing now, told to the log when it changes. */
  #settle(): void {
    const { log, title } = this.#deps;
    const before = this.#status.current.status;
    const { status, why } = this.#health();
    if (!this.#status.set(status, why)) return;
    if (status !== "ok" && this.#refusal === null && why !== this.#unreadable)
      log.warn("configmap not watched", { configmap: title, reason: why });
    else if (status === "ok" && before !== "starting")
      log.info("configmap watched again", { configmap: title, by: this.#way });
  }
}
