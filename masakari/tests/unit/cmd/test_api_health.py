"""Health of the API: what makes it not ready, and what is only told."""

import pytest

from masakari import db, rpc
from masakari.cmd import api_health, workers
from masakari.cmd.readiness import bus
from masakari.errors import CloudForbidden, CloudUnavailable, DatabaseUnavailable
from masakari.outage import Outage


@pytest.fixture
def vitals(clock):
    return api_health.make_vitals(clock)


def raising(error):
    def ask():
        raise error

    return ask


@pytest.mark.parametrize(
    ("who", "ask", "blamed", "detail"),
    [
        ("bus", lambda: "connection refused", "bus", "connection refused (never answered)"),
        (
            "Nova",
            raising(CloudUnavailable(service="Keystone", detail="HTTP 503")),
            "Keystone",
            "HTTP 503 (never answered)",
        ),
        (
            "Nova",
            raising(CloudForbidden(action="list", detail="no right", code=403)),
            "Nova",
            "no right (never answered)",
        ),
        (
            "database",
            raising(DatabaseUnavailable(detail="gone")),
            "database",
            "gone (never answered)",
        ),
        ("database", lambda: None, "database", "answered 0.0 s ago"),
    ],
    ids=["bus away", "Keystone away", "Nova refuses", "database away", "database there"],
)
def test_what_an_answer_means(vitals, who, ask, blamed, detail):
    api_health.look(who, ask, vitals.contacts)

    (found,) = (c for c in vitals.checks() if c.name == blamed)
    assert found.detail == detail
    assert found.is_needed == (blamed == "database")


def test_unexpected_error_is_no_answer_and_is_logged_once(vitals, caplog):
    api_health.look("database", lambda: None, vitals.contacts)
    for _ in range(3):
        api_health.look("database", raising(KeyError("secret")), vitals.contacts)

    (found,) = (c for c in vitals.checks() if c.name == "database")
    assert not found.is_well
    assert "unexpected KeyError, see the log" in found.detail
    assert "secret" not in found.detail
    assert [r.message for r in caplog.records] == ["health: asking database failed"]


def test_bus_that_answers_again_is_told(clock, monkeypatch, caplog):
    caplog.set_level("INFO")
    outage = Outage("the message bus", clock)
    answers = ["refused", None]

    def problem(_conf):
        if (why := answers.pop(0)) is not None:
            outage.failed(why)  # as from the driver's log, where its success is not told
        return why

    monkeypatch.setattr(bus, "problem", problem)

    assert api_health.ask_bus(None, outage) == "refused"
    clock.sleep(30)
    assert api_health.ask_bus(None, outage) is None
    assert [r.message for r in caplog.records] == [
        "the message bus is not available: refused",
        "the message bus is available again, after 30 s",
    ]


@pytest.mark.parametrize(("url", "can"), [("fake:///", False), ("rabbit://h/", True)])
def test_only_rabbitmq_is_asked(conf, url, can):
    rpc.register(conf)
    conf.set_override("transport_url", url)

    assert bus.can_be_asked(conf) is can


def test_worker_that_does_not_get_on_is_named(vitals, clock):
    beats = workers.Beats(2, clock)
    beats.begin(0, pid=1)
    beats.begin(1, pid=2)
    shown = api_health.ApiHealth(
        vitals, lambda: [f"worker {number}" for number, _ in beats.late(60)]
    )
    clock.sleep(61)
    beats.beat(1)

    assert shown.stalled() == ["worker 0"]
    assert ("worker 0", False) in {(c.name, c.is_well) for c in shown.checks()}


def test_database_with_older_tables_is_not_as_it_should_be(database):
    assert db.standing.problem(database) is None

    with database.writing() as tx:
        tx.connection.exec_driver_sql(
            f"UPDATE {db.migration.VERSION_TABLE} SET version_num = '8f848eb45d03'"
        )

    assert "at revision 8f848eb45d03, not " in db.standing.problem(database)


def test_database_that_a_later_release_has_upgraded_is_well(database):
    with database.writing() as tx:
        tx.connection.exec_driver_sql(
            f"UPDATE {db.migration.VERSION_TABLE} SET version_num = 'of-tomorrow'"
        )

    assert db.standing.problem(database) is None
