"""The proof of death as it is on record."""

import pytest

from masakari import db
from masakari.cloud import service_of
from masakari.db.reports import Likeness
from masakari.engine import death
from masakari.errors import DuplicateNotification
from masakari.tests.unit.db import rows


@pytest.mark.parametrize("told", [None, "fenced"])
def test_what_the_monitor_has_for_a_proof_is_on_record_beside_ours(claim, cloud, told):
    cloud.add_host("compute1")
    cloud.power_off("compute1")
    job = claim(payload=rows.STOPPED | ({"proof": told} if told else {}))

    death.record(job, service_of(cloud, "compute1"))

    proof = db.notifications.get(job.world.database, job.uuid).proof
    assert proof["kind"] == "nova_down"
    assert proof.get("told") == told


def test_proof_of_a_later_witness_is_on_record_too(claim, cloud):
    cloud.add_host("compute1")
    cloud.power_off("compute1")
    job = claim()
    with pytest.raises(DuplicateNotification):
        db.reports.report(
            job.world.database,
            type="COMPUTE_HOST",
            hostname="compute1",
            generated_time=job.world.clock.now(),
            payload=rows.STOPPED | {"proof": "power-off"},
            reported_by="masakari-hostmonitor on n3",
            likeness=Likeness(equal_s=180, alike_s=180, are_alike=lambda *_: True),
        )

    death.record(job, service_of(cloud, "compute1"))

    proof = db.notifications.get(job.world.database, job.uuid).proof
    assert proof["told"] == "power-off"
