"""The simulated cloud over HTTP: who may do what, the controls, the hosts' ports, the program."""

import datetime
import re
import signal
import socket
import subprocess
import sys

import pytest
import requests

from masakari.clock import SystemClock
from masakari.sim.cloud import SimCloud
from masakari.sim.http import SimServer
from masakari.tests.contract.worlds import SteppingClock


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.fixture
def server(clock):
    with SimServer(SimCloud(clock)) as server:
        server.control.reset(hosts=3, load={"compute-1": 2, "compute-2": 1}, node_suffix=".lan")
        yield server


def call(server, method, path, *, token="admin-token", version="2.94", json=None):
    headers = {"OpenStack-API-Version": f"compute {version}"}
    if token:
        headers["X-Auth-Token"] = token
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, server.url + path, headers=headers, json=json, timeout=10)


def nova(server, method, path, **kwargs):
    return call(server, method, f"/compute/v2.1{path}", **kwargs)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


# ---- Keystone


def log_in(server, user, password="secret", scope=None):
    who = {"name": user, "password": password, "domain": {"id": "default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": who}}}
    if scope:
        auth["scope"] = scope
    return call(server, "POST", "/v3/auth/tokens", token=None, json={"auth": auth})


def test_keystone_token_is_valid_until_it_expires(server, clock):
    server.keystone.token_life_s = 60
    issued = log_in(server, "demo", scope={"project": {"name": "p", "domain": {"id": "default"}}})
    token = issued.headers["X-Subject-Token"]

    first = nova(server, "GET", "/servers", token=token)
    clock.sleep(61)
    second = nova(server, "GET", "/servers", token=token)

    assert (issued.status_code, issued.json()["token"]["project"]["name"]) == (201, "p")
    assert (first.status_code, second.status_code) == (200, 401)


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        ("admin", {"admin", "manager", "member", "reader"}),
        ("masakari", {"admin", "service"}),
        ("demo", {"member", "reader"}),
        ("reader", {"reader"}),
    ],
)
def test_keystone_users_have_their_roles(server, user, roles):
    token = log_in(server, user).json()["token"]

    assert {role["name"] for role in token["roles"]} == roles


def test_keystone_wrong_password_is_401(server):
    assert log_in(server, "admin", "wrong").status_code == 401


def test_keystone_malformed_login_is_400(server):
    answer = call(server, "POST", "/v3/auth/tokens", token=None, json={"auth": []})

    assert answer.status_code == 400


def test_keystone_catalogue_has_instance_ha_with_project(server):
    server.keystone.ha_url = "http://ha/v1/$PROJECT"
    token = log_in(server, "admin").json()["token"]

    urls = {s["type"]: s["endpoints"][0]["url"] for s in token["catalog"]}

    assert urls["instance-ha"] == f"http://ha/v1/{token['project']['id']}"
    assert urls["compute"] == f"{server.url}/compute/v2.1"
    assert urls["identity"] == server.auth_url


# ---- Nova


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/os-services", None, 401),
        ("/os-services", "nonsense", 401),
        ("/os-services", "demo-token", 403),
        ("/os-migrations", "reader-token", 403),
        ("/os-services", "masakari-token", 200),
        ("/os-aggregates", "demo-token", 403),
        ("/os-aggregates", "masakari-token", 200),
        ("/nothing", "admin-token", 404),
    ],
)
def test_nova_lets_in_whom_it_should(server, path, token, status):
    assert nova(server, "GET", path, token=token).status_code == status


def test_nova_member_sees_servers_of_the_own_project_only(server):
    server.cloud.add_server("compute-3", "other", project="other")

    own = nova(server, "GET", "/servers/detail?host=compute-3", token="demo-token").json()
    refused = nova(server, "GET", "/servers/detail?all_tenants=1", token="demo-token")
    everything = nova(server, "GET", "/servers/detail?all_tenants=1").json()
    admins = nova(server, "GET", "/servers/detail").json()

    assert [len(found["servers"]) for found in (own, everything, admins)] == [3, 4, 0]
    assert refused.status_code == 403


def test_nova_unknown_microversion_is_406(server):
    assert nova(server, "GET", "/os-services", version="2.97").status_code == 406


@pytest.mark.parametrize(
    ("version", "there", "missing"),
    [
        ("2.1", "OS-EXT-SRV-ATTR:host", "locked"),
        ("2.9", "locked", "host_status"),
        ("2.73", "locked_reason", "uuid"),
    ],
)
def test_nova_fields_follow_the_microversion(server, version, there, missing):
    path = "/servers/detail?all_tenants=1&host=compute-2"
    (row,) = nova(server, "GET", path, version=version).json()["servers"]

    assert there in row
    assert missing not in row
    assert row["OS-EXT-SRV-ATTR:hypervisor_hostname"] == "compute-2.lan"


