"""Keystone v3 as the simulated cloud answers it: tokens, their validation, the catalogue."""

import datetime
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from masakari.sim.records import NAMESPACE
from masakari.sim.wire import Json, Request, Response

ROLES = {
    "admin": ("admin", "manager", "member", "reader"),
    "masakari": ("admin", "service"),
    "masakari-service": ("admin", "service"),
    "demo": ("member", "reader"),
    "reader": ("reader",),
}
"""{user: roles}; others are members of their project."""
WRONG_PASSWORD = "wrong"  # noqa: S105  # the only password that is refused
REGION = "RegionOne"
DEFAULT_DOMAIN = {"id": "default", "name": "Default"}


class Refused(Exception):
    """Keystone says no."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Token:
    """Who may do what until when."""

    user: str
    roles: tuple[str, ...]
    project: str | None
    system: bool
    issued: datetime.datetime
    expires: datetime.datetime
    domain: str | None = None
    access_rules: tuple[Json, ...] | None = None
    """Of an application credential: what the token may be used for."""

    @property
    def is_admin(self) -> bool:
        """Whether Nova's default policies call the user an administrator."""
        return "admin" in self.roles

    @property
    def project_id(self) -> str:
        """Empty without a project."""
        return project_id(self.project) if self.project else ""


def project_id(name: str) -> str:
    """A project's id follows from its name."""
    return uuid.uuid5(NAMESPACE, f"project-{name}").hex


def user_id(name: str) -> str:
    """A user's id follows from its name."""
    return uuid.uuid5(NAMESPACE, f"user-{name}").hex


