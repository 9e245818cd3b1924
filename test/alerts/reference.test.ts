import assert from "node:assert/strict";
import fc from "fast-check";
import { Incidents } from "../../src/alerts/incidents.ts";
import { createMutes } from "../../src/alerts/mutes.ts";
import { Silences } from "../../src/alerts/silences.ts";
import type { Repeat } from "../../src/core/policy.ts";
import type { Clock } from "../../src/core/ports.ts";
import { levels, type Level, type Rule } from "../../src/core/rule.ts";
import type { Silence, SilencePort } from "../../src/core/silence.ts";
import { Engine } from "../../src/rules/engine.ts";
import { parseRules } from "../../src/rules/schema.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import type { Backend } from "../../src/store/contract.ts";
import { recordLog } from "../support/log.ts";
import { Reference, type ReferenceSettings, type Told } from "./reference.ts";

const minute = 60_000;
const startMs = Date.UTC(2026, 0, 5, 12, 0, 0);
const node = { cluster: "c", name: "n", ip: "10.0.0.1" };
const definitions = [{ name: "cpu", unit: "%", decimals: 1, labels: [], help: "" }];

/** What happens, in order. */
type Event =
  | { readonly rows: number; readonly value: number | null }
  | { readonly swings: number; readonly between: readonly [number, number] }
  | { readonly restart: number }
  | { readonly silence: number; readonly of: readonly Level[] | null }
  | "unsilence"
  | "acknowledge";

interface Story {
  readonly intervalMs: number;
  readonly rule: Rule;
  readonly settings: ReferenceSettings;
  readonly events: readonly Event[];
}

/** A clock on which nobody's patience ends. */
class StoryClock implements Clock {
  #passedMs = 0;

  pass(ms: number): void {
    this.#passedMs += ms;
  }

  now(): number {
    return startMs + this.#passedMs;
  }

  monotonic(): number {
    return this.#passedMs;
  }

  async sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
  }
}

/** The real thing: made anew from what was saved at each restart. */
class Agent {
  readonly told: Told[] = [];
  readonly #story: Story;
  readonly #clock: StoryClock;
  readonly #backend: Backend;
  readonly #log = recordLog().log;
  #ids = 0;
  #engine!: Engine;
  #incidents!: Incidents;
  silences!: Silences;

  constructor(story: Story, clock: StoryClock) {
    this.#story = story;
    this.#clock = clock;
    this.#backend = createMemoryBackend({ clock });
  }

  async start(silences: SilencePort): Promise<void> {
    const { rule, settings } = this.#story;
    const log = this.#log;
    this.#engine = new Engine({
      node,
      definitions: () => definitions,
      port: this.#backend.states("rules"),
      log,
    });
    this.silences = new Silences({
      port: silences,
      saved: { load: async () => [], save: async () => {} },
      clock: this.#clock,
      log,
    });
    this.#incidents = new Incidents({
      clock: this.#clock,
      port: this.#backend.states("incidents"),
      log,
      settings: () => ({ ...settings, sendResolved: true }),
      newId: () => `id-${++this.#ids}`,
      mutes: createMutes({
        silences: this.silences,
        settings: () => ({ quietHours: [], inhibit: [] }),
        clock: this.#clock,
      }),
      tell: async ({ message, incident: { level }, atMs }) => {
        if (message !== null) this.told.push({ kind: message, level, atMs });
      },
    });
    await this.#engine.restore();
    await this.#incidents.restore();
    this.#engine.setRules([rule], true);
    this.#engine.setFacts(null);
  }

  /** As the ticker does. */
  async row(slotMs: number, value: number | null): Promise<void> {
    const { intervalMs } = this.#story;
    const transitions = this.#engine.judge(
      { slotMs, values: new Map([["cpu", value]]) },
      intervalMs,
    );
    await this.#engine.save();
    await this.#incidents.handle(transitions);
    const live = new Set(
      [...this.#engine.states()].flatMap(([key, { level }]) => (level === null ? [] : [key])),
    );
    await this.#incidents.endOrphans(live, slotMs);
    await this.#incidents.tellOwed();
    await this.#incidents.tick(slotMs);
  }

  async acknowledge(): Promise<void> {
    for (const { id, status } of this.#incidents.list())
      if (status === "firing") await this.#incidents.acknowledge(id, "somebody");
  }
}

function valuesOf(event: Extract<Event, { rows: number } | { swings: number }>) {
  return "rows" in event
    ? Array.from({ length: event.rows }, () => event.value)
    : Array.from({ length: event.swings }, () => event.between).flat();
}

function silence(nowMs: number, endsAtMs: number, level: readonly Level[] | null): Silence {
  return {
    id: "s",
    matchers: { node: null, cluster: null, rule: null, index: null, level, labels: {} },
    startsAtMs: nowMs,
    endsAtMs,
    createdAtMs: nowMs,
    author: "somebody",
    comment: "",
  };
}

