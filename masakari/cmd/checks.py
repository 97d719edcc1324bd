"""Whether every value of every option is possible: values are read lazily, some much later."""

import contextlib
import math
import re
from collections.abc import Iterator

from oslo_config import cfg

from masakari.errors import ConfigInvalid

_OSLO_CONFIG = re.compile(
    r"Value for option (?P<option>\S+) from LocationInfo\(.*?\) is not valid: (?P<problem>.*)", re.S
)
_NO_NUMBER = re.compile(
    r"(?:invalid literal for int\(\) with base 10|could not convert string to float): ('.*')"
)


def check(conf: cfg.ConfigOpts) -> None:
    """Raise ConfigInvalid unless all values of the options declared on *conf* are possible."""
    for name in set(conf):
        with _named("DEFAULT", name):
            value = conf[name]
            if not isinstance(value, cfg.ConfigOpts.GroupAttr):
                _check_value(name, value)
                continue
        for option in value:
            with _named(name, option):
                _check_value(option, value[option])


def problem(error: Exception) -> str:
    """What oslo.config's error says, without its internal names."""
    return _OSLO_CONFIG.sub(r"\g<option>: \g<problem>", str(error))


def _check_value(option: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    # oslo.service, whose option it is, fails when the program ends
    if option == "graceful_shutdown_timeout" and isinstance(value, int) and value < 0:
        raise ValueError(f"{value} is negative; 0 means without limit")


@contextlib.contextmanager
def _named(group: str, option: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, cfg.Error) as e:
        found = _OSLO_CONFIG.fullmatch(str(e))
        text = found["problem"] if found else str(e)
        raise ConfigInvalid(
            group=group, option=option, problem=_NO_NUMBER.sub(r"\1 is not a number", text)
        ) from e
