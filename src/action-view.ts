import { randomUUID } from "node:crypto";
import { acknowledgeAnywhere, act } from "./alerts/links/act.ts";
import { silenceEnd, zoneOf } from "./alerts/links/morning.ts";
import { keyIdOf, readToken } from "./alerts/links/token.ts";
import type { AgentView } from "./api/ports.ts";
import type { ViewParts } from "./view.ts";

type ActionView = Pick<
  AgentView,
  "acknowledge" | "acknowledgeElsewhere" | "readLink" | "actionEnd" | "actionTimezone" | "act"
>;

/** What people say and do about alerts. */
export function createActionView(parts: ViewParts): ActionView {
  const { incidents, storage, silences, signingKeys, inForce, clock, restored } = parts;
  const { acknowledgements } = storage.backend;
  const timezone = (): string => zoneOf(inForce.runtime.quietHours, inForce.runtime.language);
  const deps = { incidents, silences, acknowledgements, timezone, newId: randomUUID, clock };
  return {
    acknowledge: async (id, by) => {
      await restored;
      return incidents.acknowledge(id, by);
    },
    acknowledgeElsewhere: async (alert, by) => {
      const [last] = await storage.receipts.list({ alert, limit: 1 });
      if (last === undefined || last.kind === "resolved") return false;
      return (await acknowledgeAnywhere({ alert, by }, deps)).state === "done";
    },
    readLink: async (token) => {
      const id = keyIdOf(token);
      return readToken(token, id === null ? null : await signingKeys.find(id), clock.now());
    },
    actionEnd: ({ action }) =>
      action === "ack" ? null : silenceEnd(action, timezone(), clock.now()),
    actionTimezone: timezone,
    act: async (link, by) => {
      await restored;
      return act(link, by, deps);
    },
  };
}
