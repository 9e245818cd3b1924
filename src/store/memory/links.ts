import type {
  Acknowledgement,
  AcknowledgementPort,
  SigningKey,
  SigningKeyPort,
} from "../../core/action.ts";
import type { Clock } from "../../core/ports.ts";
import { keptAcknowledgements, replacedAcknowledgements, replacedPeriods } from "../link.ts";

/** Acknowledgements in the memory of this agent. */
export function createMemoryAcknowledgements(clock: Clock): AcknowledgementPort {
  const known = new Map<string, Acknowledgement>();
  return {
    put: async (one) => {
      for (const alert of replacedAcknowledgements([...known.values()], one, clock.now()))
        known.delete(alert);
      known.set(one.alert, one);
    },
    list: async () => keptAcknowledgements([...known.values()], clock.now()),
  };
}

/** Keys in the memory of this agent. */
export function createMemoryKeys(): SigningKeyPort {
  const keys = new Map<number, SigningKey>();
  return {
    settle: async (key) => {
      for (const period of replacedPeriods([...keys.values()], key)) keys.delete(period);
      const settled = keys.get(key.period) ?? key;
      keys.set(key.period, settled);
      return settled;
    },
    list: async () => [...keys.values()],
  };
}
