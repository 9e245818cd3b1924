import { randomUUID } from "node:crypto";
import type {
  AlertMessage,
  Channel,
  ChannelSpec,
  Language,
  Ongoing,
  Outcome,
  RateLimit,
} from "../core/delivery.ts";
import type { Incident } from "../core/alert.ts";
import { AgentError } from "../core/errors.ts";
import type { ComponentStatus } from "../core/ports.ts";
import type { Sourced } from "../core/rule.ts";
import { Drainer } from "./drainer.ts";
import { Endings } from "./endings.ts";
import { emptyTally, type Tally } from "./ledger.ts";
import {
  healthOf,
  isFor,
  isUnchanged,
  statusOf,
  type ChannelState,
  type Configured,
} from "./states.ts";
import type { ChannelHealth, Notifier, NotifierDeps, TargetStats, Tokens } from "./port.ts";
import { testMessage } from "./test-message.ts";

export type { ChannelHealth, Notifier, NotifierDeps } from "./port.ts";

const gone = { code: "channel_removed", reason: "the channel was removed" };

class ChannelNotifier implements Notifier {
  readonly #deps: NotifierDeps;
  readonly #configured = new Map<string, Configured>();
  readonly #attached = new Map<string, Drainer>();
  readonly #tallies = new Map<string, { type: string; tally: Tally }>();
  readonly #endings: Endings;
  readonly #createdAtMs: number;
  #ongoing: (() => Ongoing) | null = null;
  #stopping = false;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
    this.#endings = new Endings(deps.log);
    this.#createdAtMs = deps.clock.now();
  }

  configure(channels: readonly Sourced<ChannelSpec>[]): void {
    if (this.#stopping) return;
    const { log, redactor, language } = this.#deps;
    const wanted = new Map(channels.map((spec) => [spec.value.name, spec]));
    for (const [name, old] of this.#configured)
      if (!wanted.has(name)) {
        this.#configured.delete(name);
        this.#retire(old, gone);
      }
    for (const [name, spec] of wanted) {
      if (this.#attached.has(name)) {
        log.warn("channel.name_taken", { channel: name });
        continue;
      }
      redactor.learn(spec.value.settings);
      this.#apply(spec, spec.value.language ?? language());
    }
  }

  attach(name: string, type: string, channel: Channel, limits: readonly RateLimit[]): void {
    if (this.#attached.has(name) || this.#configured.has(name))
      throw new AgentError("CONFLICT", `target ${name}: the name is taken`);
    const queue = { channel: name, robot: `${type}:${name}`, isOwn: true };
    const target = { name, type, channel, queue, limits, tally: this.#tally(name, type) };
    this.#attached.set(name, new Drainer(target, this.#deps, Promise.resolve()));
  }

  async notify(
    message: AlertMessage,
    only: readonly string[] | null,
    again = false,
  ): Promise<void> {
    const { subject } = message.incident;
    for (const name of only ?? [])
      if (!this.#configured.has(name))
        this.#deps.log.warn("channel.unknown", { channel: name, rule: subject.rule });
    const drainers = [...this.#configured.values()]
      .filter((entry) => isFor(entry, message.incident, only))
      .flatMap(({ drainer }) => (drainer === null ? [] : [drainer]));
    await Promise.all(drainers.map((drainer) => this.#enqueue(drainer, message, again)));
  }

  keepFiring(ongoing: () => Ongoing): void {
    this.#ongoing = ongoing;
    for (const name of this.#configured.keys()) this.#keepFiring(name);
  }

  async deliver(name: string, message: AlertMessage, again = false): Promise<void> {
    const drainer = this.#drainerOf(name);
    if (drainer === undefined) this.#deps.log.warn("channel.unknown", { channel: name });
    else await this.#enqueue(drainer, message, again);
  }

  async test(name: string): Promise<Outcome | null> {
    const entry = this.#configured.get(name);
    if (entry === undefined) return null;
    if (entry.drainer === null || this.#stopping)
      return { outcome: "refused", code: "channel_disabled", reason: "the channel is disabled" };
    const { clock, node } = this.#deps;
    return entry.drainer.sendNow(testMessage(randomUUID(), node, clock.now()));
  }

  async states(): Promise<readonly ChannelState[]> {
    return Promise.all(
      [...this.#configured.values()].map(async (entry) => ({
        spec: entry.spec,
        status: statusOf(entry),
        ...(await this.#budget(entry)),
        pending: await this.#pending(entry),
      })),
    );
  }

  health(): ComponentStatus {
    return healthOf([...this.#configured.values()], this.#createdAtMs);
  }

  stats(): readonly TargetStats[] {
    return [...this.#tallies].map(([channel, { type, tally }]) => ({
      channel,
      type,
      counts: { ...tally },
    }));
  }

  channels(): readonly ChannelHealth[] {
    return [...this.#configured].flatMap(([name, { drainer }]) => {
      if (drainer === null) return [];
      const { refused, dead } = drainer.target.tally;
      return [{ name, status: drainer.status, lost: refused + dead }];
    });
  }

  async tokens(): Promise<readonly Tokens[]> {
    const active = [...this.#configured.values()].filter(({ drainer }) => drainer?.isActive);
    const found = await Promise.all(
      active.map(async (entry) => ({
        channel: entry.spec.value.name,
        left: (await this.#budget(entry)).tokensLeft,
      })),
    );
    return found.flatMap(({ channel, left }) => (left === null ? [] : [{ channel, left }]));
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const drainers = [
      ...this.#attached.values(),
      ...[...this.#configured.values()].flatMap(({ drainer }) => drainer ?? []),
    ];
    await Promise.all([
      ...drainers.map((drainer) => drainer.stop(graceMs)),
      this.#endings.stop(graceMs),
    ]);
  }

  #drainerOf(name: string): Drainer | undefined {
    return this.#attached.get(name) ?? this.#configured.get(name)?.drainer ?? undefined;
  }

  async #budget({ drainer }: Configured): Promise<Pick<ChannelState, "tokensLeft" | "sentToday">> {
    if (drainer === null || drainer.target.limits.length === 0)
      return { tokensLeft: null, sentToday: null };
    const { queue, limits } = drainer.target;
    const { left, today } = await this.#deps.meter.budget(queue.robot, limits);
    return { tokensLeft: left, sentToday: today };
  }

  async #pending({ drainer }: Configured): Promise<number> {
    return drainer === null ? 0 : this.#deps.outbox.depth(drainer.target.queue);
  }

  /** The drainer may have been replaced or removed while the outbox took the message. */
  async #enqueue(drainer: Drainer, message: AlertMessage, again: boolean): Promise<void> {
    await drainer.enqueue(message, again);
    const current = this.#drainerOf(drainer.target.name);
    if (current !== undefined) current.wake();
    else await drainer.abandon(gone.code, gone.reason);
  }

  /** Puts one channel in force, unless it is as before. */
  #apply(spec: Sourced<ChannelSpec>, language: Language): void {
    const { name, enabled } = spec.value;
    const old = this.#configured.get(name);
    if (old !== undefined && isUnchanged(old, spec.value, language)) {
      this.#configured.set(name, { ...old, spec });
      return;
    }
    const sinceMs = this.#deps.clock.now();
    if (!enabled) {
      this.#configured.set(name, { spec, language, drainer: null, sinceMs });
      if (old !== undefined)
        this.#retire(old, { code: "channel_disabled", reason: "the channel was disabled" });
      return;
    }
    const drainer = this.#replace(spec.value, language, old?.drainer ?? null);
    if (drainer === null) return;
    this.#configured.set(name, { spec, language, drainer, sinceMs });
    this.#keepFiring(name);
  }

  #replace(
    { name, type, settings, maxPerMinute, template }: ChannelSpec,
    language: Language,
    old: Drainer | null,
  ): Drainer | null {
    const { plugins, http, clock, log } = this.#deps;
    const plugin = plugins.find((plugin) => plugin.type === type);
    if (plugin === undefined) {
      log.error("channel.unknown_type", { channel: name, type });
      return null;
    }
    if (old !== null) this.#endings.end(name, old, () => old.stop());
    const channel = plugin.create(settings, { http, clock, language, template });
    // What must be told again and again is known to who does so: nobody else can send it.
    const isOwn = channel.keepFiring !== undefined;
    const target = {
      name,
      type,
      channel,
      queue: { channel: name, robot: `${type}:${plugin.robot(settings)}`, isOwn },
      limits: [
        ...plugin.limits,
        ...(maxPerMinute === null ? [] : [{ count: maxPerMinute, perMs: 60_000 }]),
      ],
      tally: this.#tally(name, type),
    };
    return new Drainer(target, this.#deps, this.#endings.over(name));
  }

  #retire({ spec, drainer }: Configured, { code, reason }: { code: string; reason: string }): void {
    if (drainer === null) return;
    this.#endings.end(spec.value.name, drainer, async () => {
      await drainer.stop();
      await drainer.abandon(code, reason);
    });
  }

  /** Has a channel that wants it told what goes on, as far as that is for it. */
  #keepFiring(name: string): void {
    const ongoing = this.#ongoing;
    const drainer = this.#configured.get(name)?.drainer ?? null;
    if (ongoing === null || drainer === null) return;
    drainer.keepFiring(() => {
      const { incidents, publicUrl } = ongoing();
      const entry = this.#configured.get(name);
      const isTold = (incident: Incident): boolean =>
        entry !== undefined && isFor(entry, incident, incident.subject.channels);
      return { incidents: incidents.filter(isTold), publicUrl };
    });
  }

  #tally(name: string, type: string): Tally {
    const known = this.#tallies.get(name);
    if (known?.type === type) return known.tally;
    const tally = emptyTally();
    this.#tallies.set(name, { type, tally });
    return tally;
  }
}

/** Hands messages to channels; nothing runs until `configure` or `attach`. */
export function createNotifier(deps: NotifierDeps): Notifier {
  return new ChannelNotifier(deps);
}
