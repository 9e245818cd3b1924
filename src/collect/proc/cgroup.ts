/** Whose process it is, as far as its cgroup says. */
export interface CgroupOwner {
  /** 64 hexadecimal digits. */
  readonly container: string | null;
  readonly podUid: string | null;
  /** The systemd service; null in a container. */
  readonly unit: string | null;
}

/**
 * A container's id in a path: `cri-containerd-<id>.scope`, `crio-<id>.scope`, `docker-<id>.scope`, `docker/<id>`,
 * `kubepods/burstable/pod<uid>/<id>`, and containerd's `<slice>:cri-containerd:<id>`.
 */
const containerId = /(?<=[/:-])[0-9a-f]{64}(?=\.scope|[/:]|$)/g;
/** A pod's UID, its dashes as underscores in a systemd slice; a static pod's has none. */
const podId = /pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?=\.slice|[/:]|$)/g;
const unitName = /(?<=\/)[^/]+\.service(?=\/|$)/g;

/** The innermost match: a node may itself be a container, and a user's service is one of the user manager's. */
function last(paths: readonly string[], pattern: RegExp): string | null {
  for (const path of paths) {
    const match = [...path.matchAll(pattern)].at(-1);
    if (match !== undefined) return match[1] ?? match[0];
  }
  return null;
}

/** Reads /proc/<pid>/cgroup, of v1 (a line for each hierarchy) or v2 (one line `0::<path>`). Anything else has no owner. */
export function parseCgroup(text: string): CgroupOwner {
  const paths = text.split("\n").map((line) => line.split(":").slice(2).join(":"));
  const container = last(paths, containerId);
  return {
    container,
    podUid: last(paths, podId)?.replaceAll("_", "-") ?? null,
    unit: container === null ? last(paths, unitName) : null,
  };
}
