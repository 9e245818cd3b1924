import { systemClock } from "../../base/clock.ts";
import { deadline, untilAborted } from "../../base/every.ts";
import { AgentError, errorText } from "../../core/errors.ts";
import { ClusterNodes, type ClusterNode } from "./cluster-nodes.ts";
import { parseSlots, redirection, slotOf, type SlotRange } from "./cluster-slots.ts";
import { placeOf, type RedisCommand } from "./commands.ts";
import { pipeline, type Link, type LinkEvents } from "./link.ts";
import { retryMs } from "./options.ts";
import { clusterReason, factsOf, greeting, type Reply } from "./server.ts";
import { addressText, type RedisAddress, type RedisTarget } from "./settings.ts";
import { patienceMs } from "./waiting.ts";

/** A slot on its way is there within milliseconds; a failover takes seconds. */
const againMs = 50;

/** Before the caller gives up: what the cluster says of itself tells more than that it took too long. */
const repeatForMs = patienceMs - 250;

/** The table of slots comes from the first node that answers within. */
const slotsTimeoutMs = 1_000;

type ClusterTarget = Extract<RedisTarget, { form: "cluster" }>;

/** Refusals that are over once it is known better where a slot is, and losses of a node whose slots go to another. */
function isPassing(cause: Error | null): boolean {
  if (cause === null) return false;
  if (cause.name !== "ReplyError") return true;
  return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY)\b/.test(cause.message);
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(errorText(cause));
}

/** Sends to one node; what gets no answer is a cause for each. */
async function sendTo(
  node: ClusterNode,
  commands: readonly RedisCommand[],
): Promise<readonly Reply[]> {
  try {
    return await pipeline(node.client, commands);
  } catch (cause) {
    const error = asError(node.lastError ?? cause);
    return commands.map(() => [error]);
  }
}

/**
 * A link to a cluster: commands go where their slot is, in one pipeline, also while slots move and masters change. Not
 * by the client's own cluster mode: that repeats a pipeline only when all of it was refused alike, and while a slot is
 * on its way to a node that has none yet, it keeps closing its connection to that node.
 */
class ClusterLink implements Link {
  readonly #target: ClusterTarget;
  readonly #events: LinkEvents;
  readonly #nodes: ClusterNodes;
  readonly #stop = new AbortController();
  /** What is known of each slot's master, and of slots that moved since. */
  #ranges: readonly SlotRange[] = [];
  readonly #moved = new Map<number, RedisAddress>();
  #masters: ReadonlySet<string> = new Set();
  #ready = false;
  #entering = false;
  #refreshing: Promise<void> | null = null;

