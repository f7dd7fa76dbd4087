#!/usr/bin/env python3
"""Writes dashboard.json for Grafana, or with --check compares it: panels are easier to review as a list than as JSON."""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
RATE = "$__rate_interval"
# Title, unit, and its queries with their legends.
PANELS = [
    ("Calls a second, by code", "reqps", [(f"sum by (code) (rate(wardein_requests_total[{RATE}]))", "{{code}}")]),
    ("Refusals a second, by code", "reqps", [(f'topk(10, sum by (code) (rate(wardein_requests_total{{code!="ok"}}[{RATE}])))', "{{code}}")]),
    ("Time to an answer, 99 of 100 calls", "s", [(f"histogram_quantile(0.99, sum by (method, le) (rate(wardein_request_seconds_bucket[{RATE}])))", "{{method}}")]),
    ("Time until a change is durable", "s", [
        (f"histogram_quantile(0.5, sum by (le) (rate(wardein_store_commit_seconds_bucket[{RATE}])))", "half"),
        (f"histogram_quantile(0.99, sum by (le) (rate(wardein_store_commit_seconds_bucket[{RATE}])))", "99 of 100"),
    ]),
    ("Proofs, certificates and enrollments a second", "ops", [
        (f"sum(rate(wardein_proofs_total[{RATE}]))", "proofs"),
        (f"sum(rate(wardein_certificates_total[{RATE}]))", "certificates"),
        (f"sum(rate(wardein_devices_enrolled_total[{RATE}]))", "enrollments"),
    ]),
    ("Connections, and those turned away a second", "short", [
        ("sum by (instance) (wardein_connections)", "open at {{instance}}"),
        (f"sum by (reason) (rate(wardein_connections_rejected_total[{RATE}]))", "{{reason}}"),
    ]),
    ("Days until the authority's own certificates end", "d", [("(wardein_certificate_not_after_seconds - time()) / 86400", "{{certificate}} {{id}}")]),
    ("Hours since the last complete backup", "h", [
        ("(time() - (wardein_backup_last_success_timestamp_seconds > 0)) / 3600", "{{instance}}"),
    ]),
    ("Until the first revocation list ends", "s", [("wardein_crl_ends_in_seconds", "{{instance}}")]),
    ("Certificates on the revocation lists", "short", [("max(wardein_crl_entries)", "revoked")]),
    ("Watchers, and how late they hear", "s", [
        ("sum(wardein_watchers)", "streams"),
        (f"histogram_quantile(0.99, sum by (le) (rate(wardein_watch_lag_seconds_bucket[{RATE}])))", "late, 99 of 100"),
    ]),
    ("Posts to webhooks a second", "ops", [(f"sum by (outcome) (rate(wardein_webhook_posts_total[{RATE}]))", "{{outcome}}")]),
    ("Entries that audit sinks have not taken", "short", [("max by (sink) (wardein_audit_sink_lag_entries)", "{{sink}}")]),
    ("What audit sinks did not take", "short", [(f"sum by (sink, reason) (increase(wardein_audit_sink_failures_total[{RATE}]))", "{{sink}}: {{reason}}")]),
    ("The machine's clock less the authority's time", "s", [("wardein_clock_ahead_seconds", "{{instance}}")]),
    ("Deeds that wait for a second person", "short", [("max(wardein_open_proposals)", "proposals")]),
    ("What of visits waits for somebody", "short", [
        ("max(wardein_visits_without_protocol)", "visits without a protocol"),
        ("max(wardein_emergency_reviews_open)", "emergencies without a review"),
    ]),
    ("Devices, by state", "short", [("max by (state) (wardein_devices)", "{{state}}")]),
    ("Devices by what they told of their release", "short", [("max by (outcome) (wardein_release_devices)", "{{outcome}}")]),
    ("Keys made ahead", "short", [("sum by (kind) (wardein_keys_ready)", "{{kind}}")]),
    ("Failed changes and lost lines of the log", "short", [
        (f"sum(increase(wardein_store_commits_failed_total[{RATE}]))", "changes"),
        (f"sum(increase(wardein_log_lines_dropped_total[{RATE}]))", "lines"),
    ]),
]
SOURCE = {"type": "prometheus", "uid": "${source}"}


def panel(number, title, unit, queries):
    """Two panels a row."""
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for at, (expr, legend) in enumerate(queries)
        ],
    }


def dashboard():
    variable = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {
        "uid": "wardein",
        "title": "Wardein",
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": [panel(number, *one) for number, one in enumerate(PANELS)],
    }


def main():
    file = HERE / "dashboard.json"
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if file.read_text() != text:
            sys.exit("dashboard.json is not what dashboard.py writes; run it")
    else:
        file.write_text(text)


main()
