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
  /** What has to be known about how it was measured. */
  readonly note?: string;
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

/** Prints a line of the table; what was measured on fewer, or is not what one would think, has a note. */
export function print(figure: Figure): void {
  const { what, unit, ours, note } = figure;
  const name = note === undefined ? what : `${what} (${note})`;
  console.log(
    `| ${name.padEnd(60)} | ${digits(ours)} ${unit} | ${rivalsText(figure)} | ${goalText(figure)} |`,
  );
}

/** Begins a table. */
export function heading(title: string): void {
  console.log(`\n## ${title}\n`);
  console.log("| | TargetVPC | rivals (times ours) | goal |");
  console.log("|---|---|---|---|");
}
