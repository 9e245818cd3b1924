import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";
import { networkFix } from "./network.ts";
import type { AdminSight } from "./see-admin.ts";

const name = "admin";
const costs =
  "rules and channels of the admin server do not arrive (the last good ones stay), and alert records wait";

function understoodFinding(seen: Extract<AdminSight, { kind: "answered" }>): Finding {
  const { understood } = seen;
  switch (understood.kind) {
    case "good": {
      const { rules, channels } = understood.document;
      return ok(name, `registered: ${rules.length} rules, ${channels.length} channels`);
    }
    case "unchanged":
      return ok(name, "registered, nothing new");
    case "unregistered":
      return warning(name, {
        found: understood.reason,
        costs: "this node has no rules and channels from there, only those of its other sources",
        fix: "register the node's address and name there; node.ip (NODE_IP) and node.name (NODE_NAME) are what is sent",
      });
    case "refused":
      return failed(name, {
        found: `an invalid configuration: ${understood.reason}`,
        costs,
        fix: "correct what the admin server answers; docs/admin-api.md says what it may",
      });
    case "unreadable":
    case "failed":
      return failed(name, {
        found: understood.reason,
        costs,
        fix: /token/.test(understood.reason)
          ? "set admin.token (ADMIN_TOKEN, or ADMIN_TOKEN_FILE) to one it accepts"
          : "correct admin.base_url and admin.config_endpoint, or mend the server",
      });
  }
}

/** The admin server, asked the way the agent asks it. */
export const admin: Check = {
  name,
  doc: "The admin server knows this node, takes the token, and answers a valid configuration",
  costs,
  run: async (around) => {
    const seen = await around.admin();
    if (seen.kind === "off") return [off(name, "none (admin.base_url)")];
    if (seen.kind === "answered") return [understoodFinding(seen)];
    const fix = networkFix(seen.reason, "admin.base_url (ADMIN_BASE_URL)");
    return [failed(name, { found: seen.reason, costs, fix })];
  },
};
