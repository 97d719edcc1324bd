"""The file that has the addresses and the passwords of baseboard management controllers.

::

    defaults: {username: masakari, password: secret}
    hosts:
      compute1: {address: 10.0.9.1}
      compute2: {address: 10.0.9.2, password: another}
"""

import logging
import os
import pathlib
import stat
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import yaml

from masakari import errors
from masakari.monitors import names
from masakari.monitors.hosts.polling import Places, Reading
from masakari.monitors.judge import State
from masakari.states import HostProof

LOG = logging.getLogger(__name__)

SUSPICION = "the controllers are doubted: all hosts without power at once, somebody must look at"
AT_MOST = 100
"""Controllers asked at a time where many do not answer; each takes a thread, or a program."""
UNLISTED = Reading(State.UNKNOWN, "its management controller is not in the file")


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that a controller has in the file: {name: type}."""

    needed: Mapping[str, type]
    optional: Mapping[str, type]
    check: Callable[[Mapping[str, Any]], str | None] = lambda _fields: None
    """Why the fields cannot be, or None."""


@dataclass(frozen=True, slots=True)
class Controller:
    """One management controller; its password is not shown."""

    fields: Mapping[str, Any]

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.fields.items() if k != "password"}
        return f"Controller({shown})"


class File:
    """The controllers as the file has them; a change of it is read, a broken one is not taken."""

    def __init__(self, group: str, path: str | None, form: Form) -> None:
        """Read option hosts_file of *group*.  Raises ConfigInvalid."""
        self._group = group
        self._form = form
        if not path:
            raise self._invalid("it is not set")
        self._path = pathlib.Path(path)
        self._seen = 0.0
        self._hosts: Mapping[str, Controller] = {}
        self._read()

    def read(self) -> Mapping[str, Controller]:
        """{host: its controller}"""
        try:
            if self._path.stat().st_mtime_ns != self._seen:
                self._read()
                LOG.info("%s was read again", self._path)
        except (OSError, errors.ConfigInvalid) as error:
            LOG.warning("the controllers stay as they were: %s", error)
        return self._hosts

    def _read(self) -> None:
        try:
            with self._path.open() as file:
                found = os.fstat(file.fileno())
                self._seen = found.st_mtime_ns
                if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                    raise self._invalid(
                        f"{self._path} has passwords and is open to others: chmod 600 or 640 it"
                    )
                text = yaml.safe_load(file)
        except OSError as error:
            raise self._invalid(f"{self._path}: {error.strerror}") from None
        except UnicodeError:
            raise self._invalid(f"{self._path} is no text") from None
        except yaml.YAMLError as error:  # its text may show a password
            mark = getattr(error, "problem_mark", None)
            line = f" (line {mark.line + 1})" if mark else ""
            raise self._invalid(f"{self._path} is no YAML{line}") from None
        self._hosts = self._parse(text)

    def _parse(self, text: object) -> Mapping[str, Controller]:
        if not isinstance(text, dict) or not text.keys() <= {"defaults", "hosts"}:
            raise self._invalid(f"{self._path} has something else than defaults and hosts")
        defaults, hosts = text.get("defaults") or {}, text.get("hosts")
        if not isinstance(hosts, dict) or not hosts:
            raise self._invalid(f"{self._path}: hosts is no mapping of host names")
        self._check_fields("defaults", defaults)
        return {
            str(host): self._controller(str(host), defaults, given or {})
            for host, given in hosts.items()
        }

    def _controller(self, host: str, defaults: Mapping[str, Any], given: Any) -> Controller:
        self._check_fields(host, given)
        fields = {**defaults, **given}
        missing = [name for name in self._form.needed if name not in fields]
        if missing:
            raise self._invalid(f"{self._path}: {host} has no {missing[0]}")
        if problem := self._form.check(fields):
            raise self._invalid(f"{self._path}: {host}: {problem}")
        return Controller(fields)

    def _check_fields(self, where: str, given: object) -> None:
        if not isinstance(given, dict):
            raise self._invalid(f"{self._path}: {where} is no mapping")
        types = {**self._form.needed, **self._form.optional}
        for name, value in given.items():
            if name not in types:
                known = ", ".join(types)
                raise self._invalid(f"{self._path}: {where}: {name!r} is none of {known}")
            if not isinstance(value, types[name]) or isinstance(value, bool):
                kind = "a number" if types[name] is int else "text (quote it)"
                raise self._invalid(f"{self._path}: {where}: {name} is not {kind}")

    def _invalid(self, problem: str) -> errors.ConfigInvalid:
        return errors.ConfigInvalid(group=self._group, option="hosts_file", problem=problem)


def of_power(state: State, controller: str, power: str) -> Reading:
    """What *controller* says of the power; where it is off, that proves that the host is dead."""
    proof = HostProof.POWER_OFF if state is State.OFFLINE else None
    return Reading(state, f"the BMC {controller} says that the power is {power}", proof)


def ask_all(
    hosts: Collection[str],
    controllers: Mapping[str, Controller],
    ask: Callable[[str, Controller], Reading],
    parallel: int,
) -> Mapping[str, Reading]:
    """The reading of each of *hosts*; names may differ in case only.

    So many are asked at a time, more where they do not answer: `polling.Places`.
    """
    known = names.alike(hosts, controllers)
    free = threading.Semaphore(parallel)
    places = Places(free, parallel, AT_MOST)

    def one(host: str) -> Reading:
        if host not in known:
            return UNLISTED
        with free:
            reading = ask(host, controllers[known[host]])
        places.note(reading)
        return reading

    workers = min(len(hosts), max(parallel, AT_MOST))
    with ThreadPoolExecutor(workers, thread_name_prefix="bmc") as pool:
        return dict(zip(hosts, pool.map(one, hosts), strict=True))
