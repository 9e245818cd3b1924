import type { Outcome } from "./core/delivery.ts";
import { errorText } from "./core/errors.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import type { ComponentStatus, Running } from "./core/ports.ts";
import { createApi, type Api } from "./api/server.ts";
import { atMost, everySlot } from "./base/every.ts";
import type { Policy } from "./rules/book.ts";
import { previewChannel } from "./notify/preview.ts";
import { renderAction } from "./web/action.ts";
import { createPage } from "./web/page.ts";
import { Published } from "./documents.ts";
import { partsStatus, switchedOff } from "./health.ts";
import { createParts, type AppDeps, type Parts } from "./parts.ts";
import { redisDiffers, type Settings } from "./settings.ts";
import { startSelfAlerts } from "./self-alerts.ts";
import { redisSettings, settled, startHeartbeat, startKeeping } from "./storage.ts";
import { version } from "./version.ts";
import { createView } from "./view.ts";

/** Shares of the two seconds in which the agent stops: requests and samples, messages on their way, saving. */
const incomingMs = 600;
const graceMs = 800;
const sendingMs = 600;
const savingMs = 500;
/** A store that is there answers within milliseconds; the states of an earlier run are waited for this long. */
const storeMs = 1_000;
/** Before another agent takes over in the same process, everything ends by itself: nothing that is asked takes longer. */
const patienceMs = 10_000;

/** The whole agent: constructing starts nothing, `start` starts its parts in order, `stop` stops them in reverse. */
export class App {
  readonly #deps: AppDeps;
  readonly #parts: Parts;
  readonly #effective: Published;
  readonly #api: Api;
  readonly #createdAtMs: number;
  readonly #running: Running[] = [];
  /** Settled when the states of an earlier run are there. */
  readonly #restored = Promise.withResolvers<undefined>();
  #settings: Settings;
  #draining = false;