def test_nova_page_has_a_link_to_the_next(server):
    path = "/servers/detail?all_tenants=1&limit=2"
    first = nova(server, "GET", path).json()
    (link,) = first["servers_links"]

    second = call(server, "GET", link["href"].removeprefix(server.url)).json()

    assert (len(first["servers"]), len(second["servers"])) == (2, 1)
    assert "servers_links" not in second


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lock": None, "unlock": None},
        {"dance": None},
        {"evacuate": {"force": True}},
        {"migrate": {"host": "compute-2"}},
        {"reboot": {"type": "SOFT"}},
    ],
)
def test_nova_malformed_action_is_400(server, body):
    (vm, *_) = server.cloud.vms

    assert nova(server, "POST", f"/servers/{vm}/action", json=body).status_code == 400


@pytest.mark.parametrize(
    ("action", "token", "status"),
    [
        ({"migrate": None}, "masakari-token", 202),
        ({"migrate": None}, "demo-token", 403),
        ({"reboot": {"type": "HARD"}}, "demo-token", 202),
        ({"confirmResize": None}, "demo-token", 409),
    ],
)
def test_nova_action_is_for_those_who_may(server, action, token, status):
    (vm, *_) = server.cloud.vms

    answer = nova(server, "POST", f"/servers/{vm}/action", token=token, json=action)

    assert answer.status_code == status


NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "method", "body", "statuses"),
    [
        ("/servers/VM/action", "POST", {"evacuate": {"host": "nowhere"}}, (404, 403)),
        ("/servers/VM/action", "POST", {"evacuate": {"force": True}}, (400, 400)),
        (f"/servers/{NOBODY}/action", "POST", {"evacuate": {}}, (404, 404)),
        ("/servers/OTHER/action", "POST", {"lock": None}, (202, 404)),
        (f"/os-services/{NOBODY}", "PUT", {}, (404, 403)),
        ("/os-aggregates/99/action", "POST", {"add_host": {"host": "nowhere"}}, (404, 403)),
    ],
)
def test_nova_looks_up_and_decides_in_the_order_of_the_real_one(
    server, path, method, body, statuses
):
    (vm, *_) = server.cloud.vms
    other = server.cloud.add_server("compute-3", "other", project="other")
    path = path.replace("VM", vm).replace("OTHER", other)

    answers = [
        nova(server, method, path, token=f"{user}-token", json=body).status_code
        for user in ("admin", "demo")
    ]

    assert tuple(answers) == statuses


def test_nova_denies_what_its_policy_file_denies(server):
    server.policy.denied.add("os_compute_api:os-evacuate")
    (vm, *_) = server.cloud.vms
    body = {"evacuate": {"host": "nowhere"}}

    answer = nova(server, "POST", f"/servers/{vm}/action", json=body)

    assert answer.status_code == 403
    assert answer.json()["forbidden"]["message"] == (
        "Policy doesn't allow os_compute_api:os-evacuate to be performed."
    )


def test_nova_confirm_resize_answers_204(server, clock):
    (vm, *_) = server.cloud.vms
    nova(server, "POST", f"/servers/{vm}/action", json={"migrate": None})
    clock.sleep(2)

    answer = nova(server, "POST", f"/servers/{vm}/action", json={"confirmResize": None})

    assert answer.status_code == 204


def test_nova_migrations_are_told_by_type(server, clock):
    (vm, *_) = server.cloud.vms
    nova(server, "POST", f"/servers/{vm}/action", json={"migrate": None})
    clock.sleep(2)

    found = {
        kind: nova(server, "GET", f"/os-migrations?instance_uuid={vm}{kind}").json()["migrations"]
        for kind in ("", "&migration_type=migration", "&migration_type=evacuation")
    }

    assert [len(rows) for rows in found.values()] == [1, 1, 0]
    (row,) = found[""]
    assert (row["migration_type"], row["status"], row["source_compute"]) == (
        "migration",
        "finished",
        "compute-1",
    )


