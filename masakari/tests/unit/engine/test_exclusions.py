"""The file of what recovery never touches: what it means, and what becomes of mistakes."""

import pathlib
from collections.abc import Callable

import pytest

from masakari.cloud import Server
from masakari.engine import exclusions
from masakari.engine.exclusions import Exclusions
from masakari.errors import ConfigInvalid

VM = "8c4f5a1e-2f3b-4d55-9a5e-0a6f1f5f5a10"
AMPHORA = f"amphora-{VM}"
ETC = pathlib.Path(__file__).parents[4] / "etc" / "masakari" / "exclusions.yaml"

Load = Callable[[str | bytes], Exclusions]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "exclusions.yaml"


@pytest.fixture
def load(path: pathlib.Path) -> Load:
    """The rules of a file with that content."""

    def call(content: str | bytes) -> Exclusions:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return exclusions.load(str(path))

    return call


def vm(name: str = "web1", id: str = VM, project: str | None = "p1") -> Server:
    return Server(id=id, name=name, host="compute1", vm_state="active", project_id=project)


# ---- what is left alone


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpu-7", "excluded by hosts: gpu-*"),
        ("compute17", "excluded by hosts: compute1[67]"),
        ("compute1", None),
        ("GPU-7", None),
        ("my-gpu-7", None),
    ],
)
def test_hosts_by_pattern(load: Load, name: str, reason: str | None) -> None:
    assert load("hosts: [gpu-*, 'compute1[67]']").host(name) == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"instances: [{VM}]", f"excluded by instances: {VM}"),
        (f"instances: [{VM.upper()}]", f"excluded by instances: {VM}"),
        ("projects: [p2, p1]", "excluded by projects: p1"),
        ("names: ['*db*', 'web?']", "excluded by names: web?"),
        (f"instances: [{VM[::-1]}]\nprojects: [p]\nnames: [Web1, web]\nhosts: [web1]", None),
    ],
    ids=["id", "id in capitals", "project", "name", "none"],
)
def test_servers(load: Load, content: str, reason: str | None) -> None:
    assert load(content).server(vm()) == reason


def test_server_without_a_project_is_in_none(load: Load) -> None:
    assert load("projects: [None]").server(vm(project=None)) is None


# ---- the default


def test_amphora_is_left_alone_by_default() -> None:
    why = exclusions.load(None).server(vm(AMPHORA))

    assert why is not None
    assert "Octavia replaces" in why


@pytest.mark.parametrize(
    "name", ["amphora", "amphora-1", f"{AMPHORA}-copy", f"my-{AMPHORA}", AMPHORA.upper()]
)
def test_other_names_are_no_amphorae(name: str) -> None:
    assert exclusions.load(None).server(vm(name)) is None


@pytest.mark.parametrize(
    ("content", "is_left_alone"),
    [("", True), ("hosts: []", True), ("defaults: yes", True), ("defaults: false", False)],
)
def test_default_can_be_switched_off(load: Load, content: str, is_left_alone: bool) -> None:
    assert (load(content).server(vm(AMPHORA)) is not None) == is_left_alone


# ---- the file


