"""Who asks: middleware that puts a RequestContext into the environment, key `CONTEXT`."""

import importlib.util
import logging
import re
from collections.abc import Iterable
from typing import Any

import webob
from keystoneauth1 import exceptions as keystone_errors
from keystonemiddleware import auth_token
from keystonemiddleware import exceptions as keystonemiddleware_errors
from oslo_config import cfg

from masakari import context, errors
from masakari.api import faults
from masakari.api.known_tokens import KnownTokens
from masakari.api.middleware import Application, Environ, Middleware, StartResponse
from masakari.api.request import Rules
from masakari.clock import SystemClock
from masakari.conf.credentials import AUTHTOKEN
from masakari.conf.middleware import register_authtoken
from masakari.nova.client import explain
from masakari.outage import Outage

CONTEXT = "masakari.context"

_TOLD = ("Unable to validate token", "Bad response code", "Identity response", "Failure: ")
"""Lines of keystonemiddleware, for each request that it cannot judge, and of keystoneauth, for each
try.
"""
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


def keystone(application: Application, conf: cfg.ConfigOpts, outage: Outage) -> Application:
    """Middleware that answers 401 unless Keystone knows the token, as [keystone_authtoken] says.

    *outage* is told when Keystone does not say whether it does.  Raises ConfigInvalid.
    """
    register_authtoken(conf)
    _check_cache(conf)

    def behind(application: Application) -> Application:
        return _answering(_protocol(application, conf, outage))

    if conf[AUTHTOKEN].token_cache_time < 0:
        return behind(application)
    return KnownTokens(application, behind, SystemClock())


def _protocol(application: Application, conf: cfg.ConfigOpts, outage: Outage) -> Application:
    try:
        protocol: Application = auth_token.AuthProtocol(application, {"oslo_config_config": conf})
    except keystone_errors.ClientException as exc:
        raise errors.ConfigInvalid(group=AUTHTOKEN, option="auth_type", problem=str(exc)) from exc
    except keystonemiddleware_errors.ConfigurationError as exc:
        option = "memcache_security_strategy"  # all that it checks
        raise errors.ConfigInvalid(group=AUTHTOKEN, option=option, problem=str(exc)) from exc
    _watch(protocol, outage)
    return protocol


def _watch(protocol: Any, outage: Outage) -> None:  # the library is untyped
    """*outage* is told of each question to Keystone: what is cached says nothing of it."""
    server = protocol._identity_server  # nothing public sees the questions only
    verify = server.verify_token

    def verify_token(*arguments: object, **options: object) -> object:
        asked_at = outage.now()
        try:
            found = verify(*arguments, **options)
        except auth_token.ksm_exceptions.InvalidToken:
            outage.answered(asked_at)
            raise
        except (keystone_errors.ClientException, auth_token.ksm_exceptions.ServiceError) as exc:
            outage.failed(explain(exc))
            raise
        outage.answered(asked_at)
        return found

    server.verify_token = verify_token
    for name in (protocol.log.logger.name, "keystoneauth.session"):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Not what an `Outage` tells already, there once for all requests."""
    return not str(record.msg).startswith(_TOLD)


def _answering(protocol: Application) -> Application:
    """Makes a 503 of what the middleware lets escape, such as a certificate that is not trusted."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return protocol(environ, start_response)
        except keystone_errors.ClientException:
            response: Iterable[bytes] = faults.fault(503, faults.NO_KEYSTONE)(
                environ, start_response
            )
            return response

    return answer


def _check_cache(conf: cfg.ConfigOpts) -> None:
    """The library that memcached is reached with is there; the middleware needs it much later."""
    options = conf[AUTHTOKEN]
    if not options.memcached_servers:
        return
    is_binary = options.memcache_sasl_enabled or options.memcache_tls_enabled
    module, package = (
        ("bmemcached", "python-binary-memcached") if is_binary else ("memcache", "python-memcached")
    )
    if importlib.util.find_spec(module) is None:
        raise errors.ConfigInvalid(
            group=AUTHTOKEN,
            option="memcached_servers",
            problem=f"needs the Python package {package}, which is not installed",
        )
