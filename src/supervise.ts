import { errorText } from "./core/errors.ts";
import type { Clock, Log, Running } from "./core/ports.ts";
import { tryListening } from "./api/listen.ts";
import { followFiles } from "./base/follow.ts";
import type { App } from "./app.ts";
import { difference, type Loaded, type Settings } from "./settings.ts";

/** An agent, and where it writes what it does. */
export interface Agent {
  readonly app: App;
  readonly log: Log;
}

export interface SuperviseDeps {
  readonly clock: Clock;
  /** Reads the configuration anew. */
  readonly load: () => Promise<Loaded>;
  /** Builds an agent and starts nothing. */
  readonly create: (settings: Settings) => Agent;
  /** Neither a changed agent could be started nor one as it was before; that has ended. */
  readonly onLost: (cause: unknown) => void;
}

/**
 * Keeps an agent running that follows its own configuration. What may change at run time is put in force; for everything
 * else another agent takes over in the same process. What cannot be used is refused, and the agent goes on as it was.
 */
export class Supervisor {
  readonly #deps: SuperviseDeps;
  #settings: Settings;
  #agent: Agent;
  /** Everything that decides about the settings, of a refused load too: mending it must be noticed. */
  #files: readonly string[];
  #following: Running | null = null;
  #started = false;
  #ended = false;
  /** Loads one after another; a load that has not begun serves everybody who asks meanwhile. */
  #turn: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | null = null;

  constructor(settings: Settings, deps: SuperviseDeps) {
    this.#deps = deps;
    this.#settings = settings;
    this.#files = settings.files;
    this.#agent = deps.create(settings);
  }

  get log(): Log {
    return this.#agent.log;
  }

  /** Starts the agent, and begins to follow its files. Throws what the agent's start throws. */
  async start(): Promise<void> {
    await this.#agent.app.start();
    if (this.#ended) return;
    this.#started = true;
    this.#following = followFiles(
      this.#deps.clock,
      () => this.#files,
      () => this.reload(),
      (cause) => this.log.error("configuration not read", { cause: errorText(cause) }),
    );
    // They may have changed between reading them and now.
    await this.reload();
  }

  /** Reads the configuration now, and has it followed. Never rejects. */
  reload(): Promise<void> {
    if (!this.#started) return Promise.resolve();
    this.#waiting ??= this.#turn = this.#turn.then(async () => {
      this.#waiting = null;
      await this.#reload().catch((cause: unknown) => this.#refuse(cause));
    });
    return this.#waiting;
  }

  /** Ends the agent for good, also while one takes over from another. */
  async stop(): Promise<void> {
    this.#ended = true;
    // Not waited for: it may be the one that hands over.
    void this.#following?.stop();
    await this.#agent.app.stop();
  }

  async #reload(): Promise<void> {
    if (this.#ended) return;
    const loaded = await this.#deps.load();
    this.#files = [...new Set([...loaded.files, ...(loaded.ok ? [] : this.#settings.files)])];
    if (!loaded.ok) this.#refuse(loaded.cause);
    else await this.#take(loaded.settings);
  }

  #refuse(cause: unknown): void {
    const { app, log } = this.#agent;
    const reason = errorText(cause);
    if (app.file.status !== "ok" && app.file.lastError === reason) return;
    log.warn("configuration refused", { reason, meanwhile: "the last good one stays in force" });
    app.judgeFile(reason);
  }

  async #take(settings: Settings): Promise<void> {
    const { app, log } = this.#agent;
    const changed = difference(this.#settings, settings);
    if (changed === "start") return this.#replace(settings);
    const wasRefused = app.file.status !== "ok";
    if (changed === "runtime") {
      app.takeFile(settings);
      this.#settings = settings;
      log.info("configuration changed", { path: settings.path });
      return;
    }
    this.#settings = settings;
    if (wasRefused) {
      app.judgeFile(null);
      log.info("configuration as before", { path: settings.path });
    }
  }

  async #replace(settings: Settings): Promise<void> {
    const { server } = this.#settings.config;
    const { host, port } = settings.config.server;
    // The port it has itself is free when it hands over; another one must be now.
    await tryListening({ host, port: port === server.port ? 0 : port });
    // What already fails to be built is refused, and nothing is stopped for it.
    const next = this.#deps.create(settings);
    const { app, log } = this.#agent;
    log.info("restarting with a changed configuration", { path: settings.path });
    try {
      await app.handOver();
      if (!this.#ended) await this.#startOrGoBack(next, settings);
    } catch (cause) {
      if (!this.#ended) this.#deps.onLost(cause);
    }
  }

  /** Starts another agent; when that fails, one as before, which refuses the settings. Throws when this fails too. */
  async #startOrGoBack(next: Agent, settings: Settings): Promise<void> {
    this.#agent = next;
    try {
      await next.app.start();
      this.#settings = settings;
    } catch (cause) {
      await next.app.stop();
      if (this.#ended) return;
      this.#agent = this.#deps.create(this.#settings);
      await this.#agent.app.start();
      if (!this.#ended) this.#refuse(cause);
    }
  }
}
