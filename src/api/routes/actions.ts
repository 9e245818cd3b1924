import * as v from "valibot";
import type { ActionPage, LinkReading } from "../../core/action.ts";
import { AgentError } from "../../core/errors.ts";
import { problem } from "../problem.ts";
import type { Reply } from "../reply.ts";
import { get, shortText, type Call, type Route, type RouteDeps } from "../route.ts";

/** What a page may load and where its form may go: nothing from anywhere, and back to where it came from. */
const actionPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const statusOf: Readonly<Record<ActionPage["state"], number>> = {
  ask: 200,
  acted: 200,
  forged: 403,
  expired: 410,
  away: 503,
  full: 409,
};

/** The name people gave last, kept by their browser for the pages of links only. */
const cookieName = "targetvpc_who";
const cookieSeconds = 365 * 86_400;
const maxNameLength = 100;

function nameIn(text: string): string {
  const parsed = v.safeParse(shortText(maxNameLength), text.trim());
  return parsed.success ? parsed.output : "";
}

function rememberedName({ headers }: Call): string {
  const pairs = (headers.cookie ?? "").split(";").map((pair) => pair.trim());
  const value = pairs
    .find((pair) => pair.startsWith(`${cookieName}=`))
    ?.slice(cookieName.length + 1);
  try {
    return nameIn(decodeURIComponent(value ?? ""));
  } catch {
    return "";
  }
}

function cookie(name: string): Readonly<Record<string, string>> {
  const attributes = `Max-Age=${cookieSeconds}; HttpOnly; SameSite=Lax`;
  return { "Set-Cookie": `${cookieName}=${encodeURIComponent(name)}; ${attributes}` };
}

interface Shown {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A page of links in the language of its reader. */
function answer(
  { renderAction }: RouteDeps,
  call: Call,
  page: ActionPage,
  shown: Shown = {},
): Reply {
  return {
    status: shown.status ?? statusOf[page.state],
    type: "text/html; charset=utf-8",
    headers: {
      "Content-Security-Policy": actionPolicy,
      Vary: "Accept-Language",
      ...shown.headers,
    },
    body: renderAction(page, call.language()),
  };
}

type Link = Extract<LinkReading, { ok: true }>;

function asked({ view }: RouteDeps, { claim }: Link, who: string, isUnnamed: boolean): ActionPage {
  return { state: "ask", claim, end: view.actionEnd(claim), who, isUnnamed };
}

async function show(deps: RouteDeps, call: Call): Promise<Reply> {
  const link = await deps.view.readLink(call.params.token ?? "");
  return link.ok
    ? answer(deps, call, asked(deps, link, rememberedName(call), false))
    : answer(deps, call, { state: link.reason });
}

/** The page that says why it could not be done; null: that is a fault of the agent. */
function failure(cause: unknown): ActionPage | null {
  if (!(cause instanceof AgentError)) return null;
  if (cause.code === "STORE_UNAVAILABLE") return { state: "away" };
  return cause.code === "CONFLICT" ? { state: "full" } : null;
}

async function confirm(deps: RouteDeps, call: Call): Promise<Reply> {
  const { view } = deps;
  const link = await view.readLink(call.params.token ?? "");
  if (!link.ok) return answer(deps, call, { state: link.reason });
  // The server reads a form as nothing else.
  const form = call.body instanceof URLSearchParams ? call.body : new URLSearchParams();
  const who = nameIn(form.get("who") ?? "");
  if (who === "") return answer(deps, call, asked(deps, link, "", true), { status: 400 });
  try {
    const acted = await view.act(link, who);
    const { claim } = link;
    const page: ActionPage = { state: "acted", claim, acted, timezone: view.actionTimezone() };
    return answer(deps, call, page, { headers: cookie(who) });
  } catch (cause) {
    const page = failure(cause);
    if (page === null) throw cause;
    return answer(deps, call, page);
  }
}

/**
 * Links of messages: looking changes nothing, because chats look at every link; the form does it. The link is the
 * right to it, so no token is asked for.
 */
export function actionsRoutes(deps: RouteDeps): Route[] {
  const path = "/actions/:token";
  return [
    get(path, (call) => show(deps, call), "link"),
    {
      method: "POST",
      path,
      access: "link",
      body: "form",
      refuse: problem,
      handle: (call) => confirm(deps, call),
    },
  ];
}
