"""What configuration files say that has no effect: options nobody uses, and misspelt ones."""

import contextlib
import difflib
import importlib.metadata
import logging
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading
from oslo_config import cfg

from masakari.conf import unused

CLOSE = 0.8
"""How alike (0 to 1) an unknown name is to a known one for which it was probably meant."""
CLOSE_GROUP = 0.85
LIBRARIES = {"oslo.log", "oslo.messaging", "oslo.service.service"}
"""Those that have options in groups of ours.  Others may declare theirs on the global CONF."""
ELSEWHERE = {
    ("DEFAULT", name)
    for name in (
        # deployments set it; whether the library still has it depends on its release
        "use_journal",
        # of oslo.service's server, which cannot be asked: it imports eventlet
        "api_paste_config",
        "client_socket_timeout",
        "max_header_line",
        "tcp_keepidle",
        "wsgi_default_pool_size",
        "wsgi_keep_alive",
        "wsgi_log_format",
    )
}
"""Nothing is said about them."""

Names = Mapping[str, set[str]]
"""Group -> options"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence for the operator, as loud as *level* (logging's)."""

    level: int
    text: str


def review(conf: cfg.ConfigOpts, ours: Iterable[tuple[str, Iterable[cfg.Opt]]]) -> list[Finding]:
    """What is to be said about the files that *conf*, with all options declared, was read from.

    *ours* are the options of all our programs, used or not: several programs may share a file.
    """
    listed = [(group, opt) for group, opts in ours for opt in opts]
    return [*_unused(conf, listed), *_unknown(conf, listed)]


# ---- accepted, without effect


def _unused(conf: cfg.ConfigOpts, listed: Iterable[tuple[str, cfg.Opt]]) -> Iterator[Finding]:
    told: dict[tuple[int, str], list[str]] = {}
    for group, opt in listed:
        if isinstance(opt, unused.Unused) and _is_told(conf, group, opt):
            names = told.setdefault((opt.level, opt.instead), [])
            if (name := _text(group, opt.dest)) not in names:
                names.append(name)
    for (level, instead), names in told.items():
        verb = "has" if len(names) == 1 else "have"
        yield Finding(level, f"{', '.join(names)} {verb} no effect: {instead}")


def _is_told(conf: cfg.ConfigOpts, group: str, opt: unused.Unused) -> bool:
    """Whether somebody has set it, to something else than what is done anyway."""
    try:
        is_default = group == "DEFAULT"
        found = conf.get_location(opt.dest, None if is_default else group)
        value = conf[opt.dest] if is_default else conf[group][opt.dest]
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError):  # it belongs to another program
        return False
    if found is None or not found.location.is_user_controlled:
        return False
    return not (opt.is_built_in and value == opt.default)


# ---- unknown


def _unknown(conf: cfg.ConfigOpts, listed: Iterable[tuple[str, cfg.Opt]]) -> Iterator[Finding]:
    ours = _names(listed)
    given = _given(conf)
    known = _union(ours, _declared(conf))
    if not any(_strays(given, known, ours)):
        return
    known = _union(known, _names(_libraries()), _names(_credentials(conf)))  # slow to gather
    rest = []
    for group, name in _strays(given, known, ours):
        finding = _misspelt(group, name, known, ours)
        if finding is not None:
            yield finding
        else:
            rest.append(_text(group, name))
    if rest:
        yield Finding(logging.INFO, f"nobody knows these options: {', '.join(rest)}")


def _strays(given: Names, known: Names, ours: Names) -> Iterator[tuple[str, str]]:
    """What nobody knows in our groups, or in one whose name is nearly that of ours."""
    for group, names in given.items():
        if group in ours:
            unknown = names - known[group]
        elif group not in known and _close_group(group, ours):
            unknown = names
        else:
            continue  # of a library, or of somebody else: they know best
        yield from ((group, name) for name in sorted(unknown) if (group, name) not in ELSEWHERE)


def _close_group(group: str, ours: Names) -> str | None:
    return next(iter(difflib.get_close_matches(group, ours, 1, CLOSE_GROUP)), None)


def _misspelt(group: str, name: str, known: Names, ours: Names) -> Finding | None:
    """What it was probably meant to be."""
    home = group if group in ours else _close_group(group, ours) or group
    close = difflib.get_close_matches(name, known[home], 1, CLOSE)
    homes = [other for other in ours if other != home and name in ours[other]]
    if close:
        right = home, close[0]
    elif len(homes) == 1:
        right = homes[0], name
    else:
        return None
    return Finding(
        logging.WARNING,
        f"{_text(group, name)} is no option and has no effect: did you mean {_text(*right)}?",
    )


def _given(conf: cfg.ConfigOpts) -> dict[str, set[str]]:
    """The names in the files that were read."""
    files = [pathlib.Path(path) for path in conf.config_file or ()]
    for directory in conf.config_dir or ():
        files += sorted(pathlib.Path(directory).glob("*.conf"))
    sections: dict[str, dict[str, list[str]]] = {}
    for file in files:
        with contextlib.suppress(OSError, UnicodeError, cfg.ParseError):
            cfg.ConfigParser(str(file), sections).parse()
    found: dict[str, set[str]] = {}
    for section, options in sections.items():
        group = section if section == "DEFAULT" else section.lower()  # as oslo.config has it
        found.setdefault(group, set()).update(options)
    return found


def _declared(conf: cfg.ConfigOpts) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"DEFAULT": set(conf)}  # and the names of groups
    for name in conf:
        if isinstance(conf[name], cfg.ConfigOpts.GroupAttr):
            found.setdefault(name, set()).update(conf[name])
    return found


def _names(listed: Iterable[tuple[str, cfg.Opt]]) -> dict[str, set[str]]:
    """With the names that options had before."""
    found: dict[str, set[str]] = {}
    for group, opt in listed:
        found.setdefault(group, set()).add(opt.dest)
        for old in opt.deprecated_opts:
            name = (old.name or opt.dest).replace("-", "_")
            found.setdefault(old.group or group, set()).add(name)
    return found


def _libraries() -> Iterator[tuple[str, cfg.Opt]]:
    entries = importlib.metadata.entry_points(group="oslo.config.opts")
    for library in LIBRARIES & entries.names:
        for group, opts in entries[library].load()():
            name = getattr(group, "name", group) or "DEFAULT"
            yield from ((str(name), opt) for opt in opts)


def _credentials(conf: cfg.ConfigOpts) -> Iterator[tuple[str, cfg.Opt]]:
    """Those of the kind of credentials in [api]."""
    # a program without that group; a kind that nobody has, of which others complain
    with contextlib.suppress(cfg.Error, ks_exceptions.NoMatchingPlugin):
        yield from (
            ("api", opt) for opt in loading.get_auth_plugin_conf_options(conf.api.auth_type)
        )


def _union(*parts: Names) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for part in parts:
        for group, names in part.items():
            found.setdefault(group, set()).update(names)
    return found


def _text(group: str, name: str) -> str:
    return f"[{group}] {name}"
