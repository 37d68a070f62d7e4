{{/* The programs' configuration, as TOML. */}}

{{/* A map as lines `key = value`. Helm reads every number of a values file as a float, so integers are printed as such. */}}
{{- define "holdfast.toml" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ if kindIs "bool" $value }}{{ $value }}{{ else if or (kindIs "string" $value) (kindIs "slice" $value) }}{{ toJson $value }}{{ else }}{{ int64 $value }}{{ end }}
{{- end }}
{{- end -}}

{{/* Where the programs listen: every address of the pod. That of IPv6 takes IPv4 as well, where the node has it. */}}
{{- define "holdfast.anyone" -}}
{{- eq .Values.ipFamily "IPv6" | ternary "[::]" "0.0.0.0" -}}
{{- end -}}

{{- define "holdfast.toml.broker" -}}
{{- $ours := dict
  "data_dir" "/var/lib/holdfast"
  "client_listen" (printf "%s:7070" (include "holdfast.anyone" .))
  "peer_listen" (printf "%s:7071" (include "holdfast.anyone" .))
  "log_format" .Values.logging.format
  "log_level" .Values.logging.level
  "shutdown_timeout_ms" (mul 1000 (sub (int64 .Values.broker.terminationGracePeriodSeconds) 20)) -}}
{{- if .Values.metrics.enabled }}
{{- $_ := set $ours "metrics_listen" (printf "%s:7073" (include "holdfast.anyone" .)) }}
{{- end }}
{{- $_ := set $ours "controllers" (include "holdfast.controllers" . | fromJsonArray) -}}
# What all brokers share. Id and addresses come from the pod, as --set.
{{- include "holdfast.toml" (mergeOverwrite $ours (include "holdfast.memory" . | fromJson) (deepCopy .Values.broker.config)) }}
{{- end -}}

{{- define "holdfast.toml.controller" -}}
{{- $ours := dict
  "data_dir" "/var/lib/holdfast"
  "listen" (printf "%s:7072" (include "holdfast.anyone" .))
  "log_format" .Values.logging.format
  "log_level" .Values.logging.level
  "default_replication_factor" .Values.topicDefaults.replicationFactor
  "default_min_insync_replicas" .Values.topicDefaults.minInsyncReplicas
  "default_partition_count" .Values.topicDefaults.partitions -}}
{{- if .Values.metrics.enabled }}
{{- $_ := set $ours "metrics_listen" (printf "%s:7073" (include "holdfast.anyone" .)) }}
{{- end }}
{{- $_ := set $ours "peers" (include "holdfast.controllers" . | fromJsonArray) -}}
# What all controllers share. The own address comes from the pod, as --set.
{{- include "holdfast.toml" (mergeOverwrite $ours (deepCopy .Values.controller.config)) }}
{{- end -}}
