import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import path from "node:path";

/**
 * What a kubelet does to a mounted ConfigMap or Secret: the files in a new directory, then the one link `..data`
 * replaced, through which the link of every key leads.
 */
export async function publish(
  mount: string,
  version: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(path.join(mount, version), { recursive: true });
  for (const [key, text] of Object.entries(files))
    await writeFile(path.join(mount, version, key), text);
  await symlink(version, path.join(mount, "..data_tmp"));
  await rename(path.join(mount, "..data_tmp"), path.join(mount, "..data"));
  for (const key of Object.keys(files))
    await symlink(path.join("..data", key), path.join(mount, key)).catch(() => undefined);
}