@pytest.mark.parametrize(
    "content",
    ["", "# nothing\n", "---\n", "hosts:\nnames:\n", "{}", b"\xef\xbb\xbfhosts: []"],
    ids=["empty", "comment", "null", "keys without a list", "mapping", "byte order mark"],
)
def test_file_that_excludes_nothing(load: Load, content: str | bytes) -> None:
    rules = load(content)

    assert rules.host("compute1") is None
    assert rules.server(vm()) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("hosts: []\nnames:\n  - web\n  - 12\n", "line 4: names: 12 is not text"),
        ("projects: [2024-01-01]", "line 1: projects: 2024-01-01 is not text"),
        ("hosts:\n- [a]", "line 2: hosts: a list is not text"),
        ("names:\n- {a: b}", "line 2: names: a mapping is not text"),
        ("names:\n- !!str {a: b}", "line 2: names: a mapping is not text"),
        ("names:\n-\n", "line 2: names: an entry is empty"),
        ("names: ['']", "line 1: names: an entry is empty"),
        ("hosts: gpu-*", "line 1: hosts: gpu-* is not a list"),
        ("\ninstances:\n- web1", "line 3: instances: 'web1' is not a uuid"),
        ("defaults: 1", "line 1: defaults: 1 is neither true nor false"),
        ("defaults: !!bool maybe", "line 1: defaults: maybe is neither true nor false"),
        ("defaults: []", "line 1: defaults: a list is neither true nor false"),
        (
            "hosts: []\nvms: []",
            "line 2: unknown key vms; known are hosts, instances, projects, names, defaults",
        ),
        (
            "? [hosts]\n: []",
            "line 1: unknown key a list; known are hosts, instances, projects, names, defaults",
        ),
        ("names: [a]\nhosts: []\nnames: [b]", "line 3: names is given twice"),
        (
            "- gpu-*",
            "line 1: is not a list of keys; known are hosts, instances, projects, names, defaults",
        ),
        ("names: [*web]", "line 1: is not YAML: found undefined alias 'web'"),
        ("hosts: []\n\tnames: []", "line 2: is not YAML: while scanning for the next token, "),
        ("a: b\n---\nc: d", "line 2: is not YAML: expected a single document in the stream, "),
        (b"hosts: []\nnames: [\xff]", "line 2: is not UTF-8"),
        (b"hosts: []\n\0", "line 2: is not YAML: the character U+0000"),
        (b"[" * 20000, "line 1: is nested too deeply"),
    ],
    ids=range(22),
)
def test_mistake_is_told_with_its_line(
    load: Load, path: pathlib.Path, content: str | bytes, problem: str
) -> None:
    with pytest.raises(ConfigInvalid) as e:
        load(content)

    assert str(e.value).startswith(f"[engine] exclusions_file: {path}, {problem}")


def test_file_that_is_not_there_is_told(path: pathlib.Path) -> None:
    with pytest.raises(ConfigInvalid) as e:
        exclusions.load(str(path))

    assert str(e.value) == f"[engine] exclusions_file: {path}: No such file or directory"


def test_directory_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigInvalid, match="Is a directory"):
        exclusions.load(str(tmp_path))


@pytest.mark.skipif(not ETC.exists(), reason="this test reads the source tree")
def test_example_is_valid_with_and_without_its_comments(load: Load) -> None:
    text = ETC.read_text()

    commented = load(text)
    uncommented = load(text.replace(": []\n", ":\n").replace("\n#  -", "\n  -"))

    assert commented.host("gpu-7") is None
    assert uncommented.host("gpu-7") == "excluded by hosts: gpu-*"
    assert uncommented.server(vm("my-debug", id="9")) == "excluded by names: *-debug"


# ---- reload


def test_reload_takes_the_file_as_it_is(
    load: Load, path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rules = load("hosts: [compute1]")

    path.write_text("hosts: [compute2, compute3]\nprojects: [p9]")
    rules.reload()

    assert [rules.host(f"compute{i}") is not None for i in (1, 2, 3)] == [False, True, True]
    assert f"{path}: 3 exclusions are in force" in caplog.text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("hosts: []\nnames: [12]", ", line 2: names: 12 is not text"),
        (None, ": No such file or directory"),
    ],
    ids=["junk", "gone"],
)
def test_reload_of_what_cannot_be_used_keeps_the_last_good(
    load: Load,
    path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    content: str | None,
    problem: str,
) -> None:
    rules = load("hosts: [compute1]")

    path.unlink() if content is None else path.write_text(content)
    rules.reload()

    assert rules.host("compute1") == "excluded by hosts: compute1"
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == f"the exclusions stay as they were: {path}{problem}"


def test_reload_without_a_file_keeps_the_defaults(caplog: pytest.LogCaptureFixture) -> None:
    rules = exclusions.load(None)

    rules.reload()

    assert rules.server(vm(AMPHORA)) is not None
    assert caplog.records == []
