import { actionNames, type ActionClaim, type ActionLink } from "../../core/action.ts";
import type { Incident, MessageKind } from "../../core/alert.ts";
import type { NamedKey } from "./token.ts";
import { writeToken } from "./token.ts";

/** How long a link is the right to anything. */
const validSeconds = 24 * 3_600;
/** No browser or chat opens longer ones reliably. */
const maxUrlBytes = 2_000;

/** Where the pages of links are, below the public address. */
export const linkPath = "/actions/";

/** Whether a silence of exactly these names could be told: in a pattern `*` would stand for anything. */
function isPlain({ subject }: Incident): boolean {
  const { node, rule, index, labels } = subject;
  const texts = [node.cluster, node.name, rule, index, ...Object.values(labels)];
  return texts.every((text) => text !== "" && !text.includes("*"));
}

/** Whether people may want to do something about what a message says. */
function isOpen(kind: MessageKind, { status }: Incident): boolean {
  return status === "firing" && kind !== "resolved" && kind !== "test";
}

/** The links of a message: one for each thing that may be done about its alert. Without a key there are none. */
export function actionLinks(
  { kind, incident }: { readonly kind: MessageKind; readonly incident: Incident },
  publicUrl: string | null,
  key: NamedKey | null,
  nowMs: number,
): readonly ActionLink[] {
  if (publicUrl === null || key === null || !isOpen(kind, incident)) return [];
  const { subject, id: alert, level } = incident;
  const { cluster, name: node } = subject.node;
  const { rule, index, labels } = subject;
  const expiresAt = Math.floor(nowMs / 1_000) + validSeconds;
  const about = { alert, cluster, node, rule, index, labels, level, expiresAt };
  const base = publicUrl.replace(/\/+$/, "") + linkPath;
  const urlOf = (claim: ActionClaim): string => base + writeToken(claim, key);
  return actionNames.flatMap((action): ActionLink[] => {
    if (action !== "ack" && !isPlain(incident)) return [];
    const whole = urlOf({ action, ...about });
    // To acknowledge, the id says which alert it is; a silence needs every label.
    const url =
      action === "ack" && whole.length > maxUrlBytes
        ? urlOf({ action, ...about, labels: {} })
        : whole;
    return url.length <= maxUrlBytes ? [{ action, url }] : [];
  });
}