  constructor(target: ClusterTarget, events: LinkEvents) {
    this.#target = target;
    this.#events = events;
    this.#nodes = new ClusterNodes({
      access: target,
      isMaster: (address) => this.#masters.has(addressText(address)),
      connected: (node) => void this.#greet(node),
      lost: () => this.renew(),
    });
  }

  get isReady(): boolean {
    return this.#ready;
  }

  connect(): void {
    void this.#enter();
  }

  close(): void {
    this.#stop.abort();
    this.#ready = false;
    this.#nodes.close();
  }

  /** Looks anew where the slots are. */
  renew(): void {
    if (this.#ready) this.#refresh().catch((cause: unknown) => this.#leave(cause));
  }

  async send(commands: readonly RedisCommand[], signal: AbortSignal): Promise<readonly Reply[]> {
    const place = placeOf(commands);
    const slot = place === null ? (this.#ranges[0]?.from ?? 0) : slotOf(place);
    const endMs = systemClock.monotonic() + repeatForMs;
    const replies: Reply[] = [];
    let rest = [...commands.keys()];
    for (;;) {
      const hurried = await this.#round(slot, { commands, replies, rest });
      const failed = rest.filter((at) => isPassing(replies[at]?.[0] ?? null));
      if (failed.length === 0 || signal.aborted || systemClock.monotonic() > endMs) return replies;
      // An expiry may have found no key, because what writes it comes only now.
      const first = failed[0] ?? 0;
      rest = [...commands.keys()].filter(
        (at) => failed.includes(at) || (at > first && commands[at]?.[0].startsWith("expire")),
      );
      if (!hurried) await systemClock.sleep(againMs, signal);
    }
  }

  /** Sends once, and once more to where a slot is on its way to; true: it is known now where it moved. */
  async #round(
    slot: number,
    {
      commands,
      replies,
      rest,
    }: { commands: readonly RedisCommand[]; replies: Reply[]; rest: readonly number[] },
  ): Promise<boolean> {
    const node = this.#nodes.at(this.#masterOf(slot));
    const some = (indices: readonly number[]): RedisCommand[] =>
      indices.map((at) => commands[at]).filter((command) => command !== undefined);
    const put = (indices: readonly number[], got: readonly Reply[]): void =>
      indices.forEach((at, index) => (replies[at] = got[index] ?? [new Error("no reply")]));
    put(rest, await sendTo(node, some(rest)));
    const asked = rest.filter((at) => replies[at]?.[0]?.message.startsWith("ASK "));
    const to = redirection(replies[asked[0] ?? -1]?.[0]?.message ?? "", node.address)?.to;
    if (to !== undefined) {
      const pairs = some(asked).flatMap((command): RedisCommand[] => [["asking"], command]);
      const got = await sendTo(this.#nodes.at(to), pairs);
      put(
        asked,
        got.filter((_, index) => index % 2 === 1),
      );
    }
    return this.#learn(
      slot,
      node,
      rest.map((at) => replies[at]?.[0] ?? null),
    );
  }

  /** Takes what refusals say of where a slot is; true: it is known. */
  #learn(slot: number, node: ClusterNode, causes: readonly (Error | null)[]): boolean {
    const passing = causes.filter(isPassing);
    if (passing.length === 0) return false;
    this.renew();
    for (const cause of passing) {
      const found = redirection(cause?.message ?? "", node.address);
      if (found?.kind !== "MOVED") continue;
      const isNews = addressText(found.to) !== addressText(this.#masterOf(slot));
      this.#moved.set(slot, found.to);
      return isNews;
    }
    return false;
  }

  #masterOf(slot: number): RedisAddress {
    const moved = this.#moved.get(slot);
    if (moved !== undefined) return moved;
    const range = this.#ranges.find(({ from, to }) => from <= slot && slot <= to);
    const [first] = this.#target.nodes;
    const master = range?.master ?? this.#ranges[0]?.master ?? first;
    if (master === undefined) throw new AgentError("STORE_UNAVAILABLE", "a cluster without nodes");
    return master;
  }

  /** Tries until a node tells where the slots are. */
  async #enter(): Promise<void> {
    if (this.#entering) return;
    this.#entering = true;
    const { signal } = this.#stop;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#refresh();
        break;
      } catch (cause) {
        if (!signal.aborted) this.#events.lost(errorText(cause));
        await systemClock.sleep(retryMs(attempt), signal);
      }
    }
    this.#entering = false;
    if (signal.aborted) return;
    this.#ready = true;
    this.#events.renewed();
    this.#events.ready();
  }

  #leave(cause: unknown): void {
    if (!this.#ready) return;
    this.#ready = false;
    this.#events.lost(errorText(cause));
    void this.#enter();
  }

  /** Asks the known masters, then the configured nodes, where the slots are; once for all who want to know. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#ask().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #ask(): Promise<void> {
    let reason: unknown = new AgentError("STORE_UNAVAILABLE", "no node answers");
    const masters = this.#ranges.map(({ master }) => master);
    const known = new Map(
      [...masters, ...this.#target.nodes].map((one) => [addressText(one), one]),
    );
    for (const address of known.values()) {
      const node = this.#nodes.at(address);
      const limit = deadline(systemClock, slotsTimeoutMs);
      try {
        const reply = await untilAborted(node.client.cluster("SLOTS"), limit.signal);
        return this.#take(parseSlots(reply, address));
      } catch (cause) {
        const text = node.lastError ?? errorText(cause);
        reason = new AgentError(
          "STORE_UNAVAILABLE",
          `${addressText(address)}: ${clusterReason(text)}`,
        );
      } finally {
        limit.clear();
      }
      if (this.#stop.signal.aborted) break;
    }
    throw reason;
  }

  #take(ranges: readonly SlotRange[]): void {
    const masters = new Set(ranges.map(({ master }) => addressText(master)));
    const isKnown = this.#masters.size > 0;
    const another = [...masters].some((one) => !this.#masters.has(one));
    this.#ranges = ranges;
    this.#masters = masters;
    this.#moved.clear();
    this.#nodes.tidy();
    // A replica that has become the master may not have everything.
    if (isKnown && another) this.#events.renewed();
  }

  async #greet(node: ClusterNode): Promise<void> {
    this.#events.renewed();
    // What it does not answer now, a command tells soon enough.
    const replies = await pipeline(node.client, greeting).catch(() => []);
    if (replies.length > 0 && !this.#stop.signal.aborted) this.#events.met(factsOf(replies));
  }
}

/** A link to a cluster of which some nodes are known. */
export function createClusterLink(target: ClusterTarget, events: LinkEvents): Link {
  return new ClusterLink(target, events);
}
