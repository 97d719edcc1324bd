"""The options of the libraries that stand before the API, declared before they are needed.

These libraries declare their options when they are first used, and read them when a request comes.
Declared early, values are checked at start, as ours are.  Only the API imports this: the libraries
take 18 MiB.
"""

from keystonemiddleware import opts as keystonemiddleware_opts
from oslo_config import cfg
from oslo_middleware import cors
from oslo_middleware import opts as middleware_opts
from oslo_middleware.healthcheck import opts as healthcheck

from masakari.conf.credentials import AUTHTOKEN

AUTHTOKEN_DEFAULTS = {
    # the name that access rules of application credentials know us by
    "service_type": "instance-ha",
    # a Keystone that accepts connections and says nothing would hold every thread for ever
    "http_connect_timeout": 10,
}
"""Where the library's own default is none."""


def register(conf: cfg.ConfigOpts) -> None:
    """Declare them on *conf*; safe to repeat."""
    set_defaults()
    register_authtoken(conf)
    for listed in (
        middleware_opts.list_opts_cors(),
        middleware_opts.list_opts_healthcheck(),
        middleware_opts.list_opts_http_proxy_to_wsgi(),
        middleware_opts.list_opts_sizelimit(),
    ):
        for group, opts in listed:
            conf.register_opts(opts, group)


def register_authtoken(conf: cfg.ConfigOpts) -> None:
    """Declare the options of [keystone_authtoken] on *conf*, all of them; safe to repeat."""
    for name, opts in keystonemiddleware_opts.list_auth_token_opts():
        conf.register_opts(opts, group=name)
    for name, better in AUTHTOKEN_DEFAULTS.items():
        conf.set_default(name, better, group=AUTHTOKEN)


def set_defaults() -> None:
    """The libraries' options have our defaults."""
    cors.set_defaults(
        allow_headers=[
            "X-Auth-Token",
            "X-Openstack-Request-Id",
            "X-Identity-Status",
            "X-Roles",
            "X-Service-Catalog",
            "X-User-Id",
            "X-Tenant-Id",
        ],
        expose_headers=[
            "X-Auth-Token",
            "X-Openstack-Request-Id",
            "X-Subject-Token",
            "X-Service-Token",
        ],
        allow_methods=["GET", "PUT", "POST", "DELETE", "PATCH"],
    )
    cfg.set_defaults(healthcheck.HEALTHCHECK_OPTS, backends=["disable_by_file"])
    cfg.set_defaults(
        healthcheck.DISABLE_BY_FILE_OPTS,
        disable_by_file_path="/etc/masakari/healthcheck_disable",
    )
