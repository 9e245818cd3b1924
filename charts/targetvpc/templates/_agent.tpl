{{/*
The agent's variables. A variable wins over the config file, so the chart's own stand back where `config` has the key,
and where `extraEnv` has the variable.
*/}}
{{- define "targetvpc.env" -}}
{{- $given := list -}}
{{- range .Values.extraEnv }}{{ $given = append $given .name }}{{ end -}}
{{- range list
  (list "node" "name" "NODE_NAME" "spec.nodeName")
  (list "node" "ip" "NODE_IP" "status.hostIP")
  (list "kubernetes" "pod_name" "POD_NAME" "metadata.name")
  (list "kubernetes" "pod_namespace" "POD_NAMESPACE" "metadata.namespace")
  (list "kubernetes" "pod_uid" "POD_UID" "metadata.uid") }}
{{- if not (or (has (index . 2) $given) (include "targetvpc.setting" (list $ (index . 0) (index . 1) ""))) }}
- name: {{ index . 2 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 3 }}
{{- end }}
{{- end }}
{{- if not (has "TARGETVPC_CONFIG" $given) }}
- name: TARGETVPC_CONFIG
  value: /etc/targetvpc/config/config.yaml
{{- end }}
{{- range list
  (list "host" "proc" "HOST_PROC" "/host/proc")
  (list "host" "sys" "HOST_SYS" "/host/sys")
  (list "host" "root" "HOST_ROOT" "/host/root")
  (list "storage" "dir" "STORAGE_DIR" "/var/lib/targetvpc")
  (list "kubernetes" "configmap" "KUBERNETES_CONFIGMAP" (include "targetvpc.fullname" .))
  (list "kubernetes" "configmap_dir" "KUBERNETES_CONFIGMAP_DIR" "/etc/targetvpc/policy")
  (list "kubernetes" "secrets_dir" "KUBERNETES_SECRETS_DIR" "/etc/targetvpc/channels") }}
{{- if not (or (has (index . 2) $given) (include "targetvpc.setting" (list $ (index . 0) (index . 1) ""))) }}
- name: {{ index . 2 }}
  value: {{ index . 3 | quote }}
{{- end }}
{{- end }}
{{- /* Of this pod, as its probes have it: the config file changes before the pods are rolled. */}}
- name: SERVER_PORT
  value: {{ include "targetvpc.setting" (list . "server" "port" 8001) | quote }}
{{- $keys := include "targetvpc.secretKeys" . | fromJson }}
{{- range list
  (list "redis" "password" "REDIS_PASSWORD" "redisPassword")
  (list "admin" "token" "ADMIN_TOKEN" "adminToken")
  (list "server" "token" "SERVER_TOKEN" "serverToken") }}
{{- if and (index $keys (index . 3)) (not (include "targetvpc.givenElsewhere" (list $ (index . 0) (index . 1) (index . 2)))) }}
- name: {{ index . 2 }}_FILE
  value: /etc/targetvpc/secrets/{{ kebabcase (index . 3) }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "targetvpc.volumeMounts" -}}
- name: proc
  mountPath: /host/proc
  readOnly: true
- name: sys
  mountPath: /host/sys
  readOnly: true
# Filesystems that the host mounts later appear too.
- name: root
  mountPath: /host/root
  readOnly: true
  mountPropagation: HostToContainer
- name: config
  mountPath: /etc/targetvpc/config
  readOnly: true
- name: policy
  mountPath: /etc/targetvpc/policy
  readOnly: true
- name: channels
  mountPath: /etc/targetvpc/channels
  readOnly: true
{{- if include "targetvpc.secretKeys" . | fromJson }}
- name: secrets
  mountPath: /etc/targetvpc/secrets
  readOnly: true
{{- end }}
- name: state
  mountPath: /var/lib/targetvpc
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* 288 is 0440: root owns what is mounted, fsGroup makes the agent's group read it. */}}
{{- define "targetvpc.volumes" -}}
- name: proc
  hostPath:
    path: /proc
    type: Directory
- name: sys
  hostPath:
    path: /sys
    type: Directory
- name: root
  hostPath:
    path: /
    type: Directory
- name: config
  configMap:
    name: {{ include "targetvpc.fullname" . }}-config
- name: policy
  configMap:
    name: {{ include "targetvpc.watched" . }}
    optional: true
- name: channels
  projected:
    defaultMode: 288
    sources:
      - secret:
          name: {{ include "targetvpc.fullname" . }}-channels
          optional: true
      {{- with .Values.secrets.existingChannelSecret }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- with include "targetvpc.secretKeys" . | fromJson }}
- name: secrets
  secret:
    secretName: {{ include "targetvpc.secretName" $ }}
    defaultMode: 288
    items:
      {{- range $name, $key := . }}
      - key: {{ $key }}
        path: {{ kebabcase $name }}
      {{- end }}
{{- end }}
- name: state
  emptyDir:
    sizeLimit: {{ .Values.storage.sizeLimit }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
