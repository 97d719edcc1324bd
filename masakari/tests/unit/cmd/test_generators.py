"""oslo.config's and oslo.policy's tools know our options and rules, as processes of their own."""

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

from masakari.api import policy
from masakari.tests.functional.deployments import files

TREE = pathlib.Path(__file__).parents[4]
ETC = TREE / "etc"
BIN = pathlib.Path(sys.executable).parent
RULES = {rule.name for rule in policy.list_rules()}

pytestmark = pytest.mark.skipif(not ETC.exists(), reason="these tests read the source tree")


def run(tool: str, *argv: object, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / tool, *map(str, argv)],
        cwd=cwd,
        env={"HOME": str(cwd), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("namespace", "groups"),
    [
        ("masakari.conf", ["[DEFAULT]", "[host_failure]", "[taskflow]", "[wsgi]"]),
        ("customized_recovery_flow_opts", ["[taskflow_driver_recovery_flows]"]),
        ("masakarimonitors.conf", ["[api]", "[host]", "[process]"]),
    ],
)
def test_sample_of_a_namespace(tmp_path: pathlib.Path, namespace: str, groups: list[str]) -> None:
    done = run("oslo-config-generator", "--namespace", namespace, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert set(groups) <= set(done.stdout.splitlines())
    assert "$state_path" in done.stdout or namespace != "masakari.conf"


@pytest.mark.parametrize("path", sorted(ETC.rglob("*config-generator.conf")), ids=lambda p: p.name)
def test_sample_file(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    sample = tmp_path / "sample"

    done = run("oslo-config-generator", "--config-file", path, "--output-file", sample, cwd=TREE)

    assert done.returncode == 0, done.stderr
    assert "Failed" not in done.stderr
    assert sample.stat().st_size > 1000


@pytest.mark.parametrize(
    ("generator", "text"),
    [
        ("masakari/masakari", files.KOLLA["etc/masakari/masakari.conf"]),
        ("masakari/masakari", files.DEBIAN["home/.masakari/masakari.conf"]),
        (
            "masakarimonitors/masakarimonitors",
            files.KOLLA["etc/masakari-monitors/masakari-monitors.conf"],
        ),
        ("masakarimonitors/masakarimonitors", files.HELM["etc/masakari/masakarimonitors.conf"]),
    ],
    ids=["kolla", "debian", "kolla's monitors", "helm's monitors"],
)
def test_deployments_are_valid_for_oslos_validator(
    tmp_path: pathlib.Path, generator: str, text: str
) -> None:
    (tmp_path / "file.conf").write_text(text)
    config = ETC / f"{generator}-config-generator.conf"

    done = run(
        *("oslo-config-validator", "--config-file", config, "--input-file", "file.conf"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr


# ---- policies


def test_sample_of_the_policies(tmp_path: pathlib.Path) -> None:
    done = run("oslopolicy-sample-generator", "--namespace", "masakari", cwd=tmp_path)

    told = yaml.safe_load(done.stdout.replace('#"', '"'))
    assert (done.returncode, set(told)) == (0, RULES), done.stderr


@pytest.fixture
def policy_file(tmp_path: pathlib.Path) -> pathlib.Path:
    """One rule is changed, another one as it is anyway; a configuration names it."""
    rules = {"os_masakari_api:segments:index": "role:auditor", "admin_api": "is_admin:True"}
    path = tmp_path / "my-policy.yaml"
    path.write_text(yaml.safe_dump(rules))
    (tmp_path / "masakari.conf").write_text(f"[oslo_policy]\npolicy_file = {path}\n")
    return path


CONFIGURED = ("--namespace", "masakari", "--config-file", "masakari.conf")


def test_policies_in_effect(tmp_path: pathlib.Path, policy_file: pathlib.Path) -> None:
    done = run("oslopolicy-policy-generator", *CONFIGURED, cwd=tmp_path)

    told = yaml.safe_load(done.stdout)
    assert done.returncode == 0, done.stderr
    assert told["os_masakari_api:segments:index"] == "role:auditor"
    assert set(told) == RULES


def test_redundant_policies(tmp_path: pathlib.Path, policy_file: pathlib.Path) -> None:
    done = run("oslopolicy-list-redundant", *CONFIGURED, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert '"admin_api": "is_admin:True"' in done.stdout
    assert "segments:index" not in done.stdout


def test_policy_file_is_validated(tmp_path: pathlib.Path, policy_file: pathlib.Path) -> None:
    assert run("oslopolicy-validator", *CONFIGURED, cwd=tmp_path).returncode == 0

    policy_file.write_text("nobody_knows_it: 'role:x'\n")
    assert run("oslopolicy-validator", *CONFIGURED, cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("tool", ["policy-upgrade", "convert-json-to-yaml"])
def test_old_policy_file_is_rewritten(tmp_path: pathlib.Path, tool: str) -> None:
    (tmp_path / "old.json").write_text('{"os_masakari_api:segments:index": "role:auditor"}')

    done = run(
        *(f"oslopolicy-{tool}", "--namespace", "masakari"),
        *("--policy-file" if tool.startswith("convert") else "--policy", "old.json"),
        *("--output-file", "new.yaml"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    told = yaml.safe_load((tmp_path / "new.yaml").read_text())
    assert told["os_masakari_api:segments:index"] == "role:auditor"


# ---- the samples in etc/


REGENERATE = "tox -e genconfig,genpolicy writes it anew"
SAMPLES = [
    ("masakari/masakari", "masakari.conf"),
    ("masakari/masakari-custom-recovery-methods", "customized_recovery_flow_opts"),
    ("masakarimonitors/masakarimonitors", "masakarimonitors.conf"),
]
NAMED = re.compile(r"^#?([A-Za-z_][\w-]*) =", re.MULTILINE)


def by_section(text: str) -> dict[str, str]:
    """{[section]: what stands in it}."""
    parts = re.split(r"^(\[\S+\])$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("sample", "namespace"), SAMPLES, ids=[name for _, name in SAMPLES])
def test_sample_has_our_options_as_they_are_now(
    tmp_path: pathlib.Path, sample: str, namespace: str
) -> None:
    committed = by_section((ETC / f"{sample}.conf.sample").read_text())
    done = run(
        *("oslo-config-generator", "--namespace", namespace, "--wrap-width", "80"), cwd=tmp_path
    )

    for section, text in by_section(done.stdout).items():
        entries = [entry.strip() for entry in text.split("\n\n") if NAMED.search(entry)]
        stale = [entry for entry in entries if entry not in committed[section]]
        assert stale == [], REGENERATE


@pytest.mark.parametrize(("sample", "namespace"), SAMPLES, ids=[name for _, name in SAMPLES])
def test_sample_has_no_option_that_is_gone(
    tmp_path: pathlib.Path, sample: str, namespace: str
) -> None:
    done = run("oslo-config-generator", "--namespace", namespace, cwd=tmp_path)
    committed = by_section((ETC / f"{sample}.conf.sample").read_text())

    for section, text in by_section(done.stdout).items():
        if section not in SHARED:
            assert set(NAMED.findall(committed[section])) <= set(NAMED.findall(text)), REGENERATE


SHARED = {"[DEFAULT]", "[api]", "[database]", "[oslo_messaging_rabbit]"}
"""Libraries have options there, too."""


def test_sample_of_the_policies_is_current(tmp_path: pathlib.Path) -> None:
    done = run("oslopolicy-sample-generator", "--namespace", "masakari", cwd=tmp_path)

    assert (ETC / "masakari/policy.yaml.sample").read_text() == done.stdout, REGENERATE
