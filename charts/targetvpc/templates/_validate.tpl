{{/* Values that fit the schema one by one and not together, or that would show a secret. */}}
{{- define "targetvpc.validate" -}}
{{- include "targetvpc.validateSecrets" . -}}
{{- include "targetvpc.validateRedis" . -}}
{{- include "targetvpc.validateBundledRedis" . -}}
{{- include "targetvpc.validateServer" . -}}
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
