"""Who asks: middleware that puts a RequestContext into the environment, key `CONTEXT`."""

import re

import webob
from keystoneauth1 import exceptions as keystone_errors
from keystonemiddleware import auth_token
from oslo_config import cfg

from masakari import context, errors
from masakari.api import faults
from masakari.api.middleware import Application, Middleware
from masakari.api.request import Rules

CONTEXT = "masakari.context"

_PROJECT = re.compile(r"/([0-9a-f-]+)/")


class KeystoneContext(Middleware):
    """The context of a token that keystonemiddleware has found valid."""

    def __init__(self, application: Application, rules: Rules) -> None:
        super().__init__(application)
        self._rules = rules

    def answer(self, http: webob.Request) -> webob.Response | None:
        """An error if the token is nobody's."""
        ctx = context.RequestContext.from_environ(http.environ)
        if ctx.user_id is None:
            return faults.fault(401, "The token has no user")
        ctx.is_admin = self._rules.allows("context_is_admin", ctx)
        http.environ[CONTEXT] = ctx
        return None


class NoAuth(Middleware):
    """Everyone is administrator; a token `user:project` tells who, none is needed."""

    def answer(self, http: webob.Request) -> None:
        """No answer."""
        user, _, project = http.headers.get("X-Auth-Token", "").partition(":")
        in_path = _PROJECT.match(http.path_info)
        http.environ[CONTEXT] = context.RequestContext.from_environ(
            http.environ,
            user_id=user or "admin",
            project_id=project or (in_path[1] if in_path else "admin"),
            roles=["admin"],
            is_admin=True,
        )


def keystone(application: Application, conf: cfg.ConfigOpts) -> Application:
    """Middleware that answers 401 unless Keystone knows the token, as [keystone_authtoken] says."""
    try:
        protocol: Application = auth_token.AuthProtocol(application, {"oslo_config_config": conf})
    except keystone_errors.ClientException as exc:
        raise errors.ConfigInvalid(
            group="keystone_authtoken", option="auth_type", problem=str(exc)
        ) from exc
    return protocol
