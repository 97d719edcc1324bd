"""Microversions: which exist, which one a request asks for, and the documents that tell.

Documents at `/` and outside `/v1` need no token; load balancers and clients read them first.
"""

import re
from collections.abc import MutableMapping
from typing import Any
from urllib import parse

import microversion_parse
import webob
from oslo_config import cfg

from masakari import errors
from masakari.api.middleware import Application, Middleware

Version = tuple[int, int]

VERSIONS: tuple[Version, ...] = (
    (1, 0),  # segments, hosts, notifications; what a request without the header gets
    (1, 1),  # recovery_workflow_details in GET /notifications/{id}
    (1, 2),  # enabled accepted in bodies of segments
    (1, 3),  # vmoves (which answer at every version)
    (1, 4),  # observe_only of segments, proof of dead hosts; ours, OpenStack's end at 1.3
)
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]

SERVICE_TYPE = "instance-ha"
HEADER = "OpenStack-API-Version"

_NUMBER = re.compile(r"([1-9][0-9]*)\.([1-9][0-9]*|0)")
_ID = "v1.0"
_UPDATED = "2016-07-01T11:33:21Z"
_MEDIA_TYPES = [
    {
        "base": "application/json",
        "type": "application/vnd.openstack.masakari+json;version=1",
    }
]

Document = dict[str, Any]  # JSON: values of every kind


class VersionNotAcceptable(errors.MasakariError):
    """The header names a version that this server does not have."""

    template = "Version {version} is not supported: minimum is {oldest} and maximum is {newest}."
    status = 406


def text(version: Version) -> str:
    """As in headers and documents: 1.3."""
    return f"{version[0]}.{version[1]}"


def negotiate(headers: MutableMapping[str, str]) -> Version:
    """The version that the request wants; without a word about this service 1.0.

    Raises Invalid for a malformed number and VersionNotAcceptable.
    """
    if HEADER not in headers:
        return OLDEST
    wanted = microversion_parse.get_version(headers, service_type=SERVICE_TYPE)
    if wanted is None:
        return OLDEST
    if wanted == "latest":
        return NEWEST
    number = _NUMBER.fullmatch(wanted)
    if number is None:
        raise errors.Invalid(
            message=f"API version string {wanted[:32]!r} in header {HEADER} is malformed: "
            "it must be MAJOR.MINOR or latest."
        )
    try:
        version = (int(number[1]), int(number[2]))
    except ValueError:  # thousands of digits
        version = (0, 0)
    if version not in VERSIONS:
        raise VersionNotAcceptable(version=wanted[:32], oldest=text(OLDEST), newest=text(NEWEST))
    return version


def stamp(response: webob.Response, version: Version | None) -> None:
    """The reply tells which version it has, and caches that it depends on the header."""
    if version is not None:
        response.headers[HEADER] = f"{SERVICE_TYPE} {text(version)}"
    response.headers.add("Vary", HEADER)


def base_url(http: webob.Request, conf: cfg.ConfigOpts) -> str:
    """The URL under which clients reach the server's root, without trailing slash."""
    prefix = conf.osapi_masakari_link_prefix
    here = http.application_url
    if not prefix:
        return str(here).rstrip("/")
    public, own = parse.urlsplit(prefix), parse.urlsplit(here)
    path = public.path.rstrip("/") + own.path
    return str(parse.urlunsplit((public.scheme, public.netloc, path, "", ""))).rstrip("/")


def detail(root: str) -> Document:
    """The document at /v1; *root* is the server's root URL."""
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    return {
        **_summary(),
        "links": [{"rel": "self", "href": f"{root}/v1/"}, described],
        "media-types": _MEDIA_TYPES,
    }


def _summary() -> Document:
    # keystoneauth learns the range of microversions from version and min_version
    return {
        "id": _ID,
        "status": "CURRENT",
        "version": text(NEWEST),
        "min_version": text(OLDEST),
        "updated": _UPDATED,
    }


class Root(Middleware):
    """Answers everything outside /v1; what lies below has /v1 in SCRIPT_NAME."""

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        super().__init__(application)
        self._conf = conf

    def answer(self, http: webob.Request) -> webob.Response | None:
        """A version document, or none."""
        if http.path_info_peek() == "v1":
            http.path_info_pop()
            return None
        root = base_url(http, self._conf)
        path = http.path_info.rstrip("/")
        if not path:
            links = [{"rel": "self", "href": f"{root}/v1/"}]
            return webob.Response(json_body={"versions": [{**_summary(), "links": links}]})
        choice = {
            "id": _ID,
            "status": "CURRENT",
            "links": [{"rel": "self", "href": f"{root}/v1{parse.quote(path)}"}],
            "media-types": _MEDIA_TYPES,
        }
        return webob.Response(status=300, json_body={"choices": [choice]})
