"""What every dashboard promises."""

from pathlib import Path

import yaml

from deploy.watching.dashboard import Dashboard
from tests.deploy.watching.exposed import problems
from tests.deploy.watching.promtool import PROMTOOL, run


def check_series(dashboard: Dashboard) -> None:
    """Every series and label that it names is exposed; each panel asks something and says what it tells."""
    for row in dashboard.rows:
        for panel in row.panels:
            assert panel.queries, panel.title
            assert panel.about, panel.title
            for query in panel.queries:
                assert list(problems(query.expr, query.legend)) == [], panel.title
    for choice in dashboard.choices:
        assert list(problems(f"sum by ({choice.name}) ({choice.series})")) == []


def check_promql(dashboard: Dashboard, folder: Path) -> None:
    """Prometheus understands every query; nothing is checked where promtool is not installed."""
    if PROMTOOL is None:
        return
    queries = [query.expr for row in dashboard.rows for panel in row.panels for query in panel.queries]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries)]
    file = folder / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    assert f"SUCCESS: {len(queries)} rules found" in run("check", "rules", str(file))
