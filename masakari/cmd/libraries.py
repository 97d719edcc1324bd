"""The options of the libraries, declared before they are needed.

Libraries declare their options when they are first used, and read them when a request or message
comes.  Declared early, values are checked at start, as ours are.
"""

from oslo_config import cfg
from oslo_middleware import opts as middleware_opts

from masakari import rpc
from masakari.nova import auth


def register(conf: cfg.ConfigOpts) -> None:
    """Declare on *conf* what API and engine use; safe to repeat."""
    rpc.register(conf)
    auth.register_authtoken(conf)
    for listed in (
        middleware_opts.list_opts_cors(),
        middleware_opts.list_opts_healthcheck(),
        middleware_opts.list_opts_http_proxy_to_wsgi(),
        middleware_opts.list_opts_sizelimit(),
    ):
        for group, opts in listed:
            conf.register_opts(opts, group)
