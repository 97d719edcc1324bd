"""Imports go one way, and each library is known to few modules: two tables and what they forbid."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[2]

WORDS = {
    "states",
    "errors",
    "clock",
    "context",
    "conf",
    "retry",
    "background",
    "pulse",
    "metrics",
    "contacts",
    "outage",
    "causes",
    "vm_events",
}
SEAMS = WORDS | {"cloud", "rpc", "events", "locks", "alarms"}
STORES = SEAMS | {"db", "nova"}
PROGRAMS = STORES | {"notifier", "api", "engine", "monitors", "sim"}

# part of the package -> the other parts that it may import
EDGES = {
    **dict.fromkeys(WORDS, WORDS),
    **dict.fromkeys(["cloud", "rpc", "events", "locks"], WORDS),
    "tally": set(),
    "exposition": {"metrics", "tally"},
    "alarms": WORDS | {"events"},
    "notifier": WORDS | {"rpc", "events"},
    **dict.fromkeys(["db", "nova"], SEAMS),
    **dict.fromkeys(["api", "engine"], STORES),
    "monitors": STORES - {"db"},
    "sim": PROGRAMS,
    "cmd": PROGRAMS | {"exposition", "tally"},
    "wsgi": PROGRAMS | {"cmd", "exposition"},
}

# library -> the modules (and what is below them) that may import it
LIBRARIES = {
    "eventlet": [],
    "openstack": ["nova", "monitors.report", "sim.demo"],
    "keystoneauth1": ["nova", "monitors.report", "sim.demo", "api.auth", "conf"],
    "keystonemiddleware": ["api", "nova", "conf", "cmd"],
    "sqlalchemy": ["db"],
    "alembic": ["db"],
    "oslo_db": ["db", "conf.database", "sim.outage"],  # the last raises its errors
    "taskflow": [
        *("engine.step", "engine.flows", "engine.runner", "engine.task_events", "engine.drivers"),
        *("db.progress", "db.steps", "db.migration"),
    ],
    "webob": ["api", "sim"],
    "routes": ["api"],
    "oslo_policy": ["api", "conf"],
    "jsonschema": ["api"],
    "fastjsonschema": ["api"],
    "oslo_messaging": ["rpc", "notifier", "cmd", "conf", "monitors.hosts.nova_notifications"],
    "cheroot": ["cmd", "sim.http"],
    "cotyledon": ["cmd"],
    "prometheus_client": ["exposition"],
    "rich": ["sim", "cmd"],
    "tooz": ["locks", "monitors.groups"],
    "yaml": ["engine.exclusions", "monitors"],
    "libvirt": ["monitors.instances.hypervisor"],
    "libvirt_qemu": ["monitors.instances.agents"],
    "psutil": ["monitors.processes.table"],
    "jeepney": ["monitors.processes.units"],
    "sqlite3": ["db", "monitors.kept_reports"],
    "asyncssh": ["monitors.hosts.ssh"],
}


def imports():
    """(importing module, imported module) pairs of the package without its tests."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] == "tests" or parts == ("__init__",):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((".".join(parts), name) for name in names)


def test_parts_import_only_parts_below_them():
    wrong = []
    for importer, name in imports():
        package, _, rest = name.partition(".")
        part, own = rest.split(".")[0], importer.split(".")[0]
        if package == "masakari" and part not in EDGES[own] | {own}:
            wrong.append(f"{importer} imports {name}")

    assert wrong == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_is_imported_only_where_it_belongs(library):
    wrong = [
        f"{importer} imports {name}"
        for importer, name in imports()
        if name.split(".")[0] == library
        and not any(f"{importer}.".startswith(f"{home}.") for home in LIBRARIES[library])
    ]

    assert wrong == []
