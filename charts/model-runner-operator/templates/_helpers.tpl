{{/* Name of all objects: the release's, unless that says nothing of the chart. */}}
{{- define "operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of cluster-wide objects: releases of the same name may live in several namespaces. */}}
{{- define "operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "operator.name" .) -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: model-runner-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
{{ include "operator.commonLabels" . }}
{{- end -}}

{{- define "operator.commonLabels" -}}
app.kubernetes.io/part-of: model-runner-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "operator.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "operator.image" -}}
{{- with .Values.image -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- with .digest -}}@{{ . }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "operator.runnerImage" -}}
{{- .Values.runner.image | default (printf "ghcr.io/model-runner-operator/runner:%s" .Chart.AppVersion) -}}
{{- end -}}

{{/* Where pods may run, from the values of one part: (dict "values" … "selector" …). */}}
{{- define "operator.scheduling" -}}
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
affinity:
  {{- with .values.affinity }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- .selector | nindent 14 }}
  {{- end }}
topologySpreadConstraints:
  {{- with .values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- .selector | nindent 8 }}
  {{- end }}
{{- end -}}

{{- define "gateway.name" -}}
{{- printf "%s-gateway" (include "operator.name" .) -}}
{{- end -}}

{{- define "gateway.clusterName" -}}
{{- printf "%s-gateway" (include "operator.clusterName" .) -}}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: model-runner-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
{{ include "operator.commonLabels" . }}
{{- end -}}

{{- define "gateway.serviceAccount" -}}
{{- with .Values.gateway.serviceAccount -}}
{{- .name | default (ternary (include "gateway.name" $) "default" .create) -}}
{{- end -}}
{{- end -}}

{{/* The namespace in which clients manage models. */}}
{{- define "gateway.home" -}}
{{- .Values.gateway.management.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* What the commands of the notes add where a key is asked. */}}
{{- define "gateway.curlKey" -}}
{{- if .Values.gateway.apiKeys.enabled }} --header "Authorization: Bearer $KEY"{{- end -}}
{{- end -}}