  constructor(deps: AppDeps) {
    this.#deps = deps;
    this.#settings = deps.settings;
    this.#createdAtMs = deps.clock.now();
    deps.redactor.learn([deps.settings.config, deps.settings.document]);
    this.#parts = createParts(deps);
    const { inForce, storage } = this.#parts;
    inForce.onChange((policy) => this.#apply(policy));
    this.#effective = new Published({
      ...deps,
      put: (json) => storage.backend.putDocument(nodeId(this.node), "effective", json),
    });
    this.#api = this.#createApi();
  }

  get node(): NodeIdentity {
    return this.#parts.node;
  }

  /** Starts everything, and says where it listens. Throws CONFIG_INVALID when the port cannot be had. */
  async start(): Promise<void> {
    const { clock, log } = this.#deps;
    const { inForce, storage, ticker, admin, kubernetes, notifier, incidents } = this.#parts;
    const { host, port } = await this.#api.start();
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
    log.info("listening", { url, node: this.node.name, ip: this.node.ip, version });
    await storage.outbox.load();
    await storage.history.load();
    inForce.takeFile();
    // Not waited for: a disk that hangs must not hold up the first sample.
    void storage.series.restore();
    storage.backend.start();
    await kubernetes?.prepare();
    const intervalMs = (): number => inForce.runtime.intervalMs;
    const onError = (cause: unknown): void => log.error("tick failed", { cause: errorText(cause) });
    this.#running.push(everySlot(clock, intervalMs, (slotMs) => this.#tick(slotMs), onError));
    await settled(storage.backend, clock, storeMs);
    const keys = this.#parts.signingKeys.restore().then(() => this.#refreshKeys());
    await Promise.all([keys, this.#restore()]);
    this.#restored.resolve(undefined);
    notifier.keepFiring(() => ({
      incidents: incidents.list(),
      publicUrl: this.#settings.config.server.public_url,
    }));
    ticker.beginJudging();
    if (admin !== null) this.#running.push(admin.start());
    if (kubernetes !== null) this.#running.push(kubernetes.start());
    this.#running.push(
      this.#heartbeat(),
      startKeeping(storage.series, { clock, log }),
      startSelfAlerts({ node: this.node, clock, log, notifier, incidents }),
    );
  }

  /**
   * Stops everything within about two seconds: first what brings work in, then what is on its way, and last it saves
   * what was sampled and decided. What was not sent is kept for the next start.
   */
  async stop(extraMs = 0): Promise<void> {
    const { notifier, storage, http, ticker } = this.#parts;
    this.#draining = true;
    ticker.stop();
    const loops = this.#running.map((running) => running.stop());
    await this.#atMost(incomingMs + extraMs, [this.#api.stop(), ...loops]);
    await this.#atMost(graceMs + extraMs, [ticker.idle().then(() => notifier.stop(sendingMs))]);
    await this.#atMost(savingMs + extraMs, [this.#save()]);
    await storage.backend.stop();
    http.close();
  }

  /**
   * Stops to make way for another agent in the same process. Messages on their way arrive first, while this one still
   * samples and answers; what is decided meanwhile is kept for the other. `stop` may cut it short.
   */
  async handOver(): Promise<void> {
    await this.#parts.notifier.stop(patienceMs);
    await this.stop(patienceMs);
  }

  /**
   * Puts in force what changed of the settings; of those the agent was started with, nothing may have but the way to
   * Redis. Throws CONFIG_INVALID, and changes nothing, when that cannot be used.
   */
  takeFile(settings: Settings): void {
    this.#deps.redactor.learn([settings.config, settings.document]);
    if (redisDiffers(this.#settings, settings))
      this.#parts.storage.backend.reconnect?.(redisSettings(settings.config.redis));
    this.#settings = settings;
    this.#parts.inForce.takeFile(settings);
  }

  /** Says that the file as it is now cannot be put in force, and why; null: it can, and says nothing new. */
  judgeFile(reason: string | null): void {
    this.#parts.inForce.judgeFile(reason);
  }

  /** How the file is doing. */
  get file(): ComponentStatus {
    return this.#parts.inForce.file;
  }

  /** Waits for all, but not longer. */
  #atMost(ms: number, work: readonly Promise<unknown>[]): Promise<void> {
    return atMost(this.#deps.clock, ms, Promise.all(work));
  }

  /** The redacted configuration that would be in force with what the file says. */
  effectiveConfig(): Readonly<Record<string, unknown>> {
    this.#parts.inForce.takeFile();
    return this.#parts.inForce.shown();
  }

  /** What a channel of the file would send of an alert and of its end, as plain text; null: no such channel. */
  previewChannel(name: string): string | null {
    const { inForce } = this.#parts;
    inForce.takeFile();
    const found = inForce.book.policy.channels.find(({ value }) => value.name === name);
    if (found === undefined) return null;
    return previewChannel(found.value, {
      node: this.node,
      nowMs: this.#deps.clock.now(),
      language: inForce.runtime.language,
      publicUrl: this.#settings.config.server.public_url,
    });
  }

  /**
   * Sends a test message through a channel of the file; null: no such channel. Nothing else is started but the store,
   * which counts messages to robots and keeps the receipt.
   */
  async testChannel(name: string): Promise<Outcome | null> {
    const { inForce, notifier, storage } = this.#parts;
    inForce.takeFile();
    storage.backend.start();
    await settled(storage.backend, this.#deps.clock, storeMs);
    const outcome = await notifier.test(name);
    await notifier.stop(sendingMs);
    await storage.backend.stop();
    return outcome;
  }

  async #tick(slotMs: number): Promise<void> {
    await this.#parts.ticker.run(slotMs);
    this.#parts.collecting.check();
  }

  /** Takes up where an earlier run stopped. */
  async #restore(): Promise<void> {
    const { storage, engine, silences, incidents, history } = this.#parts;
    await silences.restore();
    await storage.states.load();
    await engine.restore();
    await incidents.restore();
    for (const incident of incidents.list()) history.follow(incident);
  }

  async #save(): Promise<void> {
    const { engine, storage } = this.#parts;
    const { log } = this.#deps;
    await engine.save().catch((cause: unknown) => {
      log.warn("alert states not saved", { cause: errorText(cause) });
    });
    await this.#parts.history.idle();
    await Promise.all([
      storage.series.close(),
      storage.states.flush(),
      storage.receipts.flush(),
      storage.local.idle(),
    ]);
    const { here: count } = storage.outbox;
    if (count > 0) log.info("messages kept for the next start", { count });
  }

  /** Puts a policy in force. */
  #apply(policy: Policy): void {
    const { engine, notifier, inForce } = this.#parts;
    engine.setRules(
      policy.rules.map(({ value }) => value),
      inForce.complete,
    );
    notifier.configure(policy.channels);
    this.#effective.set(inForce.shown());
    if (this.#running.length > 0) void this.#effective.flush();
  }

  /** Without links there is nothing to sign. */
  async #refreshKeys(): Promise<void> {
    const { signingKeys, storage } = this.#parts;
    if (this.#settings.config.server.public_url !== null)
      await signingKeys.refresh(storage.backend.epoch());
  }

  #heartbeat(): Running {
    const { clock } = this.#deps;
    const { backend, states, receipts, history, drift } = this.#parts.storage;
    let epoch = backend.epoch();
    return startHeartbeat(backend, clock, async () => {
      // The store was away at the start: what it knows of alerts is taken up now.
      if (!states.complete && backend.status().status === "ok") await this.#restore();
      // It was away since, and may have come back empty.
      if (backend.epoch() !== epoch) {
        epoch = backend.epoch();
        states.resend();
        this.#effective.resend();
      }
      await Promise.all([
        states.flush(),
        receipts.flush(),
        history.flush().then(() => this.#parts.history.sumUp()),
        this.#effective.flush(),
        drift.check(),
        this.#refreshKeys(),
      ]);
      return { ...this.node, version, lastSeenMs: clock.now() };
    });
  }

  #createApi(): Api {
    const { settings, clock, redactor } = this.#deps;
    const view = createView({
      ...this.#parts,
      ...this.#parts.collecting,
      ...this.#parts.storage,
      version,
      clock,
      components: () => this.#components(),
      restored: this.#restored.promise,
      ready: () => !this.#draining && this.#parts.ticker.ticks > 0,
    });
    const renderPage = createPage({ view, clock, redactor });
    return createApi({
      ...this.#deps,
      view,
      settings: settings.config.server,
      renderPage,
      renderAction: (page, language) =>
        renderAction(page, language, (text) => redactor.redact(text)),
    });
  }

  #components(): Readonly<Record<string, ComponentStatus>> {
    const off = switchedOff(this.#createdAtMs);
    const kubernetes = this.#parts.kubernetes?.status ?? off;
    return {
      collect: off,
      redis: off,
      file: this.#parts.inForce.file,
      admin: off,
      kubernetes,
      ...partsStatus(this.#parts),
    };
  }
}
