"""What watches a fleet: Prometheus' recording and alert rules, and Grafana's dashboards, as values that write files.

    command → files → rules, dashboards → alerts, recordings, panels → promql

Every alert names a page in ``docs/runbooks``. Series are those of ``docs/reference/metrics.md`` and
``docs/orchestrator-api.md``, and no others: tests hold each name and label against what is exposed.
"""
