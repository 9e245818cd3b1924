import { faultsText } from "../core/errors.ts";
import { rights } from "../kubernetes/rights.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";
import type { Content } from "./see-configmap.ts";

interface Way {
  readonly name: string;
  readonly title: string;
  readonly costs: string;
  readonly fix: string;
}

function findingOf({ name, title, costs, fix }: Way, content: Content): Finding {
  switch (content.kind) {
    case "off":
      return off(name, content.why);
    case "absent":
      return off(name, `there is no ConfigMap ${title}: no rules and channels from there`);
    case "unreadable":
      return warning(name, { found: content.reason, costs, fix });
    case "refused": {
      const { faults } = content;
      return failed(name, {
        found: `${title}: ${faultsText(faults)}`,
        costs: "the whole version is refused; the last good one stays in force",
        fix: "correct what is named; targetvpc check-config FILE checks the same text offline",
      });
    }
    case "good": {
      const { rules, channels } = content.document;
      return ok(name, `${title}: ${rules.length} rules, ${channels.length} channels`);
    }
  }
}

/** Rules and channels of the cluster, by both ways the agent has to them. */
export const configMap: Check = {
  name: "kubernetes.configmap",
  doc: "The ConfigMap is valid, from the API server and as it is mounted",
  costs: "rules and channels of the cluster do not arrive",
  run: async ({ cluster, config, configMap: look }) => {
    if (cluster === null && config.kubernetes.configmap_dir === null)
      return [off("kubernetes.configmap", "no cluster")];
    const { title, api, mounted } = await look();
    const watched = {
      name: "kubernetes.configmap",
      title,
      costs: rights.configmap.without,
      fix: "the right of kubernetes.right.configmap",
    };
    const mount = {
      name: "kubernetes.configmap.mounted",
      title,
      costs: "without the right to watch it, rules and channels of the ConfigMap do not arrive",
      fix: "mount the ConfigMap as a directory (optional: true, no subPath) at kubernetes.configmap_dir",
    };
    return [findingOf(watched, api), findingOf(mount, mounted)];
  },
};