/** Plays a story to both; what each of them told. */
async function play(story: Story): Promise<{ agent: readonly Told[]; reference: readonly Told[] }> {
  const clock = new StoryClock();
  const agent = new Agent(story, clock);
  const reference = new Reference(story.rule, story.settings, story.intervalMs);
  let silences: readonly Silence[] = [];
  const port: SilencePort = {
    put: async (one) => {
      silences = [one];
    },
    list: async () => silences,
  };
  const isSilenced = (level: Level): boolean =>
    silences.some(
      ({ matchers, endsAtMs }) =>
        clock.now() < endsAtMs && (matchers.level === null || matchers.level.includes(level)),
    );
  await agent.start(port);
  for (const event of story.events) {
    if (event === "acknowledge") {
      await agent.acknowledge();
      reference.acknowledge();
    } else if (event === "unsilence") await agent.silences.end("s");
    else if ("silence" in event)
      await agent.silences.put(
        silence(clock.now(), clock.now() + event.silence * minute, event.of),
      );
    else if ("restart" in event) {
      clock.pass(event.restart * minute);
      await agent.start(port);
    } else
      for (const value of valuesOf(event)) {
        clock.pass(story.intervalMs);
        await agent.row(clock.now(), value);
        reference.row(clock.now(), value, isSilenced);
      }
  }
  return { agent: agent.told, reference: reference.told };
}

function ruleOf(input: Record<string, unknown>): Rule {
  const parsed = parseRules([{ name: "hot", index: "cpu", ...input }], "rules");
  const rule = parsed.ok ? parsed.value[0] : undefined;
  assert.ok(rule !== undefined, JSON.stringify(parsed));
  return rule;
}

const minutes = (...of: number[]): fc.Arbitrary<number> =>
  fc.constantFrom(...of.map((m) => m * 60));

/** What was held is saved once a minute: at shorter intervals a restart may cost some of it, so there nothing is held. */
const judged = (intervalMs: number): fc.Arbitrary<Pick<Story, "intervalMs" | "rule">> => {
  const held = (...of: number[]) => (intervalMs < minute ? fc.constant(0) : minutes(...of));
  return fc
    .record({
      bounds: fc.constantFrom(
        { levels: { warning: 80 } },
        { levels: { warning: 80 }, clear: 75 },
        { levels: { warning: 80, critical: 95 } },
        { levels: { warning: 80, critical: 95 }, clear: 75 },
        { levels: { info: 70, warning: 80, critical: 95 }, clear: 65 },
        { operator: "<", levels: { warning: 80, critical: 70 }, clear: 85 },
      ),
      for: held(0, 0, 1, 3),
      keep_firing_for: held(0, 0, 1, 4),
    })
    .map(({ bounds, ...rest }) => ({
      intervalMs,
      rule: ruleOf({ operator: ">", ...bounds, ...rest }),
    }));
};

const settings: fc.Arbitrary<ReferenceSettings> = fc.record({
  cooldownMs: fc.constantFrom(0, 1, 5, 5, 20).map((of) => of * minute),
  repeat: fc.constantFrom<Repeat>("every", "backoff", "backoff", "never"),
});

const value = fc.constantFrom(50, 50, 68, 72, 78, 85, 85, 93, 97, 97, null);
const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ rows: fc.integer({ min: 1, max: 3 }), value }) },
  { weight: 2, arbitrary: fc.record({ rows: fc.integer({ min: 4, max: 20 }), value }) },
  {
    weight: 1,
    arbitrary: fc.record({
      swings: fc.integer({ min: 1, max: 5 }),
      between: fc.constantFrom<[number, number]>([85, 50], [97, 72], [50, 97]),
    }),
  },
  { weight: 1, arbitrary: fc.record({ restart: fc.integer({ min: 0, max: 12 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      silence: fc.integer({ min: 1, max: 20 }),
      of: fc.option(fc.subarray([...levels], { minLength: 1, maxLength: 2 })),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Event>("unsilence", "acknowledge") },
);

const stories: fc.Arbitrary<Story> = fc
  .tuple(
    fc.oneof(judged(minute), judged(10_000)),
    fc.record({
      settings,
      events: fc.array(events, { minLength: 1, maxLength: 40, size: "max" }),
    }),
  )
  .map(([first, second]) => ({ ...first, ...second }));

const plain = {
  intervalMs: minute,
  rule: ruleOf({ operator: ">", threshold: 80 }),
  settings: { cooldownMs: 0, repeat: "every" },
} as const;

describe("alerts, beside a plain model of how they live", () => {
  it("hold for as long as they did, however often the agent is restarted", async () => {
    const { agent, reference } = await play({
      ...plain,
      rule: ruleOf({ operator: ">", threshold: 80, for: 180 }),
      events: Array.from({ length: 4 }, (): Event[] => [
        { rows: 1, value: 90 },
        { restart: 0 },
      ]).flat(),
    });
    assert.deepEqual(agent, reference);
    assert.deepEqual(agent, [{ kind: "firing", level: "warning", atMs: startMs + 4 * minute }]);
  });

  it("do not flap on after a restart when that was over", async () => {
    const { agent, reference } = await play({
      ...plain,
      events: [
        { swings: 2, between: [85, 50] },
        { rows: 16, value: 85 },
        { restart: 0 },
        { rows: 1, value: 50 },
      ],
    });
    assert.deepEqual(agent, reference);
    assert.equal(agent.at(-1)?.kind, "resolved");
  });

  it("tell the same in 10,000 stories of samples, restarts, silences and acknowledgements", async function () {
    this.timeout(300_000);
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(stories, async (story) => {
        const { agent, reference } = await play(story);
        assert.deepEqual(agent, reference);
        for (const { kind } of reference) kinds.add(kind);
      }),
      { numRuns: 10_000 },
    );
    assert.deepEqual([...kinds].sort(), [
      "escalated",
      "firing",
      "flapping",
      "repeated",
      "resolved",
    ]);
  });
});
