import * as f from "./formats.ts";
import { setting } from "./setting.ts";

/** A name as Kubernetes takes it for most objects (RFC 1123 subdomain). */
const objectName = f.text({
  is: /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
  expected: "a Kubernetes name: lower-case letters, digits, - and .",
});

/** What the agent does with the cluster it runs in. */
export const kubernetes = {
  enabled: setting(
    "KUBERNETES_ENABLED",
    f.autoFlag,
    "auto",
    "Talk to the API server; `auto`: where a Pod has a service account's token; `true` elsewhere: by kubeconfig",
  ),
  configmap: setting(
    "KUBERNETES_CONFIGMAP",
    objectName,
    "targetvpc",
    "ConfigMap with rules and channels, watched",
  ),
  configmap_dir: setting(
    "KUBERNETES_CONFIGMAP_DIR",
    f.nullable(f.directory),
    null,
    "Where the same ConfigMap is mounted: used while the API server may not or cannot be asked",
  ),
  secrets_dir: setting(
    "KUBERNETES_SECRETS_DIR",
    f.nullable(f.directory),
    null,
    "Directory whose files the ConfigMap's channels may name by `*_file`",
  ),
  namespace: setting(
    "KUBERNETES_NAMESPACE",
    f.nullable(objectName),
    null,
    "Namespace of the ConfigMap; the Pod's own",
  ),
  events: setting("KUBERNETES_EVENTS", f.flag, true, "Tell alerts as Events of the Node"),
  node_condition: setting(
    "KUBERNETES_NODE_CONDITION",
    f.flag,
    false,
    "Keep the condition `TargetVPCAlertsFiring` of the Node; needs the right to patch nodes/status",
  ),
  pod_namespace: setting(
    "POD_NAMESPACE",
    f.nullable(objectName),
    null,
    "Namespace of the agent's own Pod",
  ),
  pod_name: setting("POD_NAME", f.nullable(objectName), null, "Name of the agent's own Pod"),
  pod_uid: setting("POD_UID", f.nullable(f.text()), null, "Its UID"),
};
