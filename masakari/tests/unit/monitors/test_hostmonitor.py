"""Stories of the host monitor: what breaks, and what Masakari hears of it."""

import itertools
import logging

import pytest

from masakari import errors
from masakari.cmd.hostmonitor import hosts_check
from masakari.monitors import hostmonitor
from masakari.monitors.hosts.addresses import Addresses
from masakari.monitors.hosts.opinions import Opinion, Sign
from masakari.monitors.hosts.second_opinion import OPTIONS, Network
from masakari.monitors.report import Answer, Unanswered
from masakari.sim.cloud import Fault

DEATH = ("compute1", "STOPPED")
RETURN = ("compute1", "STARTED")


@pytest.fixture
def three(world):
    """Three hosts, all up; the monitor not started."""
    world.hosts("compute1", "compute2", "compute3")
    return world


def test_host_dies_and_returns_is_told_once_each(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(200)
    three.cloud.power_on("compute1")
    three.run(200)

    assert three.masakari.told == [DEATH, RETURN]


def test_host_dies_is_told_after_enough_samples_and_not_earlier(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(60)

    # Nova notices within 6 to 8 s; looks at 40 and 50 s agree
    (heard,) = three.masakari.heard
    assert heard.at == 50
    assert (heard.generated_time - three.clock.now()).total_seconds() == 50 - 90


def test_host_dead_at_start_is_told(three):
    three.cloud.power_off("compute1")
    three.run(60)
    three.start()
    three.run(60)

    assert three.masakari.told == [DEATH]


def test_monitor_restarted_tells_the_death_again_and_the_api_knows_it(three):
    three.cloud.power_off("compute1")
    kill = three.start()
    three.run(60)
    kill()
    three.start()
    three.run(60)

    assert [asked[1:] for asked in three.masakari.asked] == [DEATH, DEATH]
    assert three.masakari.told == [DEATH]


def test_five_monitors_lead_to_one_notification(three):
    for _ in range(5):
        three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(300)

    assert three.masakari.told == [DEATH]
    assert len(three.masakari.asked) == 5
    three.run(300)
    assert three.masakari.told == [DEATH, DEATH]
    assert len(three.masakari.asked) == 10


def test_nova_compute_dead_but_host_answers_is_not_told(three, caplog):
    three.start()
    three.run(30)
    three.cloud.stop_compute("compute1")
    three.run(600)

    assert three.masakari.asked == []
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line == (
        "compute1: online -> doubtful (2 of 2 samples: Nova's service is down, compute1:22 answers)"
    )


def test_host_silent_but_nova_hears_it_is_not_told(three):
    three.opinion.deaf.add("compute1")
    three.start()
    three.run(600)

    assert three.masakari.asked == []


def test_host_that_never_answers_is_pointed_out_once(three, caplog):
    three.opinion.deaf.add("compute1")
    three.start()
    three.run(600)

    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("compute1: Nova's service is up, but compute1:22 does not answer")


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_all_hosts_look_dead_suspects_the_observer_once(three, caplog):
    three.start()
    three.run(30)
    for host in list(three.cloud.hosts):
        three.cloud.power_off(host)
    three.run(600)

    assert three.masakari.asked == []
    assert warnings(caplog) == [
        "nobody is judged: 3 compute services are down in Nova, but not one of 3 hosts answers "
        "the second opinion, so the observer's network is suspected, or [host] second_opinion_* "
        "is wrong"
    ]


def test_trouble_is_told_in_one_line(three, caplog):
    caplog.set_level(logging.INFO)
    three.start()
    three.run(30)
    for host in list(three.cloud.hosts):
        three.cloud.power_off(host)
    three.run(600)

    assert caplog.text.count("observer's network is suspected") == 1


def test_all_services_down_suspects_the_observer_once(three, caplog):
    three.start()
    three.run(30)
    for host in list(three.cloud.hosts):
        three.cloud.stop_compute(host)
    three.cloud.power_off("compute1")
    three.run(600)

    assert three.masakari.asked == []
    assert warnings(caplog) == [
        "MSK-403 nobody is accused: not one host is online (2 doubtful, 1 offline), so the "
        "observer is suspected"
    ]


def test_all_services_down_and_up_again_tells_the_one_that_stays_down(three):
    three.start()
    three.run(30)
    for host in list(three.cloud.hosts):
        three.cloud.stop_compute(host)
    three.cloud.power_off("compute1")
    three.run(60)
    for host in ("compute2", "compute3"):
        three.cloud.start_compute(host)
    three.run(30)

    assert three.masakari.told == [DEATH]


def test_all_silent_for_long_is_one_alarm_and_no_report_until_hosts_are_back(world, caplog):
    caplog.set_level(logging.INFO)
    hosts = [f"compute{number}" for number in range(1, 9)]
    world.hosts(*hosts)
    world.start()
    world.run(30)
    for host in hosts:
        world.cloud.power_off(host)
    world.run(1500)

    (alarm,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert alarm.startswith("MSK-401 no host was judged for 600 s: 8 compute services are down")
    assert world.masakari.asked == []

    for host in hosts[1:]:
        world.cloud.power_on(host)
    world.run(60)

    assert "MSK-401 is over" in caplog.text
    assert world.masakari.told == [DEATH]
    assert len(world.masakari.asked) == 1
    assert not [r for r in caplog.records if r.exc_info]


def test_only_watched_host_dies_is_told_as_others_of_nova_live(world):
    world.hosts("compute1")
    world.hosts("compute2", "compute3", registered=False)
    world.start()
    world.run(30)
    world.cloud.power_off("compute1")
    world.cloud.power_off("compute2")
    world.run(60)

    assert world.masakari.told == [DEATH]


def test_disabled_service_is_watched(three):
    (service,) = three.cloud.compute_services("compute1")
    three.cloud.disable_service(service, "kernel upgrade")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(60)

    assert three.masakari.told == [DEATH]


def test_own_host_is_never_told(three):
    three.option("hostname", "compute1.example.com")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(600)

    assert three.masakari.asked == []


def test_nova_away_warns_once_and_tells_when_it_is_back(three, caplog):
    three.start()
    three.run(30)
    three.cloud.add_fault(Fault(error=503, times=None, until=300))
    three.cloud.power_off("compute1")
    three.run(200)

    assert three.masakari.asked == []
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    three.run(200)
    assert three.masakari.told == [DEATH]


def test_api_away_is_told_when_it_is_back(three, caplog):
    three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(3600)
    three.masakari.is_up = True
    three.run(11)

    assert three.masakari.told == [DEATH]
    assert not [r for r in caplog.records if r.exc_info]


def test_api_away_is_asked_with_growing_pauses(three):
    three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(65)

    times = [at for at, *_ in three.masakari.asked]
    pauses = [round(b - a, 3) for a, b in itertools.pairwise(times)]
    assert pauses == [0.625, 1.25, 2.5, 5, 10, 10, 10]


def test_api_away_at_start_watches_as_soon_as_it_is_there(three):
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.start()
    three.run(300)
    three.masakari.is_up = True
    three.run(60)

    assert three.masakari.told == [DEATH]


def test_api_away_alarm_is_an_error_each_so_many_tries(three, caplog):
    three.option("api_retry_max", 5, "host")
    three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(30)

    (alarm,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert alarm.startswith("Masakari has not answered 5 tries (connection refused); 1 reports")


def test_host_died_and_returned_before_it_could_be_told_is_not_told(three):
    three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(100)
    assert three.masakari.asked
    three.cloud.power_on("compute1")
    three.run(11)
    three.masakari.is_up = True
    three.run(600)

    assert three.masakari.told == []


def test_host_returned_while_the_observer_is_deaf_is_not_told(three):
    three.start()
    three.run(30)
    three.masakari.is_up = False
    three.cloud.power_off("compute1")
    three.run(40)
    assert three.masakari.asked
    three.opinion.deaf.update(three.cloud.hosts)
    three.cloud.power_off("compute2")
    three.cloud.power_on("compute1")
    three.run(60)
    three.masakari.is_up = True
    three.run(60)

    assert three.masakari.told == []


def test_host_returned_after_a_try_whose_answer_was_lost_tells_the_return(three):
    three.masakari.script.extend([Unanswered("timed out")] * 5)
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(25)
    three.cloud.power_on("compute1")
    three.run(60)

    assert three.masakari.told == [RETURN]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_unusable_answer_is_no_answer(three, status):
    three.masakari.script.extend([Answer(status)] * 3)
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(60)

    assert len(three.masakari.asked) == 4
    assert three.masakari.told == [DEATH]


@pytest.mark.parametrize(
    "said", [Answer(403), Answer(413), Answer(500), Unanswered("timed out")], ids=str
)
def test_host_whose_report_the_api_cannot_bear_holds_up_no_other(three, said):
    three.masakari.always["compute1"] = said
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(100)
    three.cloud.power_off("compute2")
    three.run(100)
    assert three.masakari.told == [("compute2", "STOPPED")]

    three.masakari.always.clear()
    three.run(60)

    assert three.masakari.told == [("compute2", "STOPPED"), DEATH]


def test_refused_for_maintenance_is_told_when_it_is_over(three, caplog):
    three.masakari.on_maintenance.add("compute1")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(1000)
    assert three.masakari.told == []
    three.masakari.on_maintenance.clear()
    three.run(61)

    assert three.masakari.told == [DEATH]
    age = three.clock.now() - three.masakari.heard[0].generated_time
    assert age.total_seconds() <= 61
    refusals = [r for r in caplog.records if "refuses the report" in r.getMessage()]
    assert len(refusals) == 1


def test_refused_for_maintenance_is_asked_each_interval(three):
    three.masakari.on_maintenance.add("compute1")
    three.option("maintenance_retry_interval", 30, "host")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(111)

    assert [at for at, *_ in three.masakari.asked] == [50, 80, 110, 140]


def test_refused_for_maintenance_and_returned_is_never_told(three):
    three.masakari.on_maintenance.add("compute1")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(100)
    three.cloud.power_on("compute1")
    three.run(60)
    three.masakari.on_maintenance.clear()
    three.run(600)

    assert three.masakari.told == []


def test_maintenance_of_one_host_does_not_hold_up_another(three):
    three.masakari.on_maintenance.add("compute1")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.cloud.power_off("compute2")
    three.run(60)

    assert three.masakari.told == [("compute2", "STOPPED")]


def test_second_death_soon_after_the_first_is_told_although_it_looks_like_a_duplicate(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(30)
    three.cloud.power_on("compute1")
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(300)

    assert three.masakari.told == [DEATH, RETURN, DEATH]


def test_death_that_stands_is_told_again_each_reminder_interval(three):
    three.option("reminder_interval", 200, "host")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(600)

    assert [(heard.at, heard.event) for heard in three.masakari.heard] == [
        (50, "STOPPED"),
        (250, "STOPPED"),
        (450, "STOPPED"),
    ]
    times = [heard.generated_time for heard in three.masakari.heard]
    assert [(b - a).total_seconds() for a, b in itertools.pairwise(times)] == [200, 200]


def test_second_death_that_no_sample_separates_is_told_again(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(30)
    three.cloud.power_on("compute1")
    three.run(0.5)
    three.cloud.power_off("compute1")
    three.run(300)

    assert three.masakari.told == [DEATH, DEATH]


def test_reminder_interval_zero_tells_once(three):
    three.option("reminder_interval", 0, "host")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(3600)

    assert [asked[1:] for asked in three.masakari.asked] == [DEATH]


@pytest.mark.parametrize("reason", ["maintenance", "duplicate"])
def test_reminder_refused_is_quiet_until_the_next_one(three, caplog, reason):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(30)
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    three.masakari.script.extend([Answer(409, reason, "No.")] * 3)
    three.run(950)

    assert [at for at, *_ in three.masakari.asked] == [50, 350, 650, 950]
    lines = [r for r in caplog.records if "reported again" in r.getMessage()]
    assert len(lines) == 3
    assert {r.levelno for r in caplog.records} == {logging.DEBUG}


def test_reminder_without_answer_is_tried_once_each_round(three, caplog):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(290)
    three.masakari.script.extend([Unanswered("timed out"), Answer(503)])
    three.run(60)

    assert [at for at, *_ in three.masakari.asked] == [50, 350, 360, 370]
    assert three.masakari.told == [DEATH, DEATH]
    assert not [r for r in caplog.records if "Masakari" in r.getMessage()]


def test_reminder_without_answer_is_not_kept_when_the_host_returns(three, caplog):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(315)
    three.masakari.script.append(Unanswered("timed out"))
    three.run(6)
    three.cloud.power_on("compute1")
    three.run(200)

    assert [asked[1:] for asked in three.masakari.asked] == [DEATH, DEATH, RETURN]
    assert not [r for r in caplog.records if "taken back" in r.getMessage()]


def test_reminders_come_after_new_reports_and_hold_none_up(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(300)
    three.cloud.power_off("compute2")
    three.run(19)
    three.masakari.script.append(Unanswered("timed out"))
    three.run(10)

    assert three.masakari.asked[1:] == [
        (350, "compute2", "STOPPED"),
        (350.625, "compute2", "STOPPED"),
    ]
    three.run(10)
    assert three.masakari.asked[3:] == [(360, "compute1", "STOPPED")]


def test_reminders_that_take_long_do_not_delay_the_next_look(three):
    names = [f"compute{i}" for i in range(4, 14)]
    three.hosts(*names)
    three.start()
    three.run(30)
    for name in names:
        three.cloud.power_off(name)
    three.run(290)
    notify = three.masakari.notify

    def slow(notification):
        three.clock.sleep(4)
        return notify(notification)

    looks = []
    ask = three.opinion.ask

    def look(hosts):
        looks.append(three.clock.monotonic())
        return ask(hosts)

    three.masakari.notify = slow
    three.opinion.ask = look
    three.run(75)

    # three of 4 s in each round of 10 s
    assert max(b - a for a, b in itertools.pairwise(looks)) == 12
    again = [host for at, host, _ in three.masakari.asked if at > 300]
    assert sorted(again) == sorted(names)


def test_reminder_rejected_is_an_alarm_once(three, caplog):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(30)
    three.masakari.script.append(Answer(400, "unknown-host", "Host could not be found."))
    three.run(1000)

    assert len(three.masakari.asked) == 2
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_death_after_a_return_that_was_rejected_is_told(three):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(200)
    three.masakari.script.append(Answer(400, "invalid", "No."))
    three.cloud.power_on("compute1")
    three.run(100)
    three.cloud.power_off("compute1")
    three.run(60)

    assert three.masakari.told == [DEATH, DEATH]


def test_host_whose_name_makes_no_address_does_not_stop_the_watch(three):
    three.hosts("rack1:compute9")
    address = Addresses("{host}", [f"compute{n}=127.0.0.1" for n in (1, 2, 3)], 22, OPTIONS)

    def knock(_family, _where, _timeout_s):
        return Opinion(Sign.SILENT, "does not answer")

    network = Network(address, knock, timeout_s=1, parallel=1)
    ask = three.opinion.ask
    three.opinion.ask = lambda hosts: (
        network.ask(hosts) | ask([host for host in hosts if ":" not in host])
    )
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.cloud.power_off("rack1:compute9")
    three.run(60)

    assert three.masakari.told == [DEATH]


def test_unknown_host_is_an_alarm_once_and_told_when_the_registry_changes(three, caplog):
    three.masakari.script.append(Answer(400, "unknown-host", "Host could not be found."))
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(600)
    assert len(three.masakari.asked) == 1
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1

    three.hosts("compute4")
    three.run(60)

    assert three.masakari.told == [DEATH]


def test_host_taken_out_of_the_registry_is_not_told_any_more(three):
    three.masakari.on_maintenance.add("compute1")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(60)
    three.masakari.registered.remove("compute1")
    three.run(60)
    asked = len(three.masakari.asked)
    three.run(600)

    assert len(three.masakari.asked) == asked


def test_registered_host_that_nova_does_not_know_is_not_told(three, caplog):
    three.masakari.registered.add("Compute1")
    three.start()
    three.run(300)

    assert three.masakari.asked == []
    assert any("Nova knows no compute service" in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize(
    ("registered", "in_nova"),
    [
        ("compute{n}", "COMPUTE{n}"),
        ("compute{n}.example.com", "compute{n}"),
        ("Compute{n}", "compute{n}.a.b"),
    ],
)
def test_host_whose_name_differs_from_novas_is_told_as_it_is_registered(world, registered, in_nova):
    for n in (1, 2, 3):
        world.cloud.add_host(in_nova.format(n=n))
        world.masakari.registered.add(registered.format(n=n))
        world.opinion.called[registered.format(n=n)] = in_nova.format(n=n)
    world.start()
    world.run(30)
    world.cloud.power_off(in_nova.format(n=1))
    world.run(60)

    assert world.masakari.told == [(registered.format(n=1), "STOPPED")]


def test_nothing_is_known_of_anybody_is_told_once(world, caplog):
    caplog.set_level(logging.INFO)
    world.masakari.registered = {"compute1", "compute2"}
    world.start()
    world.run(120)

    (line,) = warnings(caplog)
    assert line == (
        "nobody is judged: nothing is known of 2 hosts (such as compute1: Nova knows no compute "
        "service of that name)"
    )


def test_health_tells_why_nobody_is_judged(three):
    monitor = hostmonitor.build(
        three.conf,
        three.clock,
        cloud=three.cloud,
        masakari=three.masakari,
        second_opinion=three.opinion,
    )

    def look():
        monitor.cycle()
        check = hosts_check(monitor)
        return check.is_well, check.detail

    assert look() == (True, "judged")
    for host in list(three.cloud.hosts):
        three.cloud.power_off(host)
    three.run(60)
    is_well, why = look()
    assert not is_well
    assert why.startswith("3 compute services are down in Nova, but not one of 3 hosts answers")
    three.cloud.power_on("compute1")
    three.run(60)
    assert look() == (True, "judged")


def test_health_tells_that_no_round_came_to_its_end(three):
    def health():
        check = hosts_check(three.monitor)
        return check.is_well, check.detail

    def fail(_hosts):
        raise ZeroDivisionError

    kill = three.start()
    assert health() == (False, "no round has judged yet")
    three.run(5)
    assert health() == (True, "judged")
    three.cloud.stop_compute("compute1")
    three.opinion.ask = fail
    three.run(60)
    assert health() == (False, "the rounds of the monitor fail")
    del three.opinion.ask
    three.run(10)
    assert health() == (True, "judged")

    kill()
    three.masakari.is_up = False
    three.start()
    three.run(30)
    is_well, why = health()
    assert not is_well
    assert why.startswith("the Masakari API has not said which hosts to watch")


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_that_jumps_while_a_host_is_dying_accuses_nobody_else(three, hours):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(15)
    three.clock.jump(3600 * hours)
    three.run(300)

    assert three.masakari.told == [DEATH]


def test_network_cut_and_healed_is_told(three):
    three.start()
    three.run(30)
    three.cloud.cut_network("compute1")
    three.run(60)
    three.cloud.heal_network("compute1")
    three.run(60)

    assert three.masakari.told == [DEATH, RETURN]


def test_many_hosts_die_together_are_told_in_one_round(world):
    world.option("alive_share_min", 0, "host")
    names = [f"compute{i:03}" for i in range(100)]
    world.hosts(*names)
    world.start()
    world.run(30)
    for name in names[:99]:
        world.cloud.power_off(name)
    world.run(40)

    assert len(world.masakari.told) == 99
    assert {heard.at for heard in world.masakari.heard} == {50}


def test_stop_ends_the_loop(three):
    monitor = hostmonitor.build(
        three.conf,
        three.clock,
        cloud=three.cloud,
        masakari=three.masakari,
        second_opinion=three.opinion,
    )
    stop, ended = three.clock.event(), three.clock.event()

    def run():
        monitor.run(stop)
        ended.set()

    three.clock.spawn(run)
    three.run(25)
    monitor.end(stop)

    assert ended.wait(0.001)


def test_defect_in_a_round_is_logged_and_the_next_round_goes_on(three, caplog):
    class Defect(Exception):
        pass

    def fail(_hosts):
        three.opinion.__dict__.pop("ask")
        raise Defect

    three.opinion.ask = fail
    three.cloud.power_off("compute1")
    three.start()
    three.run(60)

    assert three.masakari.told == [DEATH]
    assert len([r for r in caplog.records if r.exc_info]) == 1


def test_defect_while_one_is_told_neither_doubles_nor_loses_a_report(three, caplog):
    notify = three.masakari.notify
    tries = []

    def fail_for_compute2(notification):
        tries.append(notification["hostname"])
        if notification["hostname"] == "compute2" and tries.count("compute2") < 3:
            raise KeyError("X-Subject-Token")
        return notify(notification)

    three.hosts("compute4", "compute5")
    three.masakari.notify = fail_for_compute2
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.cloud.power_off("compute2")
    three.run(60)

    assert sorted(three.masakari.told) == [DEATH, ("compute2", "STOPPED")]
    assert sorted(tries) == ["compute1", *["compute2"] * 3]
    assert len([r for r in caplog.records if r.exc_info]) == 1


def test_build_driver_that_is_not_there_names_the_option(three):
    three.option("monitoring_driver", "no such thing", "host")

    with pytest.raises(errors.ConfigInvalid, match=r"^\[host\] monitoring_driver: .*nova"):
        hostmonitor.build(three.conf, three.clock)


def test_notification_has_the_payload_of_the_contract(three):
    seen = []
    notify = three.masakari.notify

    def spy(notification):
        seen.append(notification)
        return notify(notification)

    three.masakari.notify = spy
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(60)
    three.cloud.power_on("compute1")
    three.run(60)

    assert [n["payload"] for n in seen] == [
        {"event": "STOPPED", "cluster_status": "OFFLINE", "host_status": "NORMAL"},
        {"event": "STARTED", "cluster_status": "ONLINE", "host_status": "NORMAL"},
    ]
    assert {n["type"] for n in seen} == {"COMPUTE_HOST"}
    assert seen[0]["generated_time"] == "2026-01-01T00:00:50.000000"


def test_monitor_that_can_see_nothing_gets_on_all_the_same(three):
    three.masakari.is_up = False
    three.start()
    three.run(2000)

    assert set(three.pulse.ages()) == {"monitor"}
    assert three.pulse.stalled() == []


def test_round_that_hangs_is_missed(three):
    three.start()
    three.run(15)
    three.masakari.watched = lambda: three.clock.sleep(10_000)
    three.run(290)

    assert three.pulse.stalled() == []
    three.run(20)
    assert three.pulse.stalled() == ["monitor"]


def test_monitor_that_judges_nobody_for_long_raises_an_alarm_until_it_does(three, caplog):
    caplog.set_level(logging.INFO)
    three.cloud.add_fault(Fault("compute_services", error=503, times=None, start=60, until=1000))
    three.start()
    three.run(600)
    assert "MSK-401" not in caplog.text
    three.run(200)
    assert caplog.text.count("MSK-401 no host was judged for 600 s: ") == 1
    three.run(400)
    assert caplog.text.count("MSK-401") == 2
    assert "MSK-401 is over" in caplog.text


# ---- the monitor itself is late


def test_round_that_began_late_decides_nothing(three, caplog):
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(12)
    three.clock.freeze("monitor-1")
    three.run(60)
    three.clock.thaw("monitor-1")
    three.run(1)

    assert three.masakari.asked == []
    assert any("s late: the monitor was stalled" in line for line in warnings(caplog))
    three.run(20)
    assert three.masakari.told == [DEATH]


def test_look_that_took_long_decides_nothing(three, caplog):
    three.option("monitoring_samples", 1, "host")
    three.option("late_after", 5, "host")
    three.start()
    three.run(30)
    three.cloud.power_off("compute1")
    three.run(8)
    three.cloud.add_fault(Fault("compute_services", latency_s=6))
    three.run(10)

    assert three.masakari.asked == []
    assert any(line.startswith("nobody is judged: looking took 6 s") for line in warnings(caplog))
    three.run(20)
    assert three.masakari.told == [DEATH]
