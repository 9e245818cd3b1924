import { randomUUID } from "node:crypto";
import type { ChannelSpec, Outcome } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { AnyChannelPlugin } from "../notify/contract.ts";
import { channelPlugins } from "../notify/index.ts";
import type { Reached, ReachStep } from "../notify/reach.ts";
import { channelWarnings } from "../notify/settings.ts";
import { testMessage } from "../notify/test-message.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";
import { networkFix } from "./network.ts";
import { askMs, type Surroundings } from "./surroundings.ts";

interface Sourced {
  readonly source: string;
  readonly spec: ChannelSpec;
}

/** The channels of every source that can be read now. */
async function channelsOf({ settings, admin, configMap }: Surroundings): Promise<Sourced[]> {
  const [fromAdmin, { api, mounted }] = await Promise.all([admin(), configMap()]);
  const answered = fromAdmin.kind === "answered" ? fromAdmin.understood : null;
  const map = api.kind === "good" ? api : mounted;
  const sources = {
    file: settings.document,
    admin: answered?.kind === "good" ? answered.document : null,
    configmap: map.kind === "good" ? map.document : null,
  };
  return Object.entries(sources).flatMap(([source, document]) =>
    (document?.channels ?? []).map((spec) => ({ source, spec })),
  );
}

const loginFix = "correct username and password; many services want a password for applications";

function reachFix(step: ReachStep, reason: string): string {
  if (step === "auth") return loginFix;
  const words = { dns: "EDNS", tcp: reason, tls: "TLS" }[step];
  return networkFix(words, "the address in the channel's settings");
}

const stepNames: Readonly<Record<ReachStep, string>> = {
  dns: "the name does not resolve",
  tcp: "no connection",
  tls: "no TLS",
  auth: "the login is refused",
};

function reachFinding(name: string, costs: string, reached: Reached): Finding {
  if (reached.ok) return ok(name, `${reached.found}; nothing was sent`);
  const { step, reason } = reached;
  return failed(name, {
    found: `${stepNames[step]}: ${reason}`,
    costs,
    fix: reachFix(step, reason),
  });
}

function sentFinding(name: string, costs: string, outcome: Outcome): Finding {
  if (outcome.outcome === "sent") return ok(name, `a test message was sent (${outcome.code})`);
  return failed(name, {
    found: `${outcome.outcome}: ${outcome.reason} (${outcome.code})`,
    costs,
    fix: "what the service says of it; docs/channels.md",
  });
}

async function send(
  plugin: AnyChannelPlugin,
  spec: ChannelSpec,
  around: Surroundings,
): Promise<Outcome> {
  const { http, clock, config, node, waits } = around;
  const language = spec.language ?? config.alerts.language;
  const channel = plugin.create(spec.settings, { http, clock, language, template: spec.template });
  try {
    const message = testMessage(randomUUID(), node, clock.now());
    return await waits.within(askMs, (signal) => channel.send(message, signal));
  } finally {
    await channel.close();
  }
}

async function tried(
  plugin: AnyChannelPlugin,
  { source, spec }: Sourced,
  around: Surroundings,
): Promise<Finding> {
  const name = `channel.${source}.${spec.name}`;
  const costs = `alerts do not arrive by ${spec.name}; they wait and are tried again`;
  try {
    if (around.send) return sentFinding(name, costs, await send(plugin, spec, around));
    const reached = await around.waits.within(askMs, (signal) =>
      plugin.reach(spec.settings, signal),
    );
    return reachFinding(name, costs, reached);
  } catch (cause) {
    const found = errorText(cause);
    return failed(name, { found, costs, fix: networkFix(found, "the channel's settings") });
  }
}

async function look(sourced: Sourced, around: Surroundings): Promise<Finding> {
  const { source, spec } = sourced;
  const name = `channel.${source}.${spec.name}`;
  const plugin = channelPlugins.find(({ type }) => type === spec.type);
  if (!spec.enabled || plugin === undefined) return off(name, "disabled");
  around.redactor.learn(spec.settings);
  const finding = await tried(plugin, sourced, around);
  const doubts = channelWarnings(spec);
  // It works, and whoever has chosen so is told in passing.
  if (finding.status !== "ok" || doubts.length === 0) return finding;
  return ok(name, `${finding.found}; ${doubts.join("; ")}`);
}

/** Everything messages are sent by. */
export const channels: Check = {
  name: "channel",
  doc: "The host of every channel of every source: DNS, TCP and TLS; of a mail server the login too; `--send` sends a test message",
  costs: "people are not told of alerts",
  run: async (around) => {
    const all = await channelsOf(around);
    if (all.length > 0) return Promise.all(all.map((one) => look(one, around)));
    const fix = "alerts.channels in the file, the ConfigMap or the admin server";
    return [
      warning("channel", {
        found: "there is no channel",
        costs: "alerts are on the status page and in the API, nobody is told",
        fix,
      }),
    ];
  },
};
