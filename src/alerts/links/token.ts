import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { texts } from "../../base/parse.ts";
import { actionNames, type ActionClaim, type LinkReading } from "../../core/action.ts";
import { levels } from "../../core/rule.ts";

/** A key by the name that tokens know it by. */
export interface NamedKey {
  /** The period, and the beginning of a hash: two keys of one period are told apart. */
  readonly id: string;
  /** 32 bytes in base64url; secret. */
  readonly value: string;
}

const idPattern = /^\d{1,6}-[0-9a-f]{12}$/;
/** The three parts of a token: key id, claim, signature of both. */
const tokenPattern = /^(\d{1,6}-[0-9a-f]{12})\.([\w-]{1,4000})\.([\w-]{43})$/;

/** What a key is called, which says nothing about it. */
export function keyId(period: number, value: string): string {
  const hash = createHash("sha256").update(`id:${value}`).digest("hex").slice(0, 12);
  return `${period}-${hash}`;
}

/** The claim in letters that keep links short. */
const claimSchema = v.pipe(
  v.object({
    a: v.picklist(actionNames),
    i: v.string(),
    c: v.string(),
    n: v.string(),
    r: v.string(),
    x: v.string(),
    l: texts,
    v: v.picklist(levels),
    e: v.pipe(v.number(), v.integer()),
  }),
  v.transform((short): ActionClaim => ({
    action: short.a,
    alert: short.i,
    cluster: short.c,
    node: short.n,
    rule: short.r,
    index: short.x,
    labels: short.l,
    level: short.v,
    expiresAt: short.e,
  })),
);

function signature(signed: string, { value }: NamedKey): string {
  return createHmac("sha256", Buffer.from(value, "base64url")).update(signed).digest("base64url");
}

/** Compared as texts: a signature has one spelling only. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** The right that a claim tells of, signed: whoever has it may do that one thing. */
export function writeToken(claim: ActionClaim, key: NamedKey): string {
  const { action, alert, cluster, node, rule, index, labels, level, expiresAt } = claim;
  const short = {
    a: action,
    i: alert,
    c: cluster,
    n: node,
    r: rule,
    x: index,
    l: labels,
    v: level,
    e: expiresAt,
  };
  const signed = `${key.id}.${Buffer.from(JSON.stringify(short)).toString("base64url")}`;
  return `${signed}.${signature(signed, key)}`;
}

/** The id of the key that a token says it is signed with; null: it is no token. */
export function keyIdOf(token: string): string | null {
  const id = tokenPattern.exec(token)?.[1];
  return id !== undefined && idPattern.test(id) ? id : null;
}

function parseClaim(text: string): ActionClaim | null {
  try {
    const parsed = v.safeParse(claimSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    // Signed by a newer version that says it otherwise.
    return null;
  }
}

/** Reads a token that names a key; null as the key: it is not known. What is not signed is not looked at. */
export function readToken(token: string, key: NamedKey | null, nowMs: number): LinkReading {
  const [, id, claimed = "", given = ""] = tokenPattern.exec(token) ?? [];
  if (id === undefined || key === null || key.id !== id) return { ok: false, reason: "forged" };
  if (!isSame(given, signature(`${id}.${claimed}`, key))) return { ok: false, reason: "forged" };
  const claim = parseClaim(Buffer.from(claimed, "base64url").toString());
  if (claim === null) return { ok: false, reason: "forged" };
  if (nowMs >= claim.expiresAt * 1_000) return { ok: false, reason: "expired" };
  return { ok: true, claim, id: createHash("sha256").update(token).digest("hex").slice(0, 24) };
}
