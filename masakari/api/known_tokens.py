"""Tokens that keystonemiddleware has just found valid are not examined again within a second.

Each look costs it a quarter of a small request's time, also with a cache: it decodes what Keystone
said, checks it and writes two dozen headers.  Those headers are remembered here, for so short a
time that nobody who revokes a token notices.
"""

from collections.abc import Callable, Iterable
from typing import Any

from oslo_utils import timeutils

from masakari.api.middleware import Application, Environ, StartResponse
from masakari.clock import Clock

REMEMBERED_S = 1.0
MOST = 1000
"""Tokens that are remembered at a time."""

TOKEN, SERVICE_TOKEN = "HTTP_X_AUTH_TOKEN", "HTTP_X_SERVICE_TOKEN"
INFO = "keystone.token_info"

_OF_BOTH = (
    *("DOMAIN_ID", "DOMAIN_NAME", "PROJECT_ID", "PROJECT_NAME", "PROJECT_DOMAIN_ID"),
    *("PROJECT_DOMAIN_NAME", "USER_ID", "USER_NAME", "USER_DOMAIN_ID", "USER_DOMAIN_NAME", "ROLES"),
)
_OF_USERS = ("ROLE", "USER", "TENANT_ID", "TENANT_NAME", "TENANT", "IDENTITY_STATUS")
_OTHERS = ("SERVICE_IDENTITY_STATUS", "SERVICE_CATALOG", "IS_ADMIN_PROJECT")
HEADERS = (
    *(f"HTTP_X_{name}" for name in (*_OF_BOTH, *_OF_USERS, *_OTHERS)),
    *(f"HTTP_X_SERVICE_{name}" for name in _OF_BOTH),
    "HTTP_OPENSTACK_SYSTEM_SCOPE",
)
"""What keystonemiddleware removes from a request, as a client may have sent it, and sets."""


class KnownTokens:
    """A WSGI application: *application*, behind keystonemiddleware or what that has said."""

    def __init__(
        self, application: Application, behind: Callable[[Application], Application], clock: Clock
    ) -> None:
        """*behind* puts an application behind keystonemiddleware."""
        self._application = application
        self._examining = behind(self._remember)
        self._clock = clock
        self._known: dict[str, tuple[float, Environ]] = {}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        until, headers = self._known.get(environ.get(TOKEN, ""), (0.0, {}))
        if SERVICE_TOKEN in environ or until <= self._clock.monotonic():
            return self._examining(environ, start_response)
        for name in HEADERS:
            environ.pop(name, None)
        environ.update(headers)
        return self._application(environ, start_response)

    def _remember(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        token = (environ.get(INFO) or {}).get("token") or {}
        if _is_unrestricted(environ, token) and self._is_valid_meanwhile(token):
            if len(self._known) >= MOST:
                self._known.clear()
            headers = {name: environ[name] for name in HEADERS if name in environ}
            until = self._clock.monotonic() + REMEMBERED_S
            self._known[environ[TOKEN]] = until, headers
        return self._application(environ, start_response)

    def _is_valid_meanwhile(self, token: dict[str, Any]) -> bool:
        expires_at = timeutils.normalize_time(timeutils.parse_isotime(token["expires_at"]))
        return bool((expires_at - self._clock.now()).total_seconds() > REMEMBERED_S)


def _is_unrestricted(environ: Environ, token: dict[str, Any]) -> bool:
    """Whether it is good for any request: by itself, without a service's token or conditions."""
    if TOKEN not in environ or SERVICE_TOKEN in environ or not environ.get("HTTP_X_USER_ID"):
        return False
    return bool(token) and not {"application_credential", "bind"} & token.keys()
