import type { AlertMessage } from "./core/delivery.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import { seriesKey } from "./core/series.ts";
import { actionLinks } from "./alerts/links/links.ts";
import type { SigningKeys } from "./alerts/links/keys.ts";
import type { Telling } from "./alerts/telling.ts";
import { createEvidence, type EvidenceFinder } from "./collect/evidence.ts";
import { recordsTarget } from "./admin-link.ts";
import type { Cluster } from "./kubernetes/cluster.ts";
import type { AppDeps, Parts } from "./parts.ts";

/** How far back a message shows the series. */
const shownMs = 30 * 60_000;
/** Values of it in a message, which is kept until it is sent: all there are at ten seconds. */
const maxShown = 180;

type TellerParts = AppDeps &
  Pick<Parts, "node" | "collecting" | "inForce" | "storage" | "notifier" | "admin">;

/** What may have caused what people are about to be told; null: nothing new is told, or it is about another node. */
async function causes(
  { message, incident: { subject } }: Telling,
  node: NodeIdentity,
  evidence: EvidenceFinder,
): Promise<AlertMessage["evidence"]> {
  const isNew = message === "firing" || message === "escalated";
  const isOwn = nodeId(subject.node) === nodeId(node);
  return isNew && isOwn ? evidence.about(subject.index) : null;
}

/** The half hour before, of a series of this node's own; several samples as the one that breaches most. */
function course(
  { incident: { subject }, atMs }: Telling,
  { node, storage }: Pick<Parts, "node" | "storage">,
): Pick<AlertMessage, "recent" | "recentStepMs"> {
  if (nodeId(subject.node) !== nodeId(node)) return { recent: [] };
  const { stepMs, values } = storage.series.recent({
    key: seriesKey(subject.index, subject.labels),
    toMs: atMs,
    spanMs: shownMs,
    maxValues: maxShown,
    aggregate: subject.operator?.startsWith("<") === true ? "min" : "max",
  });
  return { recent: values, recentStepMs: stepMs };
}

/** Tells people and records about an incident. */
export function createTeller(
  parts: TellerParts,
  signingKeys: SigningKeys,
  cluster: () => Cluster | null,
): (telling: Telling) => Promise<void> {
  const { notifier, admin, settings } = parts;
  const evidence = createEvidence({ ...parts, host: parts.collecting.host });
  return async (telling) => {
    const { id, incident, atMs, message, record, again } = telling;
    const { subject } = incident;
    const found = await causes(telling, parts.node, evidence);
    if (record !== null)
      cluster()?.tell({ incident, transition: record, atMs, biggest: found?.processes?.[0] });
    const about = {
      id,
      atMs,
      incident,
      ...course(telling, parts),
      evidence: found,
      publicUrl: settings.config.server.public_url,
    };
    if (message !== null) {
      const actions = actionLinks(
        { kind: message, incident },
        about.publicUrl,
        signingKeys.current,
        parts.clock.now(),
      );
      await notifier.notify({ ...about, kind: message, actions }, subject.channels, again);
    }
    if (record !== null && admin !== null)
      await notifier.deliver(recordsTarget, { ...about, kind: record }, again);
  };
}
