{{/* What the pods of both roles have in common. Called with (dict "root" $ "role" "broker" "values" .Values.broker "port" 7071). */}}

{{- define "holdfast.pod.head" -}}
serviceAccountName: {{ default "default" .root.Values.serviceAccountName | quote }}
automountServiceAccountToken: false
# Hundreds of services of a namespace as variables help nobody.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int .values.terminationGracePeriodSeconds }}
securityContext:
  {{- include "holdfast.pod.security" .values | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.affinity }}
affinity:
  {{- toYaml .values.affinity | nindent 2 }}
{{- else if eq .values.antiAffinity "hard" }}
affinity:
  podAntiAffinity:
    # Two on one node would be lost together.
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "holdfast.selector" . | nindent 12 }}
{{- else if eq .values.antiAffinity "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "holdfast.selector" . | nindent 14 }}
{{- end }}
{{- if .values.zoneSpread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "holdfast.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{- define "holdfast.pod.security" -}}
{{- $ours := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- toYaml (mergeOverwrite $ours (deepCopy .podSecurityContext)) }}
{{- end -}}

{{- define "holdfast.pod.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Each probe asks another question of the same gRPC health service. */}}
{{- define "holdfast.pod.probes" -}}
# Formatted, logs recovered. Recovery reads what a crash left, which takes long on large disks, and to kill it would
# start it from its beginning: twelve hours. The log tells its progress.
startupProbe:
  grpc: {port: {{ .port }}, service: started}
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 43200
# The event loop turns and the disk takes writes. Never fails because of peers, a lost quorum or catching up.
livenessProbe:
  grpc: {port: {{ .port }}, service: live}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
# Another pod may stop without harm. Rolls and disruption budgets wait for it; traffic does not depend on it, for all
# Services publish addresses that are not ready.
readinessProbe:
  grpc: {port: {{ .port }}, service: safe-to-stop-next}
  periodSeconds: 2
  timeoutSeconds: 3
  # A new active controller is not known for a moment: no reason to be taken for unready.
  failureThreshold: 2
{{- end -}}

{{/* The claim's labels can never change, so no version is among them. */}}
{{- define "holdfast.pod.claim" -}}
- metadata:
    name: data
    labels:
      {{- include "holdfast.selector" . | nindent 6 }}
    {{- with .values.storage.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .values.storage.className }}
    storageClassName: {{ eq . "-" | ternary "" . | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ .values.storage.size | quote }}
{{- end -}}
