import type { FleetCost } from "./agents.ts";
import type { DatabaseFigures } from "./database.ts";
import type { Compared, Form, Reads } from "./measured.ts";
import type { ReadCost, TickCost } from "./meter.ts";
import type { Options } from "./options.ts";
import { type Figure, type Goal, heading, print } from "./report.ts";

type Pairs = NonNullable<Figure["rivals"]>;

/** Bytes a sample held over a retention of seven days, by how many series a node has. */
const mostBytes: Readonly<Record<number, number>> = { 3: 0.45, 50: 0.7 };
const timesLess = 180;
const timesFaster = 8;

/** A day goes as a whole, so that with seven days 7.5 are held on average; the open one is not compacted. */
const heldDays = 7.5;

function heldBytes(open: number, closed: number): number {
  return (open + (heldDays - 1) * closed) / heldDays;
}

/** Memory a sample, in Redis with all its overhead and on the disks of databases. */
export function printMemory(
  { series, ours, rivals }: Compared,
  others: readonly DatabaseFigures[],
): void {
  heading(`${series} series: bytes a sample`);
  const known: Pairs = [...rivals, ...others].map(({ name, bytesASample }) => [name, bytesASample]);
  const { blocks, compacted, tier } = ours;
  const held = heldBytes(blocks.bytesASample, compacted.bytesASample);
  const goals: Goal[] = [{ most: mostBytes[series] ?? Number.NaN }, { timesLess }];
  const say = (what: string, bytes: number, goals: readonly Goal[] = []): void =>
    print({ what, unit: "B", ours: bytes, rivals: known, goals });
  say("the open day, in blocks", blocks.bytesASample);
  say("closed days", compacted.bytesASample);
  say("held on average with 7 d retention", held, goals);
  say("the same and its tier", held + tier.bytesASample);
}

/** What a tick costs. */
export function printTicks({ series, ours, rivals }: Compared): void {
  heading(`${series} series: one tick`);
  const say = (
    what: string,
    unit: string,
    of: (cost: TickCost) => number,
    goals: readonly Goal[] = [],
  ): void =>
    print({
      what,
      unit,
      ours: of(ours.tick),
      rivals: rivals.map(({ name, tick }) => [name, of(tick)]),
      goals,
    });
  say("commands, ours with heartbeats and tier", "", ({ commands }) => commands, [{ most: 1.1 }]);
  print({ what: "… without the tier", unit: "", ours: ours.writing.commands });
  say("bytes to the server", "B", ({ bytes }) => bytes);
  say("server, inside commands", "µs", ({ commandUs }) => commandUs);
  say("server, CPU of the process", "µs", ({ serverUs }) => serverUs);
  say("agent, CPU of encoding and sending", "µs", ({ agentUs }) => agentUs);
  print({ what: "agent, CPU to compact a day", unit: "ms", ours: ours.closingMs });
}

const oneGoals: readonly Goal[] = [{ most: 10 }, { timesLess: timesFaster }];
const week = "7 d";

/** What is asked of a span of reads, by which part of it and by which form. */
function readGoals(part: keyof Reads, span: string, isBest: boolean): readonly Goal[] {
  if (span !== week || !isBest) return [];
  return part === "one" ? oneGoals : [{ most: 400 }];
}

function printForm(form: Form, part: keyof Reads, compared: Compared, what: string): void {
  const isBest = form !== compared.ours.blocks;
  for (const [span, { ms }] of form.reads?.[part] ?? [])
    print({
      what: `${span} of ${what}, from ${form.name}`,
      unit: "ms",
      ours: ms,
      rivals: compared.rivals.flatMap(({ name, reads }) => {
        const cost = reads?.[part].get(span);
        return cost === undefined ? [] : [[name, cost.ms] as const];
      }),
      goals: readGoals(part, span, isBest),
    });
}

/** How long reads take, and how much of that is the reader's own work. */
export function printReads(
  compared: Compared,
  others: readonly DatabaseFigures[],
  { options, http }: { readonly options: Options; readonly http: ReadCost | null },
): void {
  const { blocks, compacted, tier, wide } = compared.ours;
  const forms = [blocks, compacted, tier];
  heading("Reading one series of a node");
  for (const form of forms) printForm(form, "one", compared, "one series");
  for (const { name, reads } of forms) {
    const cost = reads?.one.get(week);
    if (cost !== undefined)
      print({
        what: `${week} of one series, from ${name}: CPU of the reader`,
        unit: "ms",
        ours: cost.cpuMs,
        rivals: compared.rivals.map((rival) => [
          rival.name,
          rival.reads?.one.get(week)?.cpuMs ?? Number.NaN,
        ]),
      });
  }
  if (http !== null)
    print({
      what: "every sample of one series through HTTP as JSON",
      unit: "ms",
      ours: http.ms,
      rivals: others.flatMap(({ name, reads }) =>
        reads.map(([how, { ms }]) => [`${name} (${how})`, ms] as const),
      ),
      goals: [{ most: 40 }],
    });
  heading(
    `Reading one series of ${options.nodes} nodes`,
    "Where a node has one key, one node was read and its time multiplied.",
  );
  for (const form of forms) printForm(form, "fleet", compared, `${options.nodes} nodes`);
  if (wide !== null)
    print({
      what: `24 h of ${options.wideNodes} nodes, from the tier`,
      unit: "ms",
      ours: wide.ms,
      goals: [{ most: 100 }],
    });
}

/** What a fleet that writes costs the server. */
export function printAgents(
  { agents }: Options,
  ours: FleetCost,
  rivals: readonly (readonly [name: string, cost: FleetCost])[],
): void {
  heading(`${agents} agents that write 50 series every 10 s`);
  print({
    what: "CPU of the server, of one core",
    unit: "%",
    ours: ours.corePercent,
    rivals: rivals.map(([name, { corePercent }]) => [name, corePercent]),
    goals: [{ most: 30 }],
  });
  print({
    what: "commands a second",
    unit: "",
    ours: ours.commandsASecond,
    rivals: rivals.map(([name, { commandsASecond }]) => [name, commandsASecond]),
  });
}
