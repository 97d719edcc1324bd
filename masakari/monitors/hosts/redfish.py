"""The driver redfish: hosts by what their management controllers say of the power.

As the driver ipmi: power that is off is a proof of death, power that is on is no proof of life, and
a controller that does not answer says nothing.
"""

import ssl
import urllib.parse
from collections.abc import Collection, Mapping
from typing import Any

import requests
from oslo_config import cfg

from masakari import causes, errors
from masakari import clock as clock_
from masakari.monitors import watchlist
from masakari.monitors.hosts import bmc, polling
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.judge import State

SYSTEMS = "/redfish/v1/Systems"
_STATES = {"On": State.ONLINE, "Off": State.OFFLINE}


def _check(fields: Mapping[str, Any]) -> str | None:
    parts = urllib.parse.urlsplit(fields["url"])
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.username:
        return "url is not https://ADDRESS[:PORT]"
    if not fields.get("system", "/").startswith("/"):
        return "system is no path such as /redfish/v1/Systems/1"
    return None


FORM = bmc.Form(
    needed={"url": str, "username": str, "password": str}, optional={"system": str}, check=_check
)


class Unusable(Exception):
    """The controller's answer tells nothing; `str()` says why."""


class RedfishPoller:
    """Asks controllers over HTTPS, so many at a time."""

    suspicion = bmc.SUSPICION

    def __init__(
        self, file: bmc.File, *, verify: str | bool, timeout_s: float, parallel: int
    ) -> None:
        """*verify*: a file of CA certificates, or whether those of the system are used."""
        self._file = file
        self._verify = verify
        self._timeout_s = timeout_s
        self._parallel = parallel
        self._systems: dict[str, str] = {}
        """{url: the only system there}"""
        self._sessions: dict[str, requests.Session] = {}
        """{host: its connection}; each is used by one thread at a time"""

    @staticmethod
    def from_conf(
        conf: cfg.ConfigOpts,
        hosts: watchlist.Watchlist,
        clock: clock_.Clock,
        **_given: Any,  # what other drivers are given
    ) -> polling.PolledProbe:
        """The probe that [redfish] describes.  Raises ConfigInvalid."""
        verify: str | bool = conf.redfish.verify
        if verify and conf.redfish.ca_file:
            verify = conf.redfish.ca_file
            try:
                ssl.create_default_context(cafile=conf.redfish.ca_file)
            except OSError as error:
                problem = f"{verify}: {error.strerror or 'has no CA certificates'}"
                raise errors.ConfigInvalid(
                    group="redfish", option="ca_file", problem=problem
                ) from None
        poller = RedfishPoller(
            bmc.File("redfish", conf.redfish.hosts_file, FORM),
            verify=verify,
            timeout_s=conf.redfish.timeout,
            parallel=conf.redfish.parallel,
        )
        return polling.PolledProbe(poller, hosts, clock)

    def poll(self, hosts: Collection[str]) -> polling.Readings:
        """A reading of each of *hosts*."""
        return {"": bmc.ask_all(hosts, self._file.read(), self._ask, self._parallel)}

    def _ask(self, host: str, controller: bmc.Controller) -> Reading:
        url = controller.fields["url"].rstrip("/")
        try:
            power = self._power(self._session(host), url, controller.fields)
        except Unusable as error:
            return Reading(State.UNKNOWN, f"the BMC {url} {error}")
        return bmc.of_power(_STATES.get(power, State.UNKNOWN), url, power)

    def _session(self, host: str) -> requests.Session:
        if host not in self._sessions:
            session = self._sessions[host] = requests.Session()
            session.trust_env = False
            session.verify = self._verify
        return self._sessions[host]

    def _power(self, session: requests.Session, url: str, fields: Mapping[str, Any]) -> str:
        path = fields.get("system") or self._systems.get(url)
        if path is None:
            path = self._systems[url] = _only_system(self._get(session, url, SYSTEMS, fields))
        power = self._get(session, url, path, fields).get("PowerState")
        if not isinstance(power, str):
            raise Unusable("does not tell a PowerState")
        return power

    def _get(
        self, session: requests.Session, url: str, path: str, fields: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The resource.  Raises Unusable."""
        try:
            answer = session.get(
                url + path,
                auth=(fields["username"], fields["password"]),
                timeout=self._timeout_s,
                allow_redirects=False,
            )
            if answer.status_code != requests.codes.ok:
                raise Unusable(f"answers {answer.status_code} to {path}")
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            if certificate := causes.refused_certificate(error):
                raise Unusable(f"has a certificate that is refused ({certificate})") from None
            raise Unusable(f"gave no usable answer ({type(error).__name__})") from None
        if not isinstance(found, dict):
            raise Unusable(f"does not answer with an object to {path}")
        return found


def _only_system(collection: Mapping[str, Any]) -> str:
    """The path of the system in a collection that has one.  Raises Unusable."""
    members = collection.get("Members")
    paths = (
        [m.get("@odata.id") for m in members if isinstance(m, dict)]
        if isinstance(members, list)
        else []
    )
    if len(paths) != 1 or not isinstance(paths[0], str) or not paths[0].startswith("/"):
        raise Unusable(f"has {len(paths)} systems: the file has to name one as system")
    return paths[0]
