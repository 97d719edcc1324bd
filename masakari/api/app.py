"""The WSGI application: middleware in order, routes, dispatch."""

import logging
from collections.abc import Iterable

import routes
import webob
import webob.exc
from oslo_config import cfg
from oslo_middleware import cors, healthcheck, http_proxy_to_wsgi, sizelimit

from masakari import cloud as cloud_module
from masakari import errors, nova, rpc
from masakari.api import auth, counting, faults, policy, request_ids, versions
from masakari.api.middleware import Application, Endpoint, Environ, Middleware, Wrap, where
from masakari.api.operation import OPERATIONS, Operation
from masakari.api.request import Request, World
from masakari.conf import middleware as middleware_options
from masakari.db import session, steps
from masakari.events import SILENCE, Events
from masakari.metrics import UNMETERED, Meter
from masakari.outage import Outage

LOG = logging.getLogger(__name__)

DEFAULT_PROJECT_ID = r"[0-9a-f\-]+"
_SUFFIX = ".json"
"""Every path may have it."""


class Resource:
    """A path and the operations on it, by method."""

    def __init__(self) -> None:
        self.operations: dict[str, Operation] = {}

    def __call__(self, req: Request, **variables: str) -> webob.Response:
        """The answer of the method's operation, or 405."""
        there = {
            method: operation
            for method, operation in self.operations.items()
            if operation.since <= req.version
        }
        try:
            chosen = there[req.http.method]
        except KeyError:
            raise webob.exc.HTTPMethodNotAllowed(
                f"The method {req.http.method} is not allowed here",
                headers={"Allow": ", ".join(sorted(there))},
            ) from None
        return chosen(req, **variables)


class V1(Endpoint):
    """Everything below /v1."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._routes = _route_map(world.conf.osapi_v1.project_id_regex or DEFAULT_PROJECT_ID)

    def answer(self, http: webob.Request) -> webob.Response:
        """The answer, with the version that it has; where there is nothing there is no version."""
        try:
            resource, variables = self._find(http)
            operation = resource.operations.get(http.method)
            if operation is not None:
                http.environ[counting.OPERATION] = operation.label
        except webob.exc.HTTPNotFound as exc:
            return faults.of(exc)
        try:
            version = versions.negotiate(http.headers)
        except versions.VersionNotAcceptable as exc:
            response = faults.of(exc)
            versions.stamp(response, None)
            return response
        except errors.Invalid as exc:
            return faults.of(exc)
        response = self._answer(http, version, resource, variables)
        versions.stamp(response, version)
        LOG.debug("%s %s: %s", http.method, http.path_qs, response.status_code)
        return response

    def _answer(
        self,
        http: webob.Request,
        version: versions.Version,
        resource: Resource,
        variables: dict[str, str],
    ) -> webob.Response:
        try:
            req = Request(http, self._world, http.environ[auth.CONTEXT], version)
            project_id = variables.pop("project_id", None)
            if project_id not in (None, req.ctx.project_id):
                raise errors.Invalid(
                    message=f"Malformed request URL: project id {project_id} is not the token's"
                )
            return resource(req, **variables)
        except Exception as exc:
            return faults.of(exc)

    def _find(self, http: webob.Request) -> tuple[Resource, dict[str, str]]:
        path = "/" + http.path_info.lstrip("/").removesuffix(_SUFFIX)
        found = self._routes.match(path)
        if found is None or not path.isprintable():
            raise webob.exc.HTTPNotFound(f"There is nothing at {http.path[:255]}")
        return found.pop("action"), found


def _route_map(project_id: str) -> routes.Mapper:
    """Each path, bare and below a project id, with all its methods."""
    resources: dict[str, Resource] = {}
    for operation in OPERATIONS:
        for path in operation.paths:
            for dead_end in _dead_ends(path):
                resources.setdefault(dead_end, Resource())
            found = path.removesuffix(_SUFFIX) or "/"
            resources.setdefault(found, Resource()).operations[operation.method] = operation
    mapper = routes.Mapper(controller_scan=None, register=False)
    for path, resource in resources.items():
        mapper.connect(None, path, action=resource)
        if path != "/":
            mapper.connect(
                None,
                "/{project_id}" + path,
                action=resource,
                requirements={"project_id": project_id},
            )
    mapper.create_regs([])
    return mapper


def _dead_ends(path: str) -> list[str]:
    """Paths of forms and actions beside a collection's members, known but without a method."""
    collection, slash, member = path.rpartition("/")
    return [f"{collection}/new", f"{path}/action"] if slash and member[:1] == "{" else []