def test_nova_actions_name_users_by_their_ids(server):
    vm = server.cloud.vm("vm-compute-1-0")
    user = log_in(server, "masakari").json()["token"]["user"]["id"]
    nova(server, "POST", f"/servers/{vm.id}/action", token="masakari-token", json={"os-stop": None})

    path = f"/servers/{vm.id}/os-instance-actions"
    rows = nova(server, "GET", path, token="demo-token").json()["instanceActions"]
    limited = nova(server, "GET", f"{path}?limit=1").json()["instanceActions"]
    owner = nova(server, "GET", f"/servers/{vm.id}").json()["server"]["user_id"]

    assert [(row["action"], row["user_id"]) for row in rows] == [("stop", user), ("create", owner)]
    assert limited == rows[:1]
    assert user != owner


def test_nova_actions_of_other_projects_are_hidden(server):
    vm = server.cloud.add_server("compute-3", "other", project="other")

    path = f"/servers/{vm}/os-instance-actions"

    assert nova(server, "GET", path, token="demo-token").status_code == 404


@pytest.mark.parametrize("from_volume", [True, False])
def test_nova_server_has_an_image_unless_it_boots_from_a_volume(server, from_volume):
    vm = server.cloud.add_server("compute-3", "other", boots_from_volume=from_volume)

    image = nova(server, "GET", f"/servers/{vm}").json()["server"]["image"]

    assert (image == "") is from_volume
    assert from_volume or image["id"]


def test_nova_zone_of_a_host_is_that_of_its_aggregate(server):
    server.cloud.add_aggregate("room", ["compute-1"], zone="az1")

    services = nova(server, "GET", "/os-services").json()["services"]
    vm = nova(server, "GET", f"/servers/{server.cloud.vm('vm-compute-1-0').id}").json()["server"]

    assert [row["zone"] for row in services] == ["az1", "nova", "nova"]
    assert vm["OS-EXT-AZ:availability_zone"] == "az1"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/os-aggregates/1/action", {"add_host": {"host": "compute-2"}}, 200),
        ("/os-aggregates/1/action", {"dance": {"host": "compute-2"}}, 400),
        ("/os-aggregates/1/action", {"add_host": {}}, 400),
        ("/os-aggregates/one/action", {"add_host": {"host": "compute-2"}}, 400),
        ("/os-aggregates/1/dance", {}, 404),
    ],
)
def test_nova_changes_aggregates(server, path, body, status):
    server.cloud.add_aggregate("rack", ["compute-1"])

    answer = nova(server, "POST", path, json=body)

    assert answer.status_code == status
    assert status != 200 or answer.json()["aggregate"]["hosts"] == ["compute-1", "compute-2"]


def test_nova_from_2_95_leaves_evacuated_servers_stopped(server, clock):
    vm = server.cloud.vm("vm-compute-1-0")
    server.cloud.power_off("compute-1")
    clock.sleep(10)

    body = {"evacuate": {}}
    answer = nova(server, "POST", f"/servers/{vm.id}/action", version="2.95", json=body)
    clock.sleep(5)

    assert answer.status_code == 200
    assert nova(server, "GET", f"/servers/{vm.id}").json()["server"]["status"] == "SHUTOFF"


def test_nova_forced_down_is_kept_while_evacuations_are_done(server, clock):
    cloud = server.cloud
    service_id = cloud.hosts["compute-1"].service_id
    force = nova(server, "PUT", f"/os-services/{service_id}", json={"forced_down": True})
    cloud.evacuate(cloud.vm("vm-compute-1-0").id)
    clock.sleep(5)

    early = nova(server, "PUT", f"/os-services/{service_id}", json={"forced_down": False})
    cloud.start_compute("compute-1")
    late = nova(server, "PUT", f"/os-services/{service_id}", json={"forced_down": False})

    assert force.json()["service"]["state"] == "down"
    assert (early.status_code, late.status_code) == (400, 200)


# ---- the controls


def test_control_reset_builds_what_was_asked(server):
    answer = call(
        server,
        "POST",
        "/sim/reset",
        json={"prefix": "c", "hosts": 2, "load": {"c-1": 3}, "evac_time": 0.5, "latency": 0},
    )

    assert answer.json()["by_host"] == {"c-1": 3, "c-2": 0}
    assert server.cloud.settings.evacuation_s == 0.5
    assert call(server, "GET", "/sim/config").json()["evac_time"] == 0.5


def test_control_unknown_setting_is_400_and_named(server):
    answer = call(server, "PUT", "/sim/config", json={"gravity": 1})

    assert answer.status_code == 400
    assert "gravity" in answer.json()["error"]


