import type { Dirent } from "node:fs";
import { opendir } from "node:fs/promises";
import path from "node:path";
import type { CgroupOwner } from "./proc/cgroup.ts";

/** Directories the kubelet keeps below the host's root, readable to all. */
const containersDir = "var/log/containers";
const podsDir = "var/log/pods";

/** A node has at most a few thousand of either; what goes on forever is no directory of the kubelet. */
const maxEntries = 20_000;
/** As many digits of a container's id as `crictl ps` and `docker ps` show at most. */
const shortIdDigits = 12;

/** Pod, namespace and container by a link `<pod>_<namespace>_<container>-<container id>.log`; null: it is none. */
export function parseContainerLog(name: string): { id: string; owner: string } | null {
  const match = /^([^_]+)_([^_]+)_(.+)-([0-9a-f]{64})\.log$/.exec(name);
  if (match === null) return null;
  const [, pod, namespace, container, id = ""] = match;
  return { id, owner: `${namespace}/${pod}/${container}` };
}

/** Namespace and pod by a directory `<namespace>_<pod>_<uid>`; null: it is none. */
export function parsePodDir(name: string): { id: string; owner: string } | null {
  const match = /^([^_]+)_([^_]+)_([^_]+)$/.exec(name);
  if (match === null) return null;
  const [, namespace, pod, id = ""] = match;
  return { id, owner: `${namespace}/${pod}` };
}

/** The owners of some ids that a directory knows; none when it cannot be read. */
async function readOwners(
  dir: string,
  wanted: ReadonlySet<string>,
  parse: (name: string) => { id: string; owner: string } | null,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  if (wanted.size === 0) return found;
  let seen = 0;
  const take = ({ name }: Dirent): boolean => {
    const entry = parse(name);
    if (entry !== null && wanted.has(entry.id)) found.set(entry.id, entry.owner);
    seen += 1;
    return found.size < wanted.size && seen < maxEntries;
  };
  try {
    for await (const entry of await opendir(dir, { bufferSize: 256 })) if (!take(entry)) break;
  } catch {
    // A server without a kubelet has no such directory; its containers are told by their ids.
  }
  return found;
}

function known<T>(values: readonly (T | null)[]): Set<T> {
  return new Set(values.filter((value) => value !== null));
}

/** Names for what cgroups say, each directory read once: `namespace/pod/container`, the best short of it, or null. */
export async function nameOwners(
  root: string,
  cgroups: readonly CgroupOwner[],
): Promise<readonly (string | null)[]> {
  const ids = known(cgroups.map(({ container }) => container));
  const byId = await readOwners(path.join(root, containersDir), ids, parseContainerLog);
  const unnamed = cgroups.filter(({ container }) => !byId.has(container ?? ""));
  const uids = known(unnamed.map(({ podUid }) => podUid));
  const byUid = await readOwners(path.join(root, podsDir), uids, parsePodDir);
  return cgroups.map(
    (cgroup) =>
      byId.get(cgroup.container ?? "") ?? byUid.get(cgroup.podUid ?? "") ?? plainOwner(cgroup),
  );
}

/** The owner without anybody's help: the short id of a container, or a systemd unit. */
export function plainOwner({ container, unit }: CgroupOwner): string | null {
  return container?.slice(0, shortIdDigits) ?? unit;
}
