{{/* Combinations that the schema cannot see. Every problem is named, not the first alone. */}}
{{- define "holdfast.validate" -}}
{{- $wrong := list -}}
{{- $factor := int .Values.topicDefaults.replicationFactor -}}
{{- $least := int .Values.topicDefaults.minInsyncReplicas -}}
{{- $brokers := int .Values.broker.replicas -}}
{{- if and (eq (int .Values.controller.replicas) 1) (not .Values.controller.allowSingle) -}}
{{- $wrong = append $wrong "controller.replicas is 1: while that one is away no leader is elected, and with its volume the cluster is lost. Take 3 or 5, or set controller.allowSingle=true for a trial." -}}
{{- end -}}
{{- /* Nothing is found where no cluster is asked, as by `helm template`. */}}
{{- $set := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-controller" (include "holdfast.fullname" .)) -}}
{{- $running := dig "spec" "replicas" 0 (default dict $set) | int -}}
{{- if gt $running (int .Values.controller.replicas) -}}
{{- $wrong = append $wrong (printf "controller.replicas is %d, and %d controllers run: those that end would still have their votes, and the rest might be no majority. Take them out one after another first, the last one first: `kubectl scale` the StatefulSet down by one, then `holdfast quorum remove`; see Scale in deploy/README.md." (int .Values.controller.replicas) $running) -}}
{{- end -}}
{{- if gt $factor $brokers -}}
{{- $wrong = append $wrong (printf "topicDefaults.replicationFactor (%d) is more than broker.replicas (%d): no topic could be created. Lower it, or run more brokers." $factor $brokers) -}}
{{- end -}}
{{- if gt $least $factor -}}
{{- $wrong = append $wrong (printf "topicDefaults.minInsyncReplicas (%d) is more than topicDefaults.replicationFactor (%d): no record could be acknowledged." $least $factor) -}}
{{- end -}}
{{- if and (eq $least $factor) (not .Values.topicDefaults.allowNoSpareReplica) -}}
{{- $wrong = append $wrong (printf "topicDefaults.minInsyncReplicas equals topicDefaults.replicationFactor (%d): one broker that is away, as in every roll, stops writes. Lower it, or set topicDefaults.allowNoSpareReplica=true." $factor) -}}
{{- end -}}
{{- range $key := list "broker_id" "data_dir" "controllers" "client_advertised_address" "peer_advertised_address" "metrics_listen" "rack" "log_format" "log_level" -}}
{{- if hasKey $.Values.broker.config $key -}}
{{- $wrong = append $wrong (printf "broker.config.%s is set by the chart: see broker.rack, broker.external, metrics and logging." $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "data_dir" "peers" "advertised_address" "metrics_listen" "log_format" "log_level" "default_replication_factor" "default_min_insync_replicas" "default_partition_count" -}}
{{- if hasKey $.Values.controller.config $key -}}
{{- $wrong = append $wrong (printf "controller.config.%s is set by the chart: see topicDefaults, metrics and logging." $key) -}}
{{- end -}}
{{- end -}}
{{- with .Values.broker.config.shutdown_timeout_ms -}}
{{- if gt (int64 .) (mul 1000 (sub (int64 $.Values.broker.terminationGracePeriodSeconds) 10)) -}}
{{- $wrong = append $wrong (printf "broker.config.shutdown_timeout_ms (%d) leaves less than 10 seconds of broker.terminationGracePeriodSeconds (%d): Kubernetes would kill a broker that is still handing over." (int64 .) (int64 $.Values.broker.terminationGracePeriodSeconds)) -}}
{{- end -}}
{{- end -}}
{{- $name := include "holdfast.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $wrong = append $wrong (printf "the objects would be named %s-..., and a Service's name begins with a letter and has none but a-z, 0-9 and -. Name the release otherwise, or set fullnameOverride." $name) -}}
{{- end -}}
{{- range $role := list "broker" "controller" -}}
{{- $values := get $.Values $role -}}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" -}}
{{- if hasKey $values.podLabels $key -}}
{{- $wrong = append $wrong (printf "%s.podLabels.%s is set by the chart: Services, budgets and the StatefulSet find the pods by it. See nameOverride." $role $key) -}}
{{- end -}}
{{- end -}}
{{- range $key := list "checksum/config" "kubectl.kubernetes.io/default-container" -}}
{{- if hasKey $values.podAnnotations $key -}}
{{- $wrong = append $wrong (printf "%s.podAnnotations.%s is set by the chart: a changed setting rolls the pods by it." $role $key) -}}
{{- end -}}
{{- end -}}
{{- range $values.extraEnv -}}
{{- if has .name (list "POD_NAME" "HOLDFAST_ORDINAL" "HOLDFAST_BOOTSTRAP" "HOLDFAST_ZONE") -}}
{{- $wrong = append $wrong (printf "%s.extraEnv names %s, which is set by the chart." $role .name) -}}
{{- end -}}
{{- end -}}
{{- range $values.extraVolumes -}}
{{- if has .name (list "config" "checked" "data") -}}
{{- $wrong = append $wrong (printf "%s.extraVolumes names %s, which is a volume of the chart's." $role .name) -}}
{{- end -}}
{{- end -}}
{{- range $values.extraVolumeMounts -}}
{{- if has (trimSuffix "/" .mountPath) (list "/etc/holdfast" "/run/checked" "/var/lib/holdfast") -}}
{{- $wrong = append $wrong (printf "%s.extraVolumeMounts names %s, where a volume of the chart's is." $role .mountPath) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $limit := include "holdfast.bytes" (dig "limits" "memory" "" .Values.broker.resources) | int64 -}}
{{- if gt $limit 0 -}}
{{- $bounds := mergeOverwrite (include "holdfast.memory" . | fromJson) (deepCopy .Values.broker.config) -}}
{{- $needed := include "holdfast.memory.needed" $bounds | int64 -}}
{{- if gt $needed $limit -}}
{{- $wrong = append $wrong (printf "a broker may need %d MiB with what bounds its memory (%s), the windows of its connections and itself: more than broker.resources.limits.memory (%d MiB). With a slow disk it would be killed. Raise the limit, or lower the bounds in broker.config; the least that the program takes needs 320Mi." (div $needed 1048576) (include "holdfast.memory.bounds" . | fromJson | keys | sortAlpha | join ", ") (div $limit 1048576)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.broker.external.enabled -}}
{{- $told := len .Values.broker.external.brokers -}}
{{- if lt $told $brokers -}}
{{- $wrong = append $wrong (printf "broker.external.brokers has %d entries for %d brokers: each broker needs the address that clients reach it under." $told $brokers) -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .Values.broker.external.brokers -}}
{{- if gt (regexFind "[0-9]+$" .address | int) 65535 -}}
{{- $wrong = append $wrong (printf "broker.external.brokers names %s: a port is at most 65535." .address) -}}
{{- end -}}
{{- if hasKey $seen .address -}}
{{- $wrong = append $wrong (printf "broker.external.brokers names %s twice: clients could not tell the brokers apart." .address) -}}
{{- end -}}
{{- $_ := set $seen .address true -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%d problem(s) in the values:\n- %s\n" (len $wrong) (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}
