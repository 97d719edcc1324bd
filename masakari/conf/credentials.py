"""What engine and monitors read of [keystone_authtoken], which belongs to keystonemiddleware.

They do without that library, which takes 15 MiB; the API declares all options: `conf.middleware`.
"""

import contextlib

from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading
from oslo_config import cfg

AUTHTOKEN = "keystone_authtoken"

# The library's own words: oslo.config refuses a second declaration that differs from the first.
OPTS = [
    cfg.StrOpt("certfile", help="Required if identity server requires client certificate"),
    cfg.StrOpt("keyfile", help="Required if identity server requires client certificate"),
    cfg.StrOpt(
        "cafile",
        help="A PEM encoded Certificate Authority to use when verifying HTTPs connections. "
        "Defaults to system CAs.",
    ),
    cfg.BoolOpt("insecure", default=False, help="Verify HTTPS connections."),
    cfg.StrOpt("region_name", help="The region in which the identity server can be found."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Declare them on *conf*, unless keystonemiddleware's are declared; safe to repeat."""
    if AUTHTOKEN not in conf or OPTS[0].dest not in conf[AUTHTOKEN]:
        conf.register_opts(OPTS, group=AUTHTOKEN)
    conf.register_opts(loading.get_auth_common_conf_options(), group=AUTHTOKEN)


def register_kind(conf: cfg.ConfigOpts) -> None:
    """Declare what the chosen kind of credentials has, the password for one; safe to repeat.

    *conf* has read its files.  Whoever uses the credentials complains of a kind that nobody knows.
    """
    if AUTHTOKEN not in conf:
        return
    section = conf[AUTHTOKEN].auth_section or AUTHTOKEN
    loading.register_auth_conf_options(conf, AUTHTOKEN)
    kind = conf[section].auth_type
    if kind:
        with contextlib.suppress(ks_exceptions.NoMatchingPlugin):
            conf.register_opts(loading.get_auth_plugin_conf_options(kind), group=section)
