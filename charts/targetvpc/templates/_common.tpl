{{- define "targetvpc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 46 | trimSuffix "-" -}}
{{- end }}

{{/* 46: "-redis" and the revision hash of its StatefulSet must fit into a label's 63. */}}
{{- define "targetvpc.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The name of what has no namespace of its own. The hash tells a-b of team from b of team-a. */}}
{{- define "targetvpc.clusterName" -}}
{{- $name := include "targetvpc.fullname" . -}}
{{- printf "%s-%s-%s" .Release.Namespace $name (printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 8) -}}
{{- end }}

{{/* {{ include "targetvpc.selector" (list . "agent") }} */}}
{{- define "targetvpc.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "targetvpc.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* {{ include "targetvpc.labels" (list . "agent") }} */}}
{{- define "targetvpc.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "targetvpc.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: targetvpc
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* A free map of texts: --set makes numbers and booleans of some, a file makes floats of whole numbers. */}}
{{- define "targetvpc.texts" -}}
{{- range $key, $value := . -}}
{{- if and (kindIs "float64" $value) (eq (toString $value) (int64 $value | float64 | toString)) }}{{ $value = int64 $value }}{{ end -}}
{{- if not (kindIs "invalid" $value) }}
{{ $key | quote }}: {{ $value | toString | quote }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* {{ include "targetvpc.image" (list .Values.image .Chart.AppVersion) }} */}}
{{- define "targetvpc.image" -}}
{{- $image := index . 0 -}}
{{- if $image.registry }}{{ $image.registry }}/{{ end }}{{ $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end -}}
{{- end }}

{{- define "targetvpc.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "targetvpc.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* What the config file says of a key: {{ include "targetvpc.setting" (list . "server" "port" 8001) }}, as text. */}}
{{- define "targetvpc.setting" -}}
{{- $section := index (index . 0).Values.config (index . 1) | default dict -}}
{{- $value := index $section (index . 2) -}}
{{- if kindIs "invalid" $value }}{{ index . 3 }}{{ else }}{{ $value }}{{ end -}}
{{- end }}

{{/* The ConfigMap that the agents watch: the chart's, unless the config file says another. */}}
{{- define "targetvpc.watched" -}}
{{- include "targetvpc.setting" (list . "kubernetes" "configmap" (include "targetvpc.fullname" .)) -}}
{{- end }}

{{/* "true" where the agent may talk to the API server. */}}
{{- define "targetvpc.usesApi" -}}
{{- if ne (include "targetvpc.setting" (list . "kubernetes" "enabled" "auto")) "false" }}true{{ end -}}
{{- end }}

{{/* "true" where the bundled Redis runs: not for agents that never talk to one. */}}
{{- define "targetvpc.bundlesRedis" -}}
{{- if and .Values.redis.enabled (eq (include "targetvpc.setting" (list . "storage" "backend" "redis")) "redis") }}true{{ end -}}
{{- end }}

{{/* The startup config. */}}
{{- define "targetvpc.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "targetvpc.bundlesRedis" . -}}
{{- $host := printf "%s-redis" (include "targetvpc.fullname" .) -}}
{{- $_ := set $config "redis" (merge (dict "host" $host) ($config.redis | default dict)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/*
The channels in two parts, as JSON: {channels, secrets}. Settings listed in files/channel-secrets.json go into the
Secret; the channel names the file they are mounted as. A name that is no key of a Secret becomes one by a hash.
*/}}
{{- define "targetvpc.channels" -}}
{{- $secretSettings := .Files.Get "files/channel-secrets.json" | fromJson -}}
{{- $names := list -}}
{{- $channels := list -}}
{{- $secrets := dict -}}
{{- range $at, $channel := .Values.channels -}}
{{- $name := $channel.name | default $channel.type -}}
{{- if has $name $names -}}
{{- fail (printf "channels[%d]: the name %q is taken by another channel; give one of them a name" $at $name) -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- $key := regexReplaceAll "[^-._a-zA-Z0-9]" $name "_" -}}
{{- if ne $key $name -}}
{{- $key = printf "%s-%s" $key (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $public := deepCopy $channel -}}
{{- range $setting := index $secretSettings $channel.type -}}
{{- $file := printf "%s_file" $setting -}}
{{- if hasKey $channel $setting -}}
{{- if hasKey $channel $file -}}
{{- fail (printf "channels[%d]: %s stands beside %s; keep one of them" $at $file $setting) -}}
{{- end -}}
{{- $_ := set $secrets (printf "%s.%s" $key $setting) (index $channel $setting) -}}
{{- $public = set (omit $public $setting) $file (printf "/etc/targetvpc/channels/%s.%s" $key $setting) -}}
{{- end -}}
{{- end -}}
{{- $channels = append $channels $public -}}
{{- end -}}
{{- dict "channels" $channels "secrets" $secrets | toJson -}}
{{- end }}

{{- define "targetvpc.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "targetvpc.fullname" .) -}}
{{- end }}

{{/*
"true" where a secret is given by extraEnv, or by a file that the config file names; the agent takes no secret twice:
{{ include "targetvpc.givenElsewhere" (list . "server" "token" "SERVER_TOKEN") }}
*/}}
{{- define "targetvpc.givenElsewhere" -}}
{{- $root := index . 0 -}}
{{- $variables := list (index . 3) (printf "%s_FILE" (index . 3)) -}}
{{- $given := include "targetvpc.setting" (list $root (index . 1) (printf "%s_file" (index . 2)) "") -}}
{{- range $root.Values.extraEnv }}{{ if has .name $variables }}{{ $given = .name }}{{ end }}{{ end -}}
{{- if $given }}true{{ end -}}
{{- end }}

{{/* Keys in that Secret, as JSON, of the secrets that are there. */}}
{{- define "targetvpc.secretKeys" -}}
{{- $secrets := .Values.secrets -}}
{{- $keys := dict -}}
{{- if $secrets.existingSecret -}}
{{- range $name, $key := $secrets.keys -}}
{{- if $key }}{{ $_ := set $keys $name $key }}{{ end -}}
{{- end -}}
{{- else -}}
{{- if not (include "targetvpc.givenElsewhere" (list . "server" "token" "SERVER_TOKEN")) }}{{ $_ := set $keys "serverToken" "server-token" }}{{ end -}}
{{- if $secrets.adminToken }}{{ $_ := set $keys "adminToken" "admin-token" }}{{ end -}}
{{- if or $secrets.redisPassword (include "targetvpc.bundlesRedis" .) }}{{ $_ := set $keys "redisPassword" "redis-password" }}{{ end -}}
{{- end -}}
{{- toJson $keys -}}
{{- end }}

{{/*
A secret's value: {{ include "targetvpc.secretValue" (list . "serverToken" "server-token") }}. As given, else as it is
in the cluster, else a new one, which is remembered so that every template of this render sees the same.
*/}}
{{- define "targetvpc.secretValue" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- if not (index $root.Values.secrets $name) -}}
{{- $found := (lookup "v1" "Secret" $root.Release.Namespace (include "targetvpc.fullname" $root)).data | default dict -}}
{{- $value := index $found (index . 2) | default "" | b64dec | default (randAlphaNum 32) -}}
{{- $_ := set $root.Values.secrets $name $value -}}
{{- end -}}
{{- index $root.Values.secrets $name -}}
{{- end }}

{{/* What Pod Security "restricted" asks of a container. */}}
{{- define "targetvpc.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Changes when Redis must start anew; short, so that it says little about the password. */}}
{{- define "targetvpc.redisChecksum" -}}
{{- $secrets := .Values.secrets -}}
{{- $password := "" -}}
{{- if $secrets.existingSecret -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace $secrets.existingSecret).data | default dict -}}
{{- $password = index $found $secrets.keys.redisPassword | default "" | b64dec -}}
{{- else -}}
{{- $password = include "targetvpc.secretValue" (list . "redisPassword" "redis-password") -}}
{{- end -}}
{{- printf "%s %s" (toString .Values.redis.maxmemory) $password | sha256sum | trunc 8 | quote -}}
{{- end }}
