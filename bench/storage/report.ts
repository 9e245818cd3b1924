/** What a figure has to be. */
export type Goal =
  | { readonly most: number }
  /** So many times less than the first rival. */
  | { readonly timesLess: number };

/** One thing that was measured, ours and the rivals' in the same run. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly rivals?: readonly (readonly [name: string, value: number])[];
  readonly goals?: readonly Goal[];
}

/** Three digits that count. */
export function digits(value: number): string {
  if (value === 0) return "0";
  const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(3, places)).replace(/\B(?=(\d{3})+$)/g, places > 0 ? "" : ",");
}

function met({ ours, rivals = [] }: Figure, goal: Goal): boolean {
  if ("most" in goal) return ours <= goal.most;
  const [, rival] = rivals[0] ?? ["", Number.NaN];
  return rival / ours >= goal.timesLess;
}

function goalText(figure: Figure): string {
  return (figure.goals ?? [])
    .map((goal) => {
      const text = "most" in goal ? `≤ ${goal.most}` : `${goal.timesLess} × less`;
      return met(figure, goal) ? text : `${text}: **missed**`;
    })
    .join(", ");
}

function rivalsText({ ours, rivals = [] }: Figure): string {
  return rivals
    .map(([name, value]) => `${name} ${digits(value)} (${digits(value / ours)} ×)`)
    .join(", ");
}

/** Prints a line of the table. */
export function print(figure: Figure): void {
  const { what, unit, ours } = figure;
  const cells = [
    what.padEnd(44),
    `${digits(ours)} ${unit}`.trim(),
    rivalsText(figure),
    goalText(figure),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

/** Begins a table; what has to be known about it stands above it. */
export function heading(title: string, note?: string): void {
  console.log(`\n## ${title}\n`);
  if (note !== undefined) console.log(`${note}\n`);
  console.log("| | TargetVPC | rivals (times ours) | goal |");
  console.log("|---|---|---|---|");
}