class Keystone:
    """Its tokens; thread-safe.  Users `admin`, `demo` ... also have a token `admin-token` ..."""

    def __init__(self, now: Callable[[], datetime.datetime], base_url: str, ha_url: str) -> None:
        self._now = now
        self.base_url = base_url
        """Of Keystone and Nova in the catalogue."""
        self.nova_base_url: str | None = None
        """Of Nova, where a proxy of its own is in front of it."""
        self.ha_url = ha_url
        """Of instance-ha in the catalogue; $PROJECT stands for the token's project id."""
        self.token_life_s = 86400.0
        self.allow_expired_s = 172800.0
        """How long an expired token is valid for those who ask with allow_expired."""
        self.failure = 0
        """HTTP status of every answer, while it is not 0."""
        self.issued: list[Token] = []
        """What was given for a password or a token, oldest first."""
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        for user in ROLES:
            self._tokens[f"{user}-token"] = self._token(user, None, False, life_s=10**8)

    def answer(self, request: Request) -> Response:
        """Route a request for Keystone."""
        try:
            if self.failure:
                raise Refused(self.failure, "Keystone is not able to answer (injected)")
            return self._route(request)
        except Refused as refused:
            return error(refused.code, refused.message)

    def holder(self, token_id: str | None) -> Token | None:
        """Whose token it is, if it is valid now."""
        token = self._tokens.get(token_id or "")
        return token if token is not None and token.expires > self._now() else None

    def grant(
        self,
        user: str,
        *roles: str,
        project: str | None = None,
        system: bool = False,
        domain: str | None = None,
        life_s: float | None = None,
        access_rules: tuple[Json, ...] | None = None,
    ) -> str:
        """The id of a token of these roles, without asking for a password; *project* by name."""
        now = self._now()
        life = datetime.timedelta(seconds=self.token_life_s if life_s is None else life_s)
        token = Token(
            user, roles, project, system, now, now + life, domain=domain, access_rules=access_rules
        )
        token_id = uuid.uuid4().hex
        with self._lock:
            self._tokens[token_id] = token
        return token_id

    def revoke(self, token_id: str) -> None:
        """The token is not valid any more, for nobody."""
        with self._lock:
            self._tokens.pop(token_id, None)

    def token_ids(self) -> list[str]:
        """Of the tokens that were issued and not revoked."""
        with self._lock:
            return [t for t in self._tokens if not t.endswith("-token")]

    def expire_tokens(self) -> None:
        """Tokens that were issued for a password are not valid any more."""
        for token_id in self.token_ids():
            self.revoke(token_id)

    def _route(self, request: Request) -> Response:
        path = request.path
        if path == "/":
            return Response(300, {"versions": {"values": [self._version()]}})
        if path == "/v3":
            return Response(200, {"version": self._version()})
        if path == "/v3/auth/tokens":
            return self._auth_tokens(request)
        if path in ("/v3/projects", "/v3/auth/projects"):
            return self._projects(request)
        raise Refused(404, f"no such resource {path}")

    def _auth_tokens(self, request: Request) -> Response:
        if request.method == "POST":
            return self._issue(request)
        if self.holder(request.headers.get("x-auth-token")) is None:
            raise Refused(401, "The request you have made requires authentication.")
        subject = request.headers.get("x-subject-token", "")
        token = self.holder(subject)
        if token is None and request.query.get("allow_expired"):
            token = self._expired_lately(subject)
        if token is None:
            raise Refused(404, "Could not find token.")
        if request.method == "DELETE":
            self.revoke(subject)
            return Response(204)
        return Response(200, self._document(token), {"X-Subject-Token": subject})

    def _expired_lately(self, token_id: str) -> Token | None:
        token = self._tokens.get(token_id)
        grace = datetime.timedelta(seconds=self.allow_expired_s)
        return token if token is not None and token.expires + grace > self._now() else None

    def _issue(self, request: Request) -> Response:
        try:
            auth = request.json()["auth"]
            user = self._identify(auth["identity"])
            project, system = _scope(auth.get("scope"), user)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(400, "Malformed authentication request.") from None
        token = self._token(user, project, system)
        token_id = uuid.uuid4().hex
        with self._lock:
            self._tokens[token_id] = token
            self.issued.append(token)
        return Response(201, self._document(token), {"X-Subject-Token": token_id})

    def _identify(self, identity: Json) -> str:
        if "token" in identity:
            holder = self.holder(identity["token"]["id"])
            if holder is None:
                raise Refused(401, "The request you have made requires authentication.")
            return holder.user
        user = identity["password"]["user"]
        if user["password"] == WRONG_PASSWORD or not _is_default(user.get("domain")):
            raise Refused(401, "The request you have made requires authentication.")
        return str(user["name"])

    def _token(
        self, user: str, project: str | None, system: bool, life_s: float | None = None
    ) -> Token:
        roles = ROLES.get(user, ("member", "reader"))
        if project is None and not system:
            project = "admin" if "admin" in roles else user
        now = self._now()
        life = datetime.timedelta(seconds=self.token_life_s if life_s is None else life_s)
        return Token(user, roles, project, system, now, now + life)

    def _document(self, token: Token) -> Json:
        body = {
            "methods": ["password"],
            "audit_ids": [uuid.uuid5(NAMESPACE, token.user).hex[:22]],
            "issued_at": f"{token.issued.isoformat(timespec='microseconds')}Z",
            "expires_at": f"{token.expires.isoformat(timespec='microseconds')}Z",
            "is_domain": False,
            "user": {
                "id": user_id(token.user),
                "name": token.user,
                "domain": DEFAULT_DOMAIN,
                "password_expires_at": None,
            },
            "roles": [
                {"id": uuid.uuid5(NAMESPACE, f"role-{role}").hex, "name": role}
                for role in token.roles
            ],
            "catalog": self._catalogue(token),
        }
        if token.access_rules is not None:
            body["methods"] = ["application_credential"]
            body["application_credential"] = {
                "id": uuid.uuid5(NAMESPACE, f"credential-{token.user}").hex,
                "name": token.user,
                "restricted": True,
                "access_rules": list(token.access_rules),
            }
        if token.system:
            body["system"] = {"all": True}
        elif token.domain:
            body["domain"] = {"id": token.domain, "name": token.domain}
        else:
            body["project"] = {
                "id": token.project_id,
                "name": token.project,
                "domain": DEFAULT_DOMAIN,
            }
        return {"token": body}

    def _catalogue(self, token: Token) -> list[Json]:
        services = (
            ("identity", "keystone", f"{self.base_url}/v3"),
            ("compute", "nova", f"{self.nova_base_url or self.base_url}/compute/v2.1"),
            ("instance-ha", "masakari", self.ha_url.replace("$PROJECT", token.project_id)),
        )
        return [
            {
                "id": uuid.uuid5(NAMESPACE, kind).hex,
                "type": kind,
                "name": name,
                "endpoints": [
                    {
                        "id": uuid.uuid5(NAMESPACE, f"{kind}-{interface}").hex,
                        "interface": interface,
                        "region": REGION,
                        "region_id": REGION,
                        "url": url,
                    }
                    for interface in ("public", "internal", "admin")
                ],
            }
            for kind, name, url in services
        ]

    def _projects(self, request: Request) -> Response:
        if self.holder(request.headers.get("x-auth-token")) is None:
            raise Refused(401, "The request you have made requires authentication.")
        wanted = request.query.get("name")
        with self._lock:
            names = {t.project for t in self._tokens.values() if t.project}
        rows = [
            {"id": project_id(name), "name": name, "enabled": True, "domain_id": "default"}
            for name in sorted(names)
            if wanted in (None, name)
        ]
        return Response(200, {"projects": rows, "links": {}})

    def _version(self) -> Json:
        media = "application/vnd.openstack.identity-v3+json"
        return {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{self.base_url}/v3/"}],
            "media-types": [{"base": "application/json", "type": media}],
        }


def error(code: int, message: str) -> Response:
    """An error as Keystone words it."""
    return Response(code, {"error": {"code": code, "message": message, "title": str(code)}})


def _scope(scope: Json, user: str) -> tuple[str | None, bool]:
    """(name of the project or None, whether the scope is the system)."""
    if not isinstance(scope, dict):
        return None, False
    if "system" in scope:
        return None, True
    project = scope["project"]
    if not _is_default(project.get("domain", DEFAULT_DOMAIN)):
        raise Refused(401, f"{user} has no role in that project.")
    return str(project.get("name") or project["id"]), False


def _is_default(domain: Json) -> bool:
    return isinstance(domain, dict) and (
        domain.get("id") == "default" or str(domain.get("name")).lower() == "default"
    )
