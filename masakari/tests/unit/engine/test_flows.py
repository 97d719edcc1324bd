"""Finding tasks by their entry points, and making them."""

import dataclasses
import sys
import textwrap

import pytest
from taskflow import task

from masakari import db
from masakari.context import RequestContext
from masakari.engine import flows, host, instance, process, reserved
from masakari.engine.drivers.taskflow import base
from masakari.engine.step import Noop, Step
from masakari.errors import ConfigInvalid
from masakari.tests.unit.db import rows

OPTIONS = [
    "host_auto_failure_recovery_tasks",
    "host_rh_failure_recovery_tasks",
    "instance_failure_recovery_tasks",
    "process_failure_recovery_tasks",
]


@pytest.fixture
def installed(tmp_path, monkeypatch, request):
    """installed(module's text, {entry point: object}): a package that Python finds."""
    name = "tasks_" + "".join(c if c.isalnum() else "_" for c in request.node.name)[:80]

    def call(text, points):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{point} = {name}:{what}" for point, what in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{flows.NAMESPACE}]", *lines]))
        monkeypatch.syspath_prepend(tmp_path)
        return name

    yield call
    sys.modules.pop(name, None)


def names(factories):
    return [factory.__name__ for factory in factories]


# ---- finding them


def test_load_defaults_are_ours(conf):
    found = flows.load(conf)

    assert found.host_auto.all == (
        host.DisableComputeServiceTask,
        host.PrepareHAEnabledInstancesTask,
        host.EvacuateInstancesTask,
    )
    assert found.host_reserved.pre == (host.DisableComputeServiceTask,)
    assert found.host_reserved.main == (
        host.PrepareHAEnabledInstancesTask,
        host.EvacuateInstancesTask,
    )
    assert found.host_reserved.post == ()
    assert found.instance.all == (
        instance.StopInstanceTask,
        instance.StartInstanceTask,
        instance.ConfirmInstanceActiveTask,
    )
    assert found.process.all == (
        process.DisableComputeNodeTask,
        process.ConfirmComputeNodeDisabledTask,
    )


@pytest.mark.parametrize("option", OPTIONS)
def test_load_order_is_that_of_the_parts_and_of_the_file(conf, option):
    value = "post:['start_instance_task'],main:['no_op','stop_instance_task']"
    conf.set_override(option, value, flows.GROUP)

    found = flows.load(conf)

    parts = [found.host_auto, found.host_reserved, found.instance, found.process]
    changed = parts[OPTIONS.index(option)]
    assert changed.pre == ()
    assert changed.all == (Noop, instance.StopInstanceTask, instance.StartInstanceTask)


def test_load_tasks_of_a_third_party_are_found(conf, installed):
    installed(
        """
        from masakari.engine.drivers.taskflow import base
        class Tell(base.MasakariTask):
            def execute(self, host_name):
                self.update_details("told", 1.0)
        """,
        {"tell_task": "Tell"},
    )
    conf.set_override(OPTIONS[0], "pre:['tell_task'],main:['no_op']", flows.GROUP)

    (factory,) = flows.load(conf).host_auto.pre

    assert factory.__name__ == "Tell"
    assert issubclass(factory, base.MasakariTask)


