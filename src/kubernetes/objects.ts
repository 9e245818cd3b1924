import * as v from "valibot";

/** What the agent reads of the API server's objects: small types of our own, checked as they come in. */
const metadata = v.object({
  name: v.string(),
  namespace: v.optional(v.string()),
  uid: v.optional(v.string(), ""),
  resourceVersion: v.optional(v.string(), ""),
  labels: v.optional(v.nullable(v.record(v.string(), v.string())), {}),
});

export const configMap = v.object({
  metadata,
  data: v.optional(v.nullable(v.record(v.string(), v.string())), {}),
});
export type ConfigMap = v.InferOutput<typeof configMap>;

export const configMapList = v.object({
  metadata: v.object({ resourceVersion: v.string() }),
  items: v.nullable(v.array(configMap), []),
});

export const node = v.object({
  metadata,
  spec: v.optional(
    v.object({
      taints: v.optional(
        v.nullable(
          v.array(
            v.object({ key: v.string(), value: v.optional(v.string(), ""), effect: v.string() }),
          ),
        ),
        [],
      ),
    }),
    {},
  ),
  status: v.optional(
    v.object({
      conditions: v.optional(
        v.nullable(
          v.array(
            v.object({
              type: v.string(),
              status: v.string(),
              reason: v.optional(v.string(), ""),
              lastTransitionTime: v.optional(v.nullable(v.string()), null),
            }),
          ),
        ),
        [],
      ),
    }),
    {},
  ),
});
export type KubeNode = v.InferOutput<typeof node>;

/** One line of a watch. */
export const watchEvent = v.object({
  type: v.picklist(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
  object: v.looseObject({}),
});

const status = v.object({
  code: v.optional(v.number()),
  reason: v.optional(v.string(), ""),
  message: v.optional(v.string(), ""),
});

/** What the API server says of a refusal: its code, its reason and its words. */
export interface Refusal {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/** Reads a `Status` object; what is none has only the HTTP status. */
export function refusalOf(httpStatus: number, body: unknown): Refusal {
  const parsed = v.safeParse(status, body);
  if (!parsed.success) return { code: httpStatus, reason: "", message: `http ${httpStatus}` };
  const { code = httpStatus, reason, message } = parsed.output;
  return { code, reason, message: message === "" ? `http ${httpStatus}` : message };
}
