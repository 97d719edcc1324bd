"""Files with secrets: who else on the machine may read or change them."""

import pathlib
import stat
from collections.abc import Iterator, Mapping, Sequence

from oslo_config import cfg

from masakari.conf.secrets import Exposed
from masakari.errors import ConfigInvalid

READ, WRITE = stat.S_IROTH, stat.S_IWOTH


def is_open(path: pathlib.Path, mode: int = READ | WRITE) -> bool:
    """Everybody may read (or write) the file; one that is not there is not open."""
    try:
        return bool(path.stat().st_mode & mode)
    except OSError:
        return False


def check(conf: cfg.ConfigOpts) -> list[str]:
    """A sentence for each file with secrets that everybody may read.  Raises ConfigInvalid.

    That depends on `exposed_secrets`; one that everybody may write is always refused.
    """
    found = []
    for path, options in files_with_secrets(conf).items():
        if not is_open(path):
            continue
        sentence = f"{path} has {', '.join(options)}, and everybody may read it: chmod o= it"
        if is_open(path, WRITE):
            raise ConfigInvalid(
                group="DEFAULT",
                option="config_file",
                problem=f"everybody may write {path}, which has {', '.join(options)}: chmod o= it",
            )
        if conf.exposed_secrets == Exposed.REFUSE:
            raise ConfigInvalid(group="DEFAULT", option="exposed_secrets", problem=sentence)
        found.append(sentence)
    return found


def files_with_secrets(conf: cfg.ConfigOpts) -> Mapping[pathlib.Path, Sequence[str]]:
    """{configuration file: the secret options that it sets, such as "[database] connection"}"""
    found: dict[pathlib.Path, list[str]] = {}
    for group, name in _secret_options(conf):
        value = conf[name] if group is None else conf[group][name]
        where = conf.get_location(name, group)
        if not value or where is None or where.location is not cfg.Locations.user:
            continue
        if _may_have_a_secret(str(value)):
            option = f"[{group or 'DEFAULT'}] {name}"
            found.setdefault(pathlib.Path(where.detail), []).append(option)
    return {path: sorted(options) for path, options in sorted(found.items())}


def _may_have_a_secret(value: str) -> bool:
    """URLs are secret because of a password, which not all have."""
    scheme, has_scheme, rest = value.partition("://")
    return not has_scheme or "@" in rest or "password=" in rest or not scheme.isascii()


def _secret_options(conf: cfg.ConfigOpts) -> Iterator[tuple[str | None, str]]:
    """(group or None, name) of all that are declared."""
    for name in conf:
        value = conf[name]
        names = [(name, option) for option in value] if _is_group(value) else [(None, name)]
        for group, option in names:
            # oslo.config has no public way to ask for the declaration
            if conf._get_opt_info(option, group)["opt"].secret:
                yield group, option


def _is_group(value: object) -> bool:
    return isinstance(value, cfg.ConfigOpts.GroupAttr)


def check_key(path: str, group: str, option: str) -> None:
    """The private key is its owner's and group's.  Raises ConfigInvalid."""
    if is_open(pathlib.Path(path)):
        raise ConfigInvalid(
            group=group,
            option=option,
            problem=f"everybody may read or write {path}, a private key: chmod o= it",
        )