def test_control_host_down_is_down_at_once(server):
    down = call(server, "PUT", "/sim/hosts/compute-1", json={"state": "down"}).json()
    disabled = call(server, "PUT", "/sim/hosts/compute-2", json={"status": "disabled"}).json()
    up = call(server, "PUT", "/sim/hosts/compute-1", json={"state": "up"}).json()

    assert (down["state"], down["powered"]) == ("down", False)
    assert (disabled["status"], disabled["state"]) == ("disabled", "up")
    assert (up["state"], up["powered"]) == ("up", True)


def test_control_unknown_host_or_deed_is_404(server):
    assert call(server, "POST", "/sim/hosts/nowhere/power_off").status_code == 404
    assert call(server, "POST", "/sim/hosts/compute-1/explode").status_code == 404
    assert call(server, "GET", "/sim/nothing").status_code == 404


def test_control_ledger_tells_what_ran_where(server, clock):
    vm = server.cloud.vm("vm-compute-2-0")
    call(server, "POST", "/sim/hosts/compute-2/cut_network")
    clock.sleep(10)
    server.cloud.evacuate(vm.id)
    clock.sleep(5)

    ledger = call(server, "GET", "/sim/ledger").json()

    assert len(ledger["violations"]) == 1
    assert len(ledger["without_proof"]) == 2
    assert sorted(ledger["running"][vm.name]) == ["compute-2", "compute-3"]
    assert [e["server"] for e in ledger["evacuations"]] == [vm.name]


def test_control_proof_and_stats(server, clock):
    vm = server.cloud.vm("vm-compute-2-0")
    call(server, "POST", "/sim/hosts/compute-2/power_off")
    clock.sleep(10)
    call(server, "POST", "/sim/clear")
    call(server, "POST", "/sim/proof", json={"host": "compute-2"})

    nova(server, "POST", f"/servers/{vm.id}/action", json={"evacuate": {}})
    clock.sleep(5)
    stats = call(server, "GET", "/sim/stats").json()

    assert call(server, "GET", "/sim/ledger").json()["without_proof"] == []
    assert stats["kinds"] == {"nova POST /servers/ID/action evacuate": 1}
    assert stats["evacuations"] == {
        "accepted": 1,
        "servers": 1,
        "twice": 0,
        "statuses": {"done": 1},
    }


def test_control_faults_are_planned_and_cleared(server):
    fault = {"verb": "compute_services", "error": 503, "times": None, "until": 60}
    call(server, "POST", "/sim/faults", json=fault)
    broken = nova(server, "GET", "/os-services")

    call(server, "DELETE", "/sim/faults")
    repaired = nova(server, "GET", "/os-services")

    assert (broken.status_code, repaired.status_code) == (503, 200)


def test_control_share_of_errors(server):
    call(server, "PUT", "/sim/config", json={"err500_pct": 50})

    codes = [nova(server, "GET", "/os-services").status_code for _ in range(40)]

    assert 5 < codes.count(500) < 35
    assert codes.count(500) + codes.count(200) == 40


# ---- the hosts' ports


def test_host_port_dies_with_power_and_comes_back_the_same(server):
    port = server.listeners.port("compute-1")
    seen = [listens(port)]

    for deed in ("power_off", "power_on", "cut_network", "heal_network"):
        call(server, "POST", f"/sim/hosts/compute-1/{deed}")
        seen.append(listens(port))

    assert seen == [True, False, True, False, True]
    assert server.listeners.port("compute-1") == port


def test_host_ports_follow_a_reset(server):
    old = server.listeners.port("compute-3")

    server.control.reset(hosts=1)

    assert not listens(old)
    assert listens(server.listeners.port("compute-1"))


def test_stop_closes_every_port():
    server = SimServer(SimCloud(SystemClock()))
    server.start()
    server.control.reset(hosts=1)
    port = server.listeners.port("compute-1")

    server.stop()

    assert not listens(port)
    assert not listens(int(server.url.rpartition(":")[2]))


# ---- the program


def test_program_serves_until_it_is_told_to_end():
    command = [sys.executable, "-m", "masakari.sim.http", "--port", "0", "--vms", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        url = re.search(r"control (\S+)/sim", program.stdout.readline())[1]
        with requests.Session() as session:
            session.trust_env = False
            stats = session.get(f"{url}/sim/stats", timeout=10).json()
            state = session.get(f"{url}/sim/state", timeout=10).json()
        program.send_signal(signal.SIGTERM)

    assert program.returncode == 0
    assert stats["by_host"] == {"compute-1": 2, "compute-2": 1, "compute-3": 1, "compute-4": 1}
    now = datetime.datetime.now(datetime.UTC)
    assert abs(datetime.datetime.fromisoformat(state["now"]) - now) < datetime.timedelta(minutes=1)
