/** helm lint --strict of the chart with every set of values, by every helm. */
import path from "node:path";
import { chart } from "../chart.ts";
import { setNames, valueSets } from "./golden.ts";
import { helms, kubeVersion, output } from "./helm.ts";

for (const helm of helms())
  for (const name of setNames()) {
    const values = path.join(valueSets, `${name}.yaml`);
    const target = ["--namespace", "monitoring", "--kube-version", kubeVersion];
    await output(helm, ["lint", "--strict", "--quiet", chart, "--values", values, ...target]);
    console.log(`${helm} lint: ${name}: ok`);
  }
