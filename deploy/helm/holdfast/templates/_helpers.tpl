{{/* Names, labels and addresses. */}}

{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: names of pods and the labels that Kubernetes makes of them end at 63. */}}
{{- define "holdfast.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* What never changes in the life of a release. With a role: (dict "root" $ "role" "broker"). */}}
{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ include "holdfast.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | trunc 63 | quote }}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* DNS domain of the pods of a role. */}}
{{- define "holdfast.domain" -}}
{{- printf "%s-%s.%s.svc.%s" (include "holdfast.fullname" .root) .role .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}

{{/* Addresses of all controllers, as JSON, which is TOML as well. The same list in every file. */}}
{{- define "holdfast.controllers" -}}
{{- $name := include "holdfast.fullname" . -}}
{{- $domain := include "holdfast.domain" (dict "root" . "role" "controller") -}}
{{- $all := list -}}
{{- range $i := until (int .Values.controller.replicas) -}}
{{- $all = append $all (printf "%s-controller-%d.%s:7072" $name $i $domain) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{- define "holdfast.bootstrap" -}}
{{- printf "%s.%s.svc.%s:%d" (include "holdfast.fullname" .) .Release.Namespace .Values.clusterDomain (int .Values.service.port) -}}
{{- end -}}
