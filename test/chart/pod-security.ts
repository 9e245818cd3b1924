import { isRecord, type Container, type PodSpec } from "./support.ts";

/** A field of https://kubernetes.io/docs/concepts/security/pod-security-standards and what is wrong with it. */
type Check = (pod: PodSpec, container: Container) => unknown;

function context(of: {
  readonly securityContext?: Record<string, unknown>;
}): Record<string, unknown> {
  return of.securityContext ?? {};
}

/** A field of the container, else of the pod. */
function effective(field: string): (pod: PodSpec, container: Container) => unknown {
  return (pod, container) => context(container)[field] ?? context(pod)[field];
}

function capabilities(container: Container, list: "add" | "drop"): unknown[] {
  const { capabilities } = context(container);
  const names = isRecord(capabilities) ? capabilities[list] : [];
  return Array.isArray(names) ? (names as unknown[]) : [];
}

function member(of: unknown, key: string): unknown {
  return isRecord(of) ? of[key] : undefined;
}

/** Every handler that probes or hooks have: since 1.34 none may name another host. */
function handlers(container: Container): unknown[] {
  const probes = ["startupProbe", "readinessProbe", "livenessProbe"].map((name) => container[name]);
  const { lifecycle } = container;
  const hooks = [member(lifecycle, "postStart"), member(lifecycle, "preStop")];
  return [...probes, ...hooks].flatMap((one) => [member(one, "httpGet"), member(one, "tcpSocket")]);
}

const allowedVolumes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/** Each says whether the field is as "baseline" or "restricted" wants it. */
const checks: Readonly<Record<string, Check>> = {
  "spec.hostNetwork": (pod) => pod["hostNetwork"] !== true,
  "spec.hostPID": (pod) => pod["hostPID"] !== true,
  "spec.hostIPC": (pod) => pod["hostIPC"] !== true,
  "spec.volumes": (pod) =>
    (pod.volumes ?? []).every((volume) =>
      Object.keys(volume).every((key) => key === "name" || allowedVolumes.includes(key)),
    ),
  "spec.securityContext.sysctls": (pod) => context(pod)["sysctls"] === undefined,
  "spec.securityContext.supplementalGroups": (pod) =>
    context(pod)["supplementalGroups"] === undefined,
  "windowsOptions.hostProcess": (pod, container) =>
    effective("windowsOptions")(pod, container) === undefined,
  seLinuxOptions: (pod, container) => effective("seLinuxOptions")(pod, container) === undefined,
  appArmorProfile: (pod, container) =>
    [undefined, "RuntimeDefault", "Localhost"].includes(
      member(effective("appArmorProfile")(pod, container), "type") as string | undefined,
    ),
  privileged: (_, container) => context(container)["privileged"] !== true,
  procMount: (_, container) =>
    [undefined, "Default"].includes(context(container)["procMount"] as undefined),
  hostPort: (_, container) => (container.ports ?? []).every(({ hostPort = 0 }) => hostPort === 0),
  "handler host": (_, container) =>
    handlers(container).every((one) => member(one, "host") === undefined),
  allowPrivilegeEscalation: (_, container) =>
    context(container)["allowPrivilegeEscalation"] === false,
  runAsNonRoot: (pod, container) => effective("runAsNonRoot")(pod, container) === true,
  runAsUser: (pod, container) => Number(effective("runAsUser")(pod, container) ?? 1) > 0,
  seccompProfile: (pod, container) =>
    ["RuntimeDefault", "Localhost"].includes(
      String(member(effective("seccompProfile")(pod, container), "type")),
    ),
  "capabilities.drop": (_, container) => capabilities(container, "drop").includes("ALL"),
  "capabilities.add": (_, container) => capabilities(container, "add").length === 0,
  // Not asked for by the standard.
  readOnlyRootFilesystem: (_, container) => context(container)["readOnlyRootFilesystem"] === true,
};

/** The fields of a pod that Pod Security "restricted" refuses, and a root filesystem that can be written. */
export function violations(pod: PodSpec): string[] {
  const containers = [...(pod.initContainers ?? []), ...pod.containers];
  return Object.entries(checks)
    .filter(([, check]) => containers.some((container) => check(pod, container) !== true))
    .map(([field]) => field);
}
