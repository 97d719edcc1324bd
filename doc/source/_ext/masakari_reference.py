"""Writes the reference pages from the code: options, policies, operations, words.

The pages are made anew by each build, below _generated/ (which git ignores).
"""

import ast
import csv
import importlib.metadata
import inspect
import json
import pathlib
import re
from collections.abc import Iterable, Iterator

from oslo_config import cfg
from sphinx.application import Sphinx

import masakari.conf
from masakari import errors, states, vm_events
from masakari.api import documents, operation, policy, versions
from masakari.conf import types, unused
from masakari.engine import gates
from masakari.vm_events import VmEventAction

OPENSTACK_OPTIONS = "admin/openstack-options.csv"
WORDS = {
    "Integer": "integer",
    "Float": "number",
    "Boolean": "boolean",
    "List": "list, separated by commas",
    "Dict": "key:value pairs, separated by commas",
    "Port": "port",
    "HostAddress": "host name or address",
    "URI": "URL",
    "HttpUrl": "URL",
    "Regex": "regular expression",
    "RecoveryFlow": "tasks by part",
}


def escape(text: str) -> str:
    """*text* without meaning for reStructuredText."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def heading(text: str, line: str) -> str:
    """*text* underlined."""
    return f"{text}\n{line * len(text)}\n\n"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]], widths: str) -> str:
    """A list-table."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [titles, *rows]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(row)]
    return "\n".join(lines) + "\n\n"


# ---- options


def value_type(opt: cfg.Opt) -> str:
    """The type and the range of an option, in words."""
    kind = opt.type
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if isinstance(kind, types.Choices):
        return f"``{kind.type_name}`` pairs, separated by commas"
    words = WORDS.get(type(kind).__name__, "string")
    if words == "port":
        return words
    if low is not None and high is not None:
        return f"{words}, {low} to {high}"
    if low is not None:
        return f"{words}, at least {low}"
    return words if high is None else f"{words}, at most {high}"


def default_of(opt: cfg.Opt) -> str:
    """What holds if the option is not given."""
    value = opt.sample_default if opt.sample_default is not None else opt.default
    if value is None:
        return "not set"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, dict):
        (value,) = opt.type.format_defaults(value)
    return f"default ``{value}``" if str(value) else "default empty"


def remarks(opt: cfg.Opt) -> Iterator[str]:
    """Sentences behind the help."""
    if opt.mutable:
        yield "Read again at SIGHUP."
    if opt.deprecated_for_removal:
        yield f"Deprecated: {opt.deprecated_reason}"
    old = {name.name.replace("-", "_") for name in opt.deprecated_opts if name.name} - {opt.dest}
    if old:
        yield f"Also accepted under the name {', '.join(sorted(old))}."


def option(opt: cfg.Opt) -> str:
    """One entry of a definition list; in a file an option goes by its *dest*."""
    facts = [value_type(opt), "required" if opt.required else default_of(opt)]
    sentence = re.sub(r"(?<![.:])$", ".", (opt.help or "").strip())
    text = " ".join([escape(sentence), *map(escape, remarks(opt))])
    entry = f"``{opt.dest}`` ({'; '.join(facts)})\n    {text}\n"
    for value, meaning in (getattr(opt.type, "choices", None) or {}).items():
        entry += f"\n    * ``{value}``" + (f": {escape(meaning)}" if meaning else "")
    return entry.rstrip() + "\n\n"


def options(listed: Iterable[tuple[str, list[cfg.Opt]]]) -> str:
    """Every option, by group."""
    groups: dict[str, list[cfg.Opt]] = {}
    for group, opts in listed:
        groups.setdefault(group, []).extend(opts)
    text = ""
    for group, opts in groups.items():
        text += heading(f"[{group}]", "-")
        text += "".join(option(opt) for opt in sorted(opts, key=lambda opt: opt.dest))
    return text


def server_options() -> list[tuple[str, list[cfg.Opt]]]:
    """Ours, and what our servers do with an option of oslo.service."""
    (listed,) = importlib.metadata.entry_points(
        group="oslo.config.opts", name="oslo.service.service"
    )
    used = "graceful_shutdown_timeout"
    theirs = [opt for _, opts in listed.load()() for opt in opts if opt.dest == used]
    return [*masakari.conf.list_opts(), ("DEFAULT", theirs)]


def mutable_options() -> str:
    """Those that are read again at SIGHUP, of ours and of the libraries' that our programs use."""
    entries = importlib.metadata.entry_points(group="oslo.config.opts")
    logging = [("DEFAULT", opt) for _, opts in entries["oslo.log"].load()() for opt in opts]
    ours = [
        (group, opt)
        for group, opts in [*masakari.conf.list_opts(), *masakari.conf.list_monitor_opts()]
        for opt in opts
        if not isinstance(opt, unused.Unused)
    ]
    found = {
        f"* ``[{group}] {opt.dest}``: {escape(opt.help.split('. ')[0].rstrip('.'))}."
        for group, opt in [*ours, *logging]
        if opt.mutable
    }
    return "\n".join(sorted(found)) + "\n"


FATES = {
    "used": "used",
    "deprecated": "used, and deprecated",
    "ignored": "no effect, told at start",
    "built in": "another value has no effect, told at start",
    "silent": "no effect",
}
"""What becomes of an option of OpenStack's, as the table has it and in words."""


