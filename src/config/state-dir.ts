import path from "node:path";

/**
 * Where small files that must survive a restart are kept: as configured, else systemd's state directory (the first of
 * a colon-separated list), else the user's by the XDG base directory specification.
 */
export function stateDirectory(
  configured: string | null,
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): string {
  if (configured !== null) return configured;
  const systemd = env["STATE_DIRECTORY"]?.split(":")[0];
  if (systemd !== undefined && systemd !== "") return systemd;
  const xdg = env["XDG_STATE_HOME"];
  const base = xdg !== undefined && path.isAbsolute(xdg) ? xdg : path.join(home, ".local", "state");
  return path.join(base, "targetvpc");
}
