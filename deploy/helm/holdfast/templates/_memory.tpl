{{/* What bounds a broker's memory, so that it fits the limit of its pod. */}}

{{/* A quantity of Kubernetes, as 1.5Gi, in whole bytes; 0 for none. */}}
{{- define "holdfast.bytes" -}}
{{- $text := kindIs "string" . | ternary . (toJson .) -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if hasKey $factors $unit -}}
{{- mulf (trimSuffix $unit $text | float64) (get $factors $unit) | int64 -}}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* Options of a broker by the limit of its memory, as JSON; none without a limit. Up to 1 GiB each bound is a share of the
     limit, 19/32 of it together, and never below the least that the program takes; above 1 GiB they are the program's
     own. The rest is for the program itself and for what waits in the windows of connections whose streams are not read:
     for 64 of them at once, with a 512th of the limit each, 16 MiB at the most. Producers that are remembered take up to a
     thirtieth of it, 600 bytes each. */}}
{{- define "holdfast.memory" -}}
{{- $mib := 1048576 -}}
{{- $limit := include "holdfast.bytes" (dig "limits" "memory" "" .Values.broker.resources) | int64 -}}
{{- $options := dict -}}
{{- if gt $limit 0 -}}
{{- range $key, $bound := include "holdfast.memory.bounds" . | fromJson -}}
{{- $share := div (mul (min $limit (mul 1024 $mib)) (int64 $bound.mebibytes)) 1024 -}}
{{- $_ := set $options $key (max $share (mul (int64 $bound.least) $mib)) -}}
{{- end -}}
{{- $_ := set $options "producers_max" (min 200000 (div $limit 20480) | max 1000) -}}
{{- $window := min (div $limit 512) (mul 16 $mib) | max 131072 -}}
{{- $options = merge $options (dict "http2_connection_window_bytes" $window "http2_stream_window_bytes" (min $window (mul 8 $mib))) -}}
{{- end -}}
{{- toJson $options -}}
{{- end -}}

{{/* What may be needed with these options, bytes: the bounds, requests that read, a quarter as much as their answers, the
     windows of 64 connections, the producers that are remembered, and 32 MiB for the program itself. */}}
{{- define "holdfast.memory.needed" -}}
{{- $options := . -}}
{{- $sum := mul 32 1048576 -}}
{{- range $key, $_ := include "holdfast.memory.bounds" . | fromJson -}}
{{- $sum = add $sum (get $options $key | int64) -}}
{{- end -}}
{{- range $key := list "fetch_memory_bytes" "metadata_memory_bytes" -}}
{{- $sum = add $sum (div (get $options $key | int64) 4) -}}
{{- end -}}
{{- add $sum (mul 64 (get $options "http2_connection_window_bytes" | int64)) (mul 600 (get $options "producers_max" | int64)) -}}
{{- end -}}

{{/* The program's bounds of memory, as JSON: the default and the least of each, MiB. A test compares them with the program. */}}
{{- define "holdfast.memory.bounds" -}}
{{- toJson (dict
  "max_in_flight_bytes" (dict "mebibytes" 256 "least" 56)
  "log_writer_queue_bytes" (dict "mebibytes" 128 "least" 32)
  "log_writer_fetched_bytes" (dict "mebibytes" 64 "least" 16)
  "fetch_memory_bytes" (dict "mebibytes" 64 "least" 32)
  "replica_fetch_memory_bytes" (dict "mebibytes" 32 "least" 32)
  "metadata_memory_bytes" (dict "mebibytes" 32 "least" 8)
  "tail_cache_bytes" (dict "mebibytes" 32 "least" 1)) -}}
{{- end -}}