def openstack_options(table_file: pathlib.Path, program: str) -> str:
    """What becomes of OpenStack's options: the table, and from the code what takes their place."""
    listed = [*masakari.conf.list_opts(), *masakari.conf.list_monitor_opts()]
    instead = {
        (group, opt.dest): opt.instead
        for group, opts in listed
        for opt in opts
        if isinstance(opt, unused.Unused)
    }
    with table_file.open() as file:
        found = [row for row in csv.DictReader(file) if row["program"] == program]
    rows = []
    for row in found:
        here = f", here ``{row['here']}``" if row["here"] else ""
        place = instead.get((row["group"], row["option"]), "")
        rows.append(
            (
                f"``[{row['group']}] {row['option']}``",
                row["type"].replace("|", ", "),
                (f"``{row['default']}``" if row["default"] else "not set") + here,
                FATES[row["fate"]] + (f": {escape(place)}" if place else ""),
            )
        )
    return table(("Option", "Type", "Default", "What becomes of it"), rows, "32 12 26 30")


# ---- the API


def operations() -> str:
    """What the API answers, by path."""
    rows = [
        (
            f"``{op.method}``",
            f"``{path}``" if path else "(empty)",
            str(op.status),
            ", ".join(map(versions.text, sorted(op.body))) or "-",
            op.description.replace("*", ""),
        )
        for op in sorted(operation.OPERATIONS, key=lambda op: (op.paths, op.method))
        for path in op.paths
    ]
    return table(("Method", "Path", "Status", "Bodies from", "What it does"), rows, "9 38 8 10 35")


def policies() -> str:
    """Every rule with its default."""
    text = ""
    for rule in sorted(policy.list_rules(), key=lambda rule: ":" not in rule.name):
        text += f"``{rule.name}``\n    {escape(rule.description or '')}\n\n"
        text += f"    Default: ``{rule.check_str or '(anybody)'}``\n\n"
        for call in getattr(rule, "operations", ()):
            text += f"    * ``{call['method']} {call['path'] or '/'}``\n"
        text += "\n"
    return text


# ---- words


def meanings(words: type[states.StrEnum]) -> dict[str, str]:
    """Each member's name, and the string below it in the source."""
    found: dict[str, str] = {}
    name = ""
    for node in ast.walk(ast.parse(inspect.getsource(words))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = inspect.cleandoc(str(node.value.value)).replace("\n", " ")
    return found


def words(enum: type[states.StrEnum]) -> str:
    """Every word of an enumeration, with its meaning."""
    told = meanings(enum)
    rows = [(f"``{member.value}``", told.get(member.name, "")) for member in enum]
    return table(("Word", "Meaning"), rows, "25 75")


def refusals() -> str:
    """The words of answers of the API, with the statuses that they come with."""
    statuses: dict[states.Reason, int] = {}
    for error in vars(errors).values():
        is_ours = isinstance(error, type) and issubclass(error, errors.MasakariError)
        if is_ours and error.reason is not None and error.status != 500:
            statuses[error.reason] = error.status
    told = meanings(states.Reason)
    rows = [
        (f"``{word.value}``", str(statuses[word]), told[word.name])
        for word in states.Reason
        if word in statuses
    ]
    return table(("Word", "Status", "Meaning"), rows, "25 10 65")


def gate_table() -> str:
    """The gates in their order: the question, and the word for a no."""
    rows = []
    for gate in gates.GATES:
        found = dict.fromkeys(re.findall(r"Reason\.([A-Z_]+)", inspect.getsource(gate)))
        reasons = ", ".join(f"``{states.Reason[name].value}``" for name in found)
        rows.append(((inspect.getdoc(gate) or "").partition("\n\n")[0], reasons))
    return table(("Question", "Word when the answer is no"), rows, "60 40")


def vm_event_table() -> str:
    """Events of VMs, those that are answered first."""
    rows = [
        (f"``{event}``", f"``{detail}``", entry.action.value, entry.meaning)
        for (event, detail), entry in sorted(
            vm_events.EVENTS.items(), key=lambda row: row[1].action != VmEventAction.RESTART
        )
    ]
    return table(("event", "vir_domain_event", "Action", "Meaning"), rows, "16 24 10 50")


def generate(app: Sphinx) -> None:
    """All pages are as the code is now."""
    masakari.conf.set_defaults()
    pages = {
        "options-server": options(server_options()),
        "options-monitors": options(masakari.conf.list_monitor_opts()),
        "openstack-options-server": openstack_options(
            pathlib.Path(app.srcdir, OPENSTACK_OPTIONS), "server"
        ),
        "openstack-options-monitors": openstack_options(
            pathlib.Path(app.srcdir, OPENSTACK_OPTIONS), "monitors"
        ),
        "mutable-options": mutable_options(),
        "operations": operations(),
        "policies": policies(),
        "gates": gate_table(),
        "vm-events": vm_event_table(),
        "refusals": refusals(),
        "reasons": words(states.Reason),
        "notification-statuses": words(states.NotificationStatus),
        "vmove-statuses": words(states.VMoveStatus),
        "recovery-methods": words(states.RecoveryMethod),
    }
    target = pathlib.Path(app.srcdir, "_generated")
    target.mkdir(exist_ok=True)
    files = {f"{name}.inc": text for name, text in pages.items()}
    files["openapi.json"] = json.dumps(documents.document())
    for name, text in files.items():
        path = target / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", generate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
