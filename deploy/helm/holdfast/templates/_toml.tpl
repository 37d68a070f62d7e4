{{/* The programs' configuration, as TOML. */}}

{{/* A map as lines `key = value`. Helm reads every number of a values file as a float, so integers are printed as such. */}}
{{- define "holdfast.toml" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ if kindIs "bool" $value }}{{ $value }}{{ else if or (kindIs "string" $value) (kindIs "slice" $value) }}{{ toJson $value }}{{ else }}{{ int64 $value }}{{ end }}
{{- end }}
{{- end -}}

{{- define "holdfast.toml.broker" -}}
{{- $ours := dict
  "data_dir" "/var/lib/holdfast"
  "client_listen" "0.0.0.0:7070"
  "peer_listen" "0.0.0.0:7071"
  "log_format" .Values.logging.format
  "log_level" .Values.logging.level
  "shutdown_timeout_ms" (mul 1000 (sub (int64 .Values.broker.terminationGracePeriodSeconds) 20)) -}}
{{- $_ := set $ours "controllers" (include "holdfast.controllers" . | fromJsonArray) -}}
# What all brokers share. Id and addresses come from the pod, as --set.
{{- include "holdfast.toml" (mergeOverwrite $ours (deepCopy .Values.broker.config)) }}
{{- end -}}

{{- define "holdfast.toml.controller" -}}
{{- $ours := dict
  "data_dir" "/var/lib/holdfast"
  "listen" "0.0.0.0:7072"
  "log_format" .Values.logging.format
  "log_level" .Values.logging.level
  "default_replication_factor" .Values.topicDefaults.replicationFactor
  "default_min_insync_replicas" .Values.topicDefaults.minInsyncReplicas
  "default_partition_count" .Values.topicDefaults.partitions -}}
{{- $_ := set $ours "peers" (include "holdfast.controllers" . | fromJsonArray) -}}
# What all controllers share. The own address comes from the pod, as --set.
{{- include "holdfast.toml" (mergeOverwrite $ours (deepCopy .Values.controller.config)) }}
{{- end -}}
