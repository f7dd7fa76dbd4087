{{- define "wardein.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "wardein.selector" -}}
app.kubernetes.io/name: wardein
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "wardein.labels" -}}
{{ include "wardein.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "wardein.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where wardein.toml is. With SQLite the directory is below the volume's root, which is not the service's own. */}}
{{- define "wardein.directory" -}}
{{- if eq .Values.store "sqlite" -}}/var/lib/wardein/authority{{- else -}}/etc/wardein{{- end -}}
{{- end -}}

{{/* Where the key file or the passphrase is. */}}
{{- define "wardein.secret" -}}
/run/wardein/{{ .Values.custody.secretKey }}
{{- end -}}

{{- define "wardein.custodyOption" -}}
{{- if eq .Values.custody.kind "key-file" -}}--key-file{{- else -}}--passphrase-file{{- end -}}
{{- end -}}

{{- define "wardein.podSpec" -}}
serviceAccountName: {{ include "wardein.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Secrets are root's and readable by this group. Files that are there keep their modes.
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "wardein.containerBase" -}}
image: {{ include "wardein.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources: {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}

{{- define "wardein.ports" -}}
ports:
  - name: grpc
    containerPort: 7443
  - name: http
    containerPort: 7480
  {{- if .Values.est.enabled }}
  - name: est
    containerPort: 7444
  {{- end }}
{{- end -}}

{{- define "wardein.probes" -}}
# A store of a million devices that a new release migrates takes minutes.
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  failureThreshold: 900
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
{{- end -}}

{{- define "wardein.custodyVolume" -}}
- name: custody
  secret:
    secretName: {{ .Values.custody.secret }}
    defaultMode: 0440
    items:
      - key: {{ .Values.custody.secretKey }}
        path: {{ .Values.custody.secretKey }}
{{- end -}}
