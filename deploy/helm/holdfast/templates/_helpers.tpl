{{/* Names, labels and addresses. Whatever a user can choose is quoted: `123`, `true` and `-` are texts here. */}}

{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/* At most 40 characters: names of pods and the labels that Kubernetes makes of them end at 63. What is longer is cut, with
     a hash of the whole behind it, so that two releases never get the names of one. A release that was installed when
     there was no hash keeps its names, for they lead to its volumes. */}}
{{- define "holdfast.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $whole := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $whole = .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- $whole = .Release.Name -}}
{{- end -}}
{{- if le (len $whole) 40 -}}
{{- $whole -}}
{{- else -}}
{{- $plain := $whole | trunc 40 | trimSuffix "-" -}}
{{- $set := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-broker" $plain) -}}
{{- if and $set (eq (dig "metadata" "labels" "app.kubernetes.io/instance" "" $set) .Release.Name) -}}
{{- $plain -}}
{{- else -}}
{{- printf "%s-%s" ($whole | trunc 33 | trimSuffix "-") (sha256sum $whole | trunc 6) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "holdfast.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* What never changes in the life of a release. With a role: (dict "root" $ "role" "broker"). */}}
{{- define "holdfast.selector" -}}
app.kubernetes.io/name: {{ include "holdfast.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .role }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
{{- end -}}

{{/* The metadata of an object of a role, its name being the release's and this suffix: (dict ... "suffix" "-broker"). */}}
{{- define "holdfast.metadata" -}}
name: {{ printf "%s%s" (include "holdfast.fullname" .root) .suffix | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "holdfast.labels" . | nindent 2 }}
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

{{/* Variables as Kubernetes takes them: every value is a text. Called with a list of maps. */}}
{{- define "holdfast.env" -}}
{{- range $entry := . }}
{{- $entry = deepCopy $entry }}
{{- if hasKey $entry "value" }}
{{- $_ := set $entry "value" (kindIs "string" $entry.value | ternary $entry.value (toJson $entry.value)) }}
{{- end }}
- {{ toJson $entry }}
{{- end }}
{{- end -}}
