"""Options of the access to Nova; what is not set comes from [keystone_authtoken]."""

from oslo_config import cfg

from masakari.conf import types

DEFAULT_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        "nova_catalog_admin_info",
        default="compute:nova:publicURL",
        help="Where Nova stands in the service catalogue: <service type>:<service name>:<endpoint "
        "type>. The name is not used and may contain spaces.",
    ),
    cfg.StrOpt("os_region_name", help="Region of Nova's endpoint. Default: the only one."),
    cfg.StrOpt("nova_ca_certificates_file", help="CA certificates for Nova and Keystone (PEM)."),
    cfg.BoolOpt("nova_api_insecure", default=False, help="Whether certificates go unchecked."),
    cfg.StrOpt(
        "os_privileged_user_name",
        help="User who acts in Nova. Default: [keystone_authtoken] username.",
    ),
    cfg.StrOpt(
        "os_privileged_user_password",
        secret=True,
        help="The user's password. Default: [keystone_authtoken] password.",
    ),
    cfg.StrOpt(
        "os_privileged_user_tenant",
        help="The user's project. Default: [keystone_authtoken] project_name.",
    ),
    cfg.Opt(
        "os_privileged_user_auth_url",
        type=types.HttpUrl(),
        help="Keystone's URL. Default: [keystone_authtoken] auth_url.",
    ),
    cfg.StrOpt(
        "os_user_domain_name",
        default="default",
        help="Name (or id) of the user's domain; used with os_privileged_user_name.",
    ),
    cfg.StrOpt(
        "os_project_domain_name",
        default="default",
        help="Name (or id) of the project's domain; used with os_privileged_user_name.",
    ),
    cfg.StrOpt("os_system_scope", help="Scope of the token instead of a project, e.g. all."),
]

NOVA_OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "connect_timeout",
        default=5,
        min=0.1,
        help="Seconds to wait for a connection to Nova or Keystone.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=60,
        min=0.1,
        help="Seconds to wait for an answer of Nova or Keystone.",
    ),
    cfg.IntOpt(
        "retries",
        default=8,
        min=0,
        max=100,
        help="How often a request is repeated after a transient error (no connection, 429, 5xx); "
        "the pause doubles from 0.5 s up to 10 s.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare the options on *conf*."""
    conf.register_opts(DEFAULT_OPTS)
    conf.register_opts(NOVA_OPTS, group="nova")


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """(group, options) pairs."""
    return [("DEFAULT", DEFAULT_OPTS), ("nova", NOVA_OPTS)]