def make_app(
    conf: cfg.ConfigOpts,
    *,
    database: session.Database,
    progress: steps.Store,
    cloud: cloud_module.Cloud,
    engine: rpc.Engine,
    events: Events = SILENCE,
    meter: Meter = UNMETERED,
    keystone: Outage | None = None,
) -> Application:
    """The whole API as one WSGI callable; *keystone* is told whether tokens can be validated."""
    middleware_options.register(conf)
    rules = policy.Policy(conf, database.clock)
    world = World(conf, database, progress, cloud, engine, rules, events)
    application: Application = V1(world)
    keystone = keystone or nova.make_outages(database.clock)["Keystone"]
    for wrap in reversed(list(_middleware(conf, rules, keystone))):
        application = wrap(application)
    # outside of everything: also what is refused counts
    return (
        application if meter is UNMETERED else counting.counting(meter, database.clock)(application)
    )


def _middleware(conf: cfg.ConfigOpts, rules: policy.Policy, keystone: Outage) -> Iterable[Wrap]:
    """Outermost first, each with the reason for its place."""
    # whatever goes wrong further in, the client gets an answer
    yield faults.catching_all
    # before everything that looks at the URL
    yield faults.refusing_other_than_utf8
    # before everything that makes links or looks at the client's address
    yield where(_is_forwarded, lambda app: http_proxy_to_wsgi.HTTPProxyToWSGI(app, conf))
    # load balancers have no token, and must not be told of anything below
    yield lambda app: Healthcheck(app, conf)
    # discovery needs no token; from here on every path is below /v1
    yield lambda app: versions.Root(app, conf)
    # browsers ask beforehand without a token, and must be able to read errors
    yield where(_is_of_browser, lambda app: cors.CORS(app, conf))
    # before everything that logs or refuses
    yield request_ids.numbering
    # outside of those that answer in plain text
    yield faults.enveloping
    # what is too large is not worth a question to Keystone
    yield where(_has_body, lambda app: sizelimit.RequestBodySizeLimiter(app, conf))
    if conf.auth_strategy == "noauth2":
        yield auth.NoAuth
    else:
        yield lambda app: auth.keystone(app, conf, keystone)
        # reads the headers that the one before has set
        yield lambda app: auth.KeystoneContext(app, rules)


def _is_forwarded(environ: Environ) -> bool:
    return any(key == "HTTP_FORWARDED" or key.startswith("HTTP_X_FORWARDED_") for key in environ)


def _is_of_browser(environ: Environ) -> bool:
    return "HTTP_ORIGIN" in environ or environ["REQUEST_METHOD"] == "OPTIONS"


def _has_body(environ: Environ) -> bool:
    return bool(environ.get("CONTENT_LENGTH")) or "HTTP_TRANSFER_ENCODING" in environ


class Healthcheck(Middleware):
    """Answers /healthcheck."""

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        super().__init__(application)
        self._healthcheck = healthcheck.Healthcheck(None, conf)

    def answer(self, http: webob.Request) -> webob.Response | None:
        """What is asked for at /healthcheck, nothing elsewhere."""
        if http.path_info.rstrip("/") == "/healthcheck":
            return http.get_response(self._healthcheck)
        return None
