{{/* Values that fit the schema one by one and not together, or that would show a secret. */}}
{{- define "targetvpc.validate" -}}
{{- include "targetvpc.validateSecrets" . -}}
{{- include "targetvpc.validateRedis" . -}}
{{- include "targetvpc.validateBundledRedis" . -}}
{{- include "targetvpc.validateServer" . -}}
{{- include "targetvpc.validateNames" . -}}
{{- if include "targetvpc.bundlesRedis" . -}}
{{- include "targetvpc.validateClaim" (list . (lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-redis" (include "targetvpc.fullname" .)))) -}}
{{- end -}}
{{- range $label, $_ := include "targetvpc.selector" (list . "agent") | fromYaml -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- fail (printf "podLabels must leave %s alone: the DaemonSet finds its pods by it" $label) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "targetvpc.validateSecrets" -}}
{{- $instead := dict "redis.password" "secrets.redisPassword" "admin.token" "secrets.adminToken" "server.token" "secrets.serverToken" "redis.sentinel_password" "config.redis.sentinel_password_file, or REDIS_SENTINEL_PASSWORD from a Secret in extraEnv" "redis.url" "config.redis.url_file, or REDIS_URL from a Secret in extraEnv" -}}
{{- range $key, $place := $instead -}}
{{- $steps := splitList "." $key -}}
{{- if include "targetvpc.setting" (list $ (index $steps 0) (index $steps 1) "") -}}
{{- fail (printf "config.%s would be readable in a ConfigMap; use %s" $key $place) -}}
{{- end -}}
{{- end -}}
{{- $secretSettings := .Files.Get "files/channel-secrets.json" | fromJson -}}
{{- range $at, $channel := (.Values.config.alerts | default dict).channels -}}
{{- range $setting := index $secretSettings $channel.type -}}
{{- if hasKey $channel $setting -}}
{{- fail (printf "config.alerts.channels[%d].%s would be readable in a ConfigMap; use channels" $at $setting) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $secrets := .Values.secrets -}}
{{- $keys := include "targetvpc.secretKeys" . | fromJson -}}
{{- range $name := list "redisPassword" "adminToken" "serverToken" -}}
{{- if and $secrets.existingSecret (index $secrets $name) -}}
{{- fail (printf "secrets.%s stands beside secrets.existingSecret; keep one of them" $name) -}}
{{- else if and (not $secrets.existingSecret) (index $secrets.keys $name) -}}
{{- fail (printf "secrets.keys.%s names a key of secrets.existingSecret, which is not set" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $secrets.existingSecret (not $keys) -}}
{{- fail "secrets.existingSecret is set: name its keys in secrets.keys" -}}
{{- end -}}
{{- if and (include "targetvpc.bundlesRedis" .) (not $keys.redisPassword) -}}
{{- fail "the bundled Redis needs a password: name its key in secrets.keys.redisPassword" -}}
{{- end -}}
{{- end }}

{{- define "targetvpc.validateRedis" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- $places := list -}}
{{- range $key := list "host" "url_file" "sentinels" "cluster_nodes" -}}
{{- if index $redis $key }}{{ $places = append $places (printf "config.redis.%s" $key) }}{{ end -}}
{{- end -}}
{{- range $env := .Values.extraEnv -}}
{{- if has $env.name (list "REDIS_HOST" "REDIS_URL" "REDIS_URL_FILE" "REDIS_SENTINELS" "REDIS_CLUSTER_NODES") -}}
{{- $places = append $places (printf "extraEnv %s" $env.name) -}}
{{- end -}}
{{- end -}}
{{- if and (include "targetvpc.bundlesRedis" .) $places -}}
{{- fail (printf "%s says where your Redis is: set redis.enabled to false" (join " and " $places)) -}}
{{- end -}}
{{- $without := ne (include "targetvpc.setting" (list . "storage" "backend" "redis")) "redis" -}}
{{- if not (or .Values.redis.enabled $without $places) -}}
{{- fail "redis.enabled is false: say where Redis is in config.redis.host (or set config.storage.backend to file or memory)" -}}
{{- end -}}
{{- end }}

{{/* The bundled Redis speaks no TLS, knows no user of another name, and listens where its Service says. */}}
{{- define "targetvpc.validateBundledRedis" -}}
{{- $redis := .Values.config.redis | default dict -}}
{{- $wrong := list -}}
{{- if $redis.port }}{{ if ne (int $redis.port) 6379 }}{{ $wrong = append $wrong "config.redis.port" }}{{ end }}{{ end -}}
{{- if $redis.username }}{{ $wrong = append $wrong "config.redis.username" }}{{ end -}}
{{- $tls := $redis.tls | default dict -}}
{{- if kindIs "map" $tls }}{{ $tls = and $tls (ne (toString $tls.enabled) "false") }}{{ end -}}
{{- if $tls }}{{ $wrong = append $wrong "config.redis.tls" }}{{ end -}}
{{- range .Values.extraEnv -}}
{{- if has .name (list "REDIS_PORT" "REDIS_USERNAME" "REDIS_TLS") }}{{ $wrong = append $wrong (printf "extraEnv %s" .name) }}{{ end -}}
{{- end -}}
{{- if and (include "targetvpc.bundlesRedis" .) $wrong -}}
{{- fail (printf "%s is not that of the bundled Redis: leave it, or set redis.enabled to false and say where yours is" (first $wrong)) -}}
{{- end -}}
{{- end }}

{{/* What probes, Services and roles are made after must be known here. */}}
{{- define "targetvpc.validateServer" -}}
{{- if eq (include "targetvpc.setting" (list . "server" "port" 8001)) "0" -}}
{{- fail "config.server.port is 0: probes and Services need one that is known" -}}
{{- end -}}
{{- $host := include "targetvpc.setting" (list . "server" "host" "") -}}
{{- if or (hasPrefix "127." $host) (has $host (list "localhost" "::1")) -}}
{{- fail (printf "config.server.host is %s: probes, Services and Prometheus would reach nobody; leave it" $host) -}}
{{- end -}}
{{- $instead := dict "SERVER_PORT" "server.port" "KUBERNETES_CONFIGMAP" "kubernetes.configmap" "KUBERNETES_NODE_CONDITION" "kubernetes.node_condition" -}}
{{- range .Values.extraEnv -}}
{{- with index $instead .name -}}
{{- fail (printf "extraEnv names what the chart's own objects follow: set config.%s instead" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Names that must be known here, or that the API server would refuse. */}}
{{- define "targetvpc.validateNames" -}}
{{- $name := include "targetvpc.fullname" . -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- fail (printf "the name %s begins with no letter, as those of Services must: set fullnameOverride" $name) -}}
{{- end -}}
{{- if and (include "targetvpc.usesApi" .) (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false: name yours in serviceAccount.name, or every pod of the namespace would have the agents' rights" -}}
{{- end -}}
{{- $place := printf "roles, mounts and policy are for the watched ConfigMap in %s, the release's namespace: leave it" .Release.Namespace -}}
{{- $namespace := include "targetvpc.setting" (list . "kubernetes" "namespace" .Release.Namespace) -}}
{{- if ne $namespace .Release.Namespace -}}
{{- fail (printf "config.kubernetes.namespace is %s, but %s" $namespace $place) -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "KUBERNETES_NAMESPACE" -}}
{{- fail (printf "extraEnv names KUBERNETES_NAMESPACE, but %s" $place) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A quantity in bytes, so that 2Gi is 2048Mi; nothing where it is written in a way not known here. */}}
{{- define "targetvpc.bytes" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "([KMGTP]i|[kMGTP])$" $text -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- $bytes := mulf (trimSuffix $unit $text | float64) (index $units $unit) -}}
{{- if $bytes }}{{ printf "%.0f" $bytes }}{{ end -}}
{{- end }}

{{/* Volumes of a StatefulSet never change: {{ include "targetvpc.validateClaim" (list . $found) }}, as it is in the cluster. */}}
{{- define "targetvpc.validateClaim" -}}
{{- $root := index . 0 -}}
{{- $found := index . 1 -}}
{{- $wanted := $root.Values.redis.persistence -}}
{{- if $found -}}
{{- $claims := ($found.spec).volumeClaimTemplates | default list -}}
{{- $differs := ne (gt (len $claims) 0) $wanted.enabled -}}
{{- if and $claims (not $differs) -}}
{{- $spec := (first $claims).spec -}}
{{- $is := include "targetvpc.bytes" $spec.resources.requests.storage -}}
{{- $should := include "targetvpc.bytes" $wanted.size -}}
{{- $differs = or (ne ($spec.storageClassName | default "") $wanted.storageClass) (and $is $should (ne $is $should)) -}}
{{- end -}}
{{- if $differs -}}
{{- $name := printf "%s-redis" (include "targetvpc.fullname" $root) -}}
{{- fail (printf "redis.persistence differs from that of the StatefulSet %s, whose volumes cannot change; delete it and upgrade again: kubectl -n %s delete statefulset %s" $name $root.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
