"""What is done about a VM of which several monitors tell in several words."""

import datetime

import pytest

from masakari import db, errors
from masakari.engine import recovery
from masakari.vm_events import VmEventAction

VM = "00000000-0000-4000-8000-000000000001"
IGNORED = ("IO_ERROR", "IO_ERROR_NONE")
FAILED = ("LIFECYCLE", "STOPPED_FAILED")


def payload(event):
    return {"instance_uuid": VM, "event": event[0], "vir_domain_event": event[1]}


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        (IGNORED, IGNORED, VmEventAction.IGNORE),
        (IGNORED, FAILED, VmEventAction.RESTART),
        (FAILED, IGNORED, VmEventAction.RESTART),
    ],
)
def test_one_report_that_asks_for_it_is_enough(world, claim, first, later, expected):
    """The API may have taken both for one failure by other options than the engine has."""
    job = claim(type="VM", payload=payload(first))
    with pytest.raises(errors.DuplicateNotification):
        db.reports.report(
            world.database,
            type="VM",
            hostname="compute1",
            generated_time=world.clock.now() + datetime.timedelta(seconds=1),
            payload=payload(later),
            likeness=db.reports.Likeness(60, 60, lambda *_: True, about=VM),
            reported_by="another monitor",
        )

    assert recovery._answer(world, job.notification) is expected
