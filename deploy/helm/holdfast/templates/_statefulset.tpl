{{/* The StatefulSet of a role. Called as in _pod.tpl, with "program", "toml", "config" (the file to check), "args", "env" and "ports" more. */}}
{{- define "holdfast.statefulset" -}}
{{- $name := printf "%s-%s" (include "holdfast.fullname" .root) .role -}}
{{- /* HOLDFAST_BOOTSTRAP is for `kubectl exec POD -- holdfast ...`. */}}
{{- $env := list
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "HOLDFAST_ORDINAL" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.labels['apps.kubernetes.io/pod-index']")))
  (dict "name" "HOLDFAST_BOOTSTRAP" "value" (include "holdfast.bootstrap" .root)) -}}
{{- $env = concat $env .env .values.extraEnv -}}
{{- $args := concat .args .values.extraArgs -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "holdfast.metadata" (merge (dict "suffix" (printf "-%s" .role)) .) | nindent 2 }}
spec:
  serviceName: {{ $name | quote }}
  replicas: {{ int .values.replicas }}
  # All at once: after a loss of all pods each waits for others to be in sync, and none would come first. It also lets
  # a roll that is stuck be repaired by the next one.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  minReadySeconds: {{ int .root.Values.minReadySeconds }}
  # Kubernetes never deletes a volume with records on it; that is done by hand.
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Retain
    whenScaled: Retain
  selector:
    matchLabels:
      {{- include "holdfast.selector" . | nindent 6 }}
  template:
    metadata:
      # No version of the chart here: a new chart alone must not roll the pods.
      labels:
        {{- include "holdfast.selector" . | nindent 8 }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # A changed setting rolls the pods.
        checksum/config: {{ sha256sum .toml }}
        kubectl.kubernetes.io/default-container: {{ .role }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "holdfast.pod.head" . | nindent 6 }}
      initContainers:
        # A wrong setting ends here, with every problem named, before a volume is touched. What was checked is kept for
        # the life of the pod: a process that starts again after a crash, while a roll to settings that are wrong is
        # stuck, runs with those that it ran with.
        - name: check-config
          image: {{ include "holdfast.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [/usr/bin/{{ .program }}]
          args:
            {{- toYaml (concat (list "--config" .config) $args (list "--check-config" "--keep-checked" (printf "/run/checked/%s.toml" .role))) | nindent 12 }}
          env:
            {{- include "holdfast.env" $env | trim | nindent 12 }}
          securityContext:
            {{- include "holdfast.pod.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - {name: config, mountPath: /etc/holdfast, readOnly: true}
            - {name: checked, mountPath: /run/checked}
            {{- with .values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "holdfast.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [/usr/bin/{{ .program }}]
          args:
            {{- toYaml (concat (list "--config" (printf "/etc/holdfast/%s.toml" .role)) $args) | nindent 12 }}
          env:
            {{- include "holdfast.env" $env | trim | nindent 12 }}
          ports:
            {{- range $port, $number := .ports }}
            - {name: {{ $port }}, containerPort: {{ $number }}}
            {{- end }}
            {{- if .root.Values.metrics.enabled }}
            - {name: metrics, containerPort: 7073}
            {{- end }}
          {{- include "holdfast.pod.probes" . | nindent 10 }}
          securityContext:
            {{- include "holdfast.pod.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - {name: checked, mountPath: /etc/holdfast, readOnly: true}
            - {name: data, mountPath: /var/lib/holdfast}
            {{- with .values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: config
          configMap:
            name: {{ $name | quote }}
        - name: checked
          emptyDir: {sizeLimit: 8Mi}
        {{- with .values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumeClaimTemplates:
    {{- include "holdfast.pod.claim" . | nindent 4 }}
{{- end -}}

{{/* One pod may be evicted, and only while all others are safe. A pod that is not ready may be evicted only where the
     budget is met without it (IfHealthyBudget, the default), and never beside another: a broker that catches up may hold
     records that the others lack. */}}
{{- define "holdfast.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "holdfast.metadata" (merge (dict "suffix" (printf "-%s" .role)) .) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "holdfast.selector" . | nindent 6 }}
{{- end -}}

{{/* A name for each pod. Nodes find each other before they are ready, and because they find each other they become so. */}}
{{- define "holdfast.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "holdfast.metadata" (merge (dict "suffix" (printf "-%s" .role)) .) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "holdfast.selector" . | nindent 4 }}
  ports:
    {{- range $port, $number := .ports }}
    - {name: {{ $port }}, port: {{ $number }}, targetPort: {{ $port }}, appProtocol: kubernetes.io/h2c}
    {{- end }}
{{- end -}}
