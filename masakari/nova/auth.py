"""From options to a Keystone session: who we are, where Nova is, how long we wait."""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading
from keystoneauth1 import plugin as ks_plugin
from keystoneauth1 import session as ks_session
from oslo_config import cfg

from masakari import errors
from masakari.conf import credentials, types
from masakari.conf.credentials import AUTHTOKEN

INTERFACES = ("public", "internal", "admin")
DEFAULT_DOMAIN = "default"
MONITOR_THREADS = 8
MONITOR_CONNECT_TIMEOUT_S = 5.0
PASSWORD_PLUGINS = ("password", "v3password")
NOWHERE = "none:"
"""The URL of a Keystone that is not needed."""


@dataclass(frozen=True, slots=True)
class Access:
    """A session, shared by all threads, and where in the catalogue Nova stands."""

    session: ks_session.Session
    service_type: str
    interface: str
    region: str | None
    where: str
    """The options that named the endpoint, for messages."""

    @property
    def auth_url(self) -> str:
        """Keystone's."""
        return str(getattr(self.session.auth, "auth_url", None) or NOWHERE).rstrip("/")


def server_access(conf: cfg.ConfigOpts, threads: int) -> Access:
    """The access of API and engine.  Raises ConfigInvalid."""
    credentials.register(conf)
    service_type, interface = _catalogue_info(conf.nova_catalog_admin_info)
    options = conf[AUTHTOKEN]
    ca_option, ca_file = "nova_ca_certificates_file", conf.nova_ca_certificates_file
    group = "DEFAULT"
    if not ca_file:
        ca_option, ca_file, group = "cafile", options.cafile, AUTHTOKEN
    insecure = conf.nova_api_insecure or options.insecure
    session = _session(
        _server_plugin(conf),
        threads=threads,
        timeout=(conf.nova.connect_timeout, conf.nova.timeout),
        verify=_verify(insecure, ca_file, group, ca_option),
        cert=_cert(options.certfile, options.keyfile),
    )
    region = conf.os_region_name or options.region_name
    return Access(
        session, service_type, interface, region, "nova_catalog_admin_info, os_region_name"
    )


def authtoken_access(conf: cfg.ConfigOpts) -> Access:
    """The access with which the API asks Keystone about its clients' tokens.

    Raises ConfigInvalid.
    """
    credentials.register(conf)
    options = conf[AUTHTOKEN]
    session = _session(
        _plugin(conf, AUTHTOKEN),
        threads=1,
        timeout=(conf.nova.connect_timeout, conf.nova.timeout),
        verify=_verify(options.insecure, options.cafile, AUTHTOKEN, "cafile"),
        cert=_cert(options.certfile, options.keyfile),
    )
    return Access(session, "identity", "admin", options.region_name, f"[{AUTHTOKEN}]")


def identity(access: Access) -> Any:  # an AccessInfo, which is untyped
    """What Keystone says of who we are.  AttributeError: such credentials have no identity."""
    plugin: Any = access.session.auth  # only those that ask Keystone have get_access
    return plugin.get_access(access.session)


def monitor_access(conf: cfg.ConfigOpts, plugin: ks_plugin.BaseAuthPlugin | None = None) -> Access:
    """The access of the monitors, to Masakari's API too; *plugin* replaces the credentials.

    Raises ConfigInvalid.
    """
    group = "api" if plugin else monitor_credentials_group(conf)
    options = conf[group]
    session = _session(
        plugin or _plugin(conf, group),
        threads=MONITOR_THREADS,
        timeout=(MONITOR_CONNECT_TIMEOUT_S, float(conf.api.timeout or 60)),
        verify=_verify(options.insecure, options.cafile, group, "cafile"),
        cert=_cert(options.certfile, options.keyfile),
    )
    region = conf.api.region
    if group == AUTHTOKEN:
        region = options.region_name or region
    interface = conf.api.api_interface
    return Access(session, "compute", interface, region, "[api] region, [api] api_interface")


def monitor_credentials_group(conf: cfg.ConfigOpts) -> str:
    """`api`, or `keystone_authtoken` where [api] has no credentials but that has."""
    api = conf.api
    if api.auth_type != "password" or api.auth_section or api.username or api.user_id:
        return "api"
    credentials.register(conf)
    return AUTHTOKEN if _has_credentials(conf) else "api"


def _has_credentials(conf: cfg.ConfigOpts) -> bool:
    return bool(conf[AUTHTOKEN].auth_type or conf[AUTHTOKEN].auth_section)


# ---- who we are


def _server_plugin(conf: cfg.ConfigOpts) -> ks_plugin.BaseAuthPlugin:
    """The plugin of [keystone_authtoken], with os_privileged_user_* and os_system_scope instead."""
    replaced: dict[str, str | None] = {}
    if conf.os_privileged_user_auth_url:
        replaced["auth_url"] = conf.os_privileged_user_auth_url
    if conf.os_system_scope:
        replaced |= {"system_scope": conf.os_system_scope, "project_name": None, "project_id": None}
    if not conf.os_privileged_user_name:
        if _has_credentials(conf):
            return _plugin(conf, AUTHTOKEN, replaced)
        raise errors.ConfigInvalid(
            group=AUTHTOKEN,
            option="auth_type",
            problem="is not set, nor is [DEFAULT] os_privileged_user_name; "
            "the service needs a Keystone user who may act in Nova",
        )
    if conf.os_privileged_user_password is None:
        raise errors.ConfigInvalid(
            group="DEFAULT",
            option="os_privileged_user_password",
            problem="is not set, but os_privileged_user_name is",
        )
    replaced |= {
        "username": conf.os_privileged_user_name,
        "password": conf.os_privileged_user_password,
        "user_id": None,
        **_domain("user", conf.os_user_domain_name),
    }
    if conf.os_privileged_user_tenant and not conf.os_system_scope:
        replaced |= {
            "project_name": conf.os_privileged_user_tenant,
            "project_id": None,
            **_domain("project", conf.os_project_domain_name),
        }
    return _plugin(conf, AUTHTOKEN, replaced, default="password")


