"""How the Kubernetes API is reached: as a kubeconfig file says, or from within the cluster."""

import base64
import binascii
import os
import pathlib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import requests.adapters
import yaml
from oslo_config import cfg

from masakari import errors

ACCOUNT = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod has its token, and the CA certificate of the API server."""


class Unusable(Exception):
    """The API cannot be reached so; `str()` says why, without secrets."""


class _Adapter(requests.adapters.HTTPAdapter):
    """Connects with an SSL context of our own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


@dataclass(frozen=True)
class Credentials:
    """Who we are; neither is shown."""

    token: str | None = None
    token_file: pathlib.Path | None = None
    """Read with each request: tokens of pods are replaced."""

    def __repr__(self) -> str:
        return "Credentials(…)"

    def headers(self) -> dict[str, str]:
        """What a request shows.  Raises OSError."""
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


class Api:
    """Asks the API server."""

    def __init__(self, server: str, context: ssl.SSLContext, credentials: Credentials) -> None:
        """At the URL *server*."""
        self._server = server.rstrip("/")
        self._credentials = credentials
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("https://", _Adapter(context))

    def get(self, path: str, parameters: Mapping[str, str], timeout_s: float) -> requests.Response:
        """A streamed answer, with whatever status.  Raises OSError, also as RequestException."""
        return self._session.get(
            self._server + path,
            params=parameters,
            headers=self._credentials.headers(),
            timeout=timeout_s,
            stream=True,
            allow_redirects=False,
        )


def connect(conf: cfg.ConfigOpts) -> Api:
    """The API as [kubernetes] says.  Nothing is sent yet.  Raises ConfigInvalid."""
    path = conf.kubernetes.kubeconfig
    try:
        if path:
            return _from_file(pathlib.Path(path), conf.kubernetes.context)
        return _from_within()
    except Unusable as error:
        problem = f"{path}: {error}" if path else str(error)
    except ssl.SSLError:
        problem = f"{path or ACCOUNT}: has no usable certificate"
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    raise errors.ConfigInvalid(group="kubernetes", option="kubeconfig", problem=problem)


def _from_within() -> Api:
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if not host:
        raise Unusable("it is not set, and this is no pod of a cluster")
    host = f"[{host}]" if ":" in host else host
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    token_file = ACCOUNT / "token"
    token_file.read_text()
    return Api(f"https://{host}:{port}", context, Credentials(token_file=token_file))


def _from_file(path: pathlib.Path, name: str | None) -> Api:
    try:
        document = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeError):  # the text of the error may show a secret
        raise Unusable("is no YAML") from None
    if not isinstance(document, dict):
        raise Unusable("is no kubeconfig")
    context = _entry(document, "context", name or document.get("current-context"))
    cluster = _entry(document, "cluster", context.get("cluster"))
    user = _entry(document, "user", context.get("user")) if context.get("user") else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith("https://"):
        raise Unusable("the cluster's server is no https URL")
    for unknown in ("exec", "auth-provider", "username"):
        if unknown in user:
            raise Unusable(f"the user has {unknown}: only tokens and certificates are understood")
    token_file = user.get("tokenFile")
    credentials = Credentials(user.get("token"), path.parent / token_file if token_file else None)
    return Api(server, _ssl_context(path.parent, cluster, user), credentials)


def _entry(document: Mapping[str, Any], kind: str, name: object) -> Mapping[str, Any]:
    """The *kind* of that name."""
    if not name:
        raise Unusable(f"names no {kind}")
    entries = document.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind)
            if isinstance(found, dict):
                return found
    raise Unusable(f"has no {kind} {name!r}")


def _ssl_context(
    directory: pathlib.Path, cluster: Mapping[str, Any], user: Mapping[str, Any]
) -> ssl.SSLContext:
    authority = _bytes(directory, cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify") is True:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _bytes(directory, user, "client-certificate")
    key = _bytes(directory, user, "client-key")
    if certificate and key:
        # the library takes files only; this one is gone at once
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _bytes(directory: pathlib.Path, found: Mapping[str, Any], name: str) -> bytes | None:
    """The content of a field that is a file, or is within as base64."""
    if text := found.get(f"{name}-data"):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise Unusable(f"{name}-data is no base64") from None
    return (directory / found[name]).read_bytes() if found.get(name) else None
