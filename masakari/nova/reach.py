"""Whether Keystone and Nova can be reached, and what time it is there; nothing is changed."""

import contextlib
import datetime
import email.utils
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keystoneauth1 import plugin
from oslo_config import cfg

from masakari import errors, retry
from masakari.nova import auth
from masakari.nova.client import errors_in_our_words


def ask_keystone(conf: cfg.ConfigOpts) -> None:
    """Keystone has given a token for our credentials.  Raises ConfigInvalid, CloudUnavailable."""
    access = auth.server_access(conf, 1)
    with _at_once("Keystone", access):
        access.session.get_token()


@dataclass(frozen=True, slots=True)
class Validation:
    """What Keystone said when the API's credentials asked about a token."""

    status: int
    """Of HTTP."""
    is_proof: bool
    """The token was another user's; everybody may ask about the own."""
    roles: tuple[str, ...]
    """Of the API's own token."""


def validate_a_token(conf: cfg.ConfigOpts) -> Validation:
    """Keystone was asked about a token of ours, as the API asks it about each client's.

    Raises ConfigInvalid, CloudUnavailable.
    """
    api, ours = auth.authtoken_access(conf), auth.server_access(conf, 1)
    with _at_once("Keystone", api):
        own = auth.identity(api)
        token = ours.session.get_token()
        is_other = ours.session.get_user_id() != own.user_id
        answer = api.session.get(
            "/auth/tokens",
            headers={"X-Subject-Token": token},
            endpoint_filter={"interface": plugin.AUTH_INTERFACE, "version": (3, 0)},
            raise_exc=False,
        )
    return Validation(answer.status_code, is_other, tuple(own.role_names))


def times(conf: cfg.ConfigOpts) -> Mapping[str, datetime.datetime]:
    """{"Keystone": …, "Nova": …}, UTC, naive, in whole seconds, of those who tell it.

    Raises ConfigInvalid and CloudUnavailable.
    """
    access = auth.server_access(conf, 1)
    found = {}
    with _at_once("Keystone", access):
        urls = {
            "Keystone": access.session.get_endpoint(interface=plugin.AUTH_INTERFACE),
            "Nova": access.session.get_endpoint(
                service_type=access.service_type,
                interface=access.interface,
                region_name=access.region,
            ),
        }
    for service, url in urls.items():
        if url is None:
            continue
        with _at_once(service, access):
            answer = access.session.get(url, authenticated=False, raise_exc=False, redirect=False)
        if (time := _date(answer.headers.get("Date", ""))) is not None:
            found[service] = time
    return found


@contextlib.contextmanager
def _at_once(service: str, access: auth.Access) -> Iterator[None]:
    """A transient error counts as well."""
    try:
        with errors_in_our_words(access):
            yield
    except retry.Transient as e:
        raise errors.CloudUnavailable(service=service, detail=e.detail) from e


def _date(text: str) -> datetime.datetime | None:
    """An HTTP date, UTC, naive."""
    try:
        found = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return found.replace(tzinfo=None)