def _plugin(
    conf: cfg.ConfigOpts,
    group: str,
    replaced: dict[str, str | None] | None = None,
    default: str | None = None,
) -> ks_plugin.BaseAuthPlugin:
    """The auth plugin that *group* describes; options in *replaced* are not read from it.

    With *default* only plugins that take a password will do, and that one is used otherwise.
    """
    replaced = replaced or {}
    try:
        section = conf[group].auth_section or group
        loading.register_auth_conf_options(conf, group)
        kind = conf[section].auth_type
        if default and kind not in PASSWORD_PLUGINS:
            kind = default
        plugin = _load(conf, section, kind, replaced) if kind else None
    except ks_exceptions.MissingRequiredOptions as error:
        missing = ", ".join(option.dest for option in error.options)
        raise errors.ConfigInvalid(group=group, option=missing, problem="is not set") from error
    except ks_exceptions.NoMatchingPlugin as error:
        raise errors.ConfigInvalid(group=group, option="auth_type", problem=str(error)) from error
    if plugin is None:
        raise errors.ConfigInvalid(group=group, option="auth_type", problem="is not set")
    _check_url(group, getattr(plugin, "auth_url", None))
    return plugin


def _load(
    conf: cfg.ConfigOpts, section: str, kind: str, replaced: Mapping[str, str | None]
) -> ks_plugin.BaseAuthPlugin:
    for opt in loading.get_auth_plugin_conf_options(kind):
        # kinds declare what they have in common differently: the first declaration holds
        with contextlib.suppress(cfg.DuplicateOptError):
            conf.register_opt(opt, group=section)
    loader: loading.BaseLoader[ks_plugin.BaseAuthPlugin] = loading.get_plugin_loader(kind)
    return loader.load_from_options_getter(lambda opt: conf[section][opt.dest], **replaced)


def _check_url(group: str, url: str | None) -> None:
    if url is not None and not types.is_http_url(url):
        raise errors.ConfigInvalid(
            group=group, option="auth_url", problem=f"{url!r} is not an http or https URL"
        )


def _domain(of: str, name: str) -> dict[str, str | None]:
    """A domain's keywords.  `default` is the id of the default domain, whatever its name's case."""
    if name == DEFAULT_DOMAIN or _is_id(name):
        return {f"{of}_domain_id": name, f"{of}_domain_name": None}
    return {f"{of}_domain_id": None, f"{of}_domain_name": name}


def _is_id(name: str) -> bool:
    return len(name) == 32 and all(letter in "0123456789abcdef" for letter in name)


# ---- where Nova is


def _catalogue_info(value: str) -> tuple[str, str]:
    """(service type, interface) of <service type>:<service name>:<endpoint type>."""
    parts = value.split(":")
    interface = parts[-1].removesuffix("URL")
    if len(parts) < 3 or not parts[0] or interface not in INTERFACES:
        raise errors.ConfigInvalid(
            group="DEFAULT",
            option="nova_catalog_admin_info",
            problem=f"{value!r} is not <service type>:<service name>:<endpoint type> "
            "with endpoint type publicURL, internalURL or adminURL",
        )
    return parts[0], interface


# ---- the session


def _session(
    plugin: ks_plugin.BaseAuthPlugin,
    *,
    threads: int,
    timeout: tuple[float, float],
    verify: bool | str,
    cert: str | tuple[str, str] | None,
) -> ks_session.Session:
    """Connections for as many threads; nothing comes from environment variables."""
    transport = requests.Session()
    transport.trust_env = False
    pool = requests.adapters.HTTPAdapter(pool_connections=16, pool_maxsize=max(threads, 10))
    for scheme in ("http://", "https://"):
        transport.mount(scheme, pool)
    session = ks_session.Session(
        auth=plugin,
        session=transport,
        verify=verify,
        cert=cert,
        app_name="masakari",
    )
    # keystoneauth is typed for one number only, but hands on to requests what takes a pair.
    setattr(session, "timeout", timeout)  # noqa: B010
    return session


def _verify(insecure: bool, ca_file: str | None, group: str, option: str) -> bool | str:
    if insecure:
        return False
    if not ca_file:
        return True
    if not pathlib.Path(ca_file).is_file() or not os.access(ca_file, os.R_OK):
        raise errors.ConfigInvalid(
            group=group, option=option, problem=f"{ca_file} is not a file that can be read"
        )
    return ca_file


def _cert(cert_file: str | None, key_file: str | None) -> str | tuple[str, str] | None:
    return (cert_file, key_file) if cert_file and key_file else cert_file