BROKEN = {
    "nobody has such a task": ("", {}, "no installed package has a task 'their_task'"),
    "its module fails": (
        "import no_such_module_of_theirs",
        {"their_task": "Tell"},
        "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module_of_theirs'",
    ),
    "its module has no such class": ("", {"their_task": "Tell"}, "cannot be loaded: "),
    "its module is no Python": ("class", {"their_task": "Tell"}, "cannot be loaded: SyntaxError: "),
    "it is a function": (
        "def tell(): pass",
        {"their_task": "tell"},
        "is no class of TaskFlow's tasks",
    ),
    "it is another class": (
        "class Tell: pass",
        {"their_task": "Tell"},
        "is no class of TaskFlow's",
    ),
    "it is an instance": (
        "from taskflow import task\ntell = task.FunctorTask(lambda: None)",
        {"their_task": "tell"},
        "is no class of TaskFlow's tasks",
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("option", OPTIONS)
def test_load_what_cannot_be_loaded_is_named(conf, installed, option, broken):
    text, points, problem = broken
    module = installed(text, points)
    conf.set_override(option, "main:['no_op','their_task']", flows.GROUP)

    with pytest.raises(ConfigInvalid) as raised:
        flows.load(conf)

    said = str(raised.value)
    assert said.startswith(f"[{flows.GROUP}] {option}: ")
    assert "'their_task'" in said
    assert problem in said
    if points:
        assert f"({module}:{points['their_task']})" in said


# ---- making them


class Bare(task.Task):
    """A task of TaskFlow's that knows nothing of Masakari."""

    def execute(self, host_name):
        pass


class AsksForContext(task.Task):
    def __init__(self, context):
        super().__init__()
        self.context = context

    def execute(self):
        pass


class AsksForAll(task.Task):
    def __init__(self, context, novaclient, update_host_method):
        super().__init__()
        self.given = {
            "context": context,
            "novaclient": novaclient,
            "update_host_method": update_host_method,
        }

    def execute(self):
        pass


class AsksForAnything(base.MasakariTask):
    def __init__(self, context, novaclient, **kwargs):
        self.given = kwargs
        kwargs["requires"] = ["host_name", "notification_uuid"]
        super().__init__(context, novaclient, **kwargs)

    def execute(self, **kwargs):
        pass


class Inherits(base.MasakariTask):
    def execute(self, host_name):
        pass


class NamesItself(base.MasakariTask):
    def __init__(self, context, novaclient):
        super().__init__(context, novaclient, name="tell-operators")

    def execute(self):
        pass


def made(job, *factories):
    return flows.host_chapter(job, "anywhere", factories).steps


def test_make_context_is_an_admins_with_the_request_of_the_report(claim):
    job = claim(request_id="req-77")

    (step,) = made(job, AsksForContext)

    assert isinstance(step.context, RequestContext)
    assert step.context.is_admin
    assert step.context.request_id == "req-77"


def test_make_report_without_a_request_has_a_request_id_all_the_same(claim):
    (step,) = made(claim(), AsksForContext)

    assert step.context.request_id


def test_make_all_keywords_are_given_where_they_are_asked_for(claim):
    job = claim()

    (step,) = made(job, AsksForAll)

    assert step.given.keys() == {"context", "novaclient", "update_host_method"}
    assert step.given["novaclient"] is job.world.cloud
    assert step.given["update_host_method"] is None


@pytest.mark.parametrize("factory", [Bare, Noop], ids=["TaskFlow's", "a step of ours"])
def test_make_task_that_asks_for_nothing(claim, factory):
    (step,) = made(claim(), factory)

    assert type(step) is factory


def test_make_task_that_takes_any_keyword_gets_all_and_tells_taskflow_its_own(claim):
    (step,) = made(claim(), AsksForAnything)

    assert "update_host_method" in step.given
    assert step.requires == {"host_name", "notification_uuid"}


@pytest.mark.parametrize(
    ("factory", "name"),
    [(Inherits, "Inherits"), (NamesItself, "tell-operators")],
    ids=["of its class", "of its own"],
)
def test_make_name_that_clients_see(claim, factory, name):
    (step,) = made(claim(), factory)

    assert step.name == name


def test_make_masakari_task_has_context_and_novaclient(claim):
    job = claim(request_id="req-77")

    (step,) = made(job, Inherits)

    assert step.context.request_id == "req-77"
    assert step.novaclient is job.world.cloud


def test_make_steps_know_their_job(claim):
    job = claim()

    (step,) = made(job, Noop)

    assert isinstance(step, Step)
    assert step.job is job


def test_make_equal_names_in_one_flow_are_told_apart(claim):
    """Two entry points may be of one class, and two packages may name a class alike."""
    steps = made(claim(), Noop, Inherits, Noop, Noop)

    assert [step.name for step in steps] == ["Noop", "Inherits", "Noop_2", "Noop_3"]


@pytest.mark.parametrize(
    ("said", "is_reserved"),
    [(("compute9",), False), (("compute9", True), True), (("compute2",), True)],
    ids=["used", "still reserved", "another host"],
)
def test_make_update_host_method_tells_that_a_reserved_host_is_used(
    claim, segment, said, is_reserved
):
    """A third party's task has moved a VM there by itself."""
    job = claim()
    job.world.cloud.add_host("compute9")
    spare_host = rows.host(job.world.database, "compute9", segment, reserved=True)

    with reserved.taken(job, ()) as spare:
        (step,) = made(dataclasses.replace(job, spare=spare), AsksForAll)
        step.given["update_host_method"](step.given["context"], *said)

    assert db.hosts.find(job.world.database, spare_host.uuid).reserved is is_reserved


# ---- what they may ask for


def test_chapters_offer_what_is_documented(claim):
    vm = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED", "instance_uuid": "vm1"}
    dead = claim("compute1")
    broken = claim("compute2", type="PROCESS", payload={"event": "STOPPED", "process_name": "x"})
    failed = claim("compute3", type="VM", payload=vm)

    stores = [
        flows.host_chapter(dead, "anywhere", ()).store,
        flows.host_chapter(dead, "r", (), reserved_host="h", reserved_host_list=["h"]).store,
        flows.instance_chapter(failed, "restart", ()).store,
        flows.process_chapter(broken, "process", ()).store,
    ]

    assert stores == [
        {"host_name": "compute1", "notification_uuid": dead.uuid},
        {
            "host_name": "compute1",
            "notification_uuid": dead.uuid,
            "reserved_host": "h",
            "reserved_host_list": ["h"],
        },
        {"instance_uuid": "vm1", "notification_uuid": failed.uuid},
        {"process_name": "x", "host_name": "compute2", "notification_uuid": broken.uuid},
    ]
