/** An answer before it is put on the wire: a whole text, or parts of one that is too long to hold. */
export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<string>;
}

/** An answer in JSON. The text is made here: a body that is not a text makes Koa load the fetch classes (3.6 MB). */
export function jsonReply(value: unknown, status = 200): Reply {
  return { status, type: "application/json; charset=utf-8", body: JSON.stringify(value) };
}

/** Times leave as whole Unix seconds: clients read them into integers. */
export function unixSeconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/** The same of a time that may be missing. */
export function unixSecondsOrNull(ms: number | null): number | null {
  return ms === null ? null : unixSeconds(ms);
}
