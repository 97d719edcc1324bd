"""What tests of the monitors of compute hosts share."""

from masakari.tests.unit.monitors import disks


def raised(render):
    """The codes of the alarms that are raised, in the metrics that *render* makes."""
    lines = render()[1].decode().splitlines()
    alarms = [line for line in lines if line.startswith("masakari_alarm{")]
    return {line.split('"')[1] for line in alarms if line.endswith(" 1.0")}


def check_alarm_of_state_that_cannot_be_kept(host):
    """It is raised while the file cannot be replaced."""
    in_the_way = host.known.with_suffix(".new")
    in_the_way.mkdir()
    host.cycle()
    assert host.raised() == {"MSK-404"}

    in_the_way.rmdir()
    host.cycle()

    assert host.raised() == set()


def check_alarm_of_reports_that_cannot_be_written(host, fail):
    """It is raised from *fail*, after which there is a report, until the disk has room."""
    host.cycle()
    with disks.full(host.reports):
        fail()
        assert host.raised() == {"MSK-404"}

    host.cycle()

    assert host.raised() == set()
