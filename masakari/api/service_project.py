"""Which project is the service's own: that of the credentials in [keystone_authtoken]."""

from dataclasses import dataclass

from oslo_config import cfg

from masakari import context
from masakari.conf.credentials import AUTHTOKEN

DEFAULT_DOMAIN = "default"


@dataclass(frozen=True, slots=True)
class ServiceProject:
    """A project by its id, or else by its name and its domain's id or name.

    Keystone need not be asked for it; with credentials that name no project nothing matches.
    """

    project_id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None

    def is_of(self, ctx: context.RequestContext) -> bool:
        """Whether the request's token is one of this project."""
        if self.project_id:
            return bool(ctx.project_id == self.project_id)
        if not self.name or ctx.project_name != self.name:
            return False
        if self.domain_name and not self.domain_id:
            # for most Keystones `default` and `Default` are the same
            return (ctx.project_domain_name or "").casefold() == self.domain_name.casefold()
        return bool(ctx.project_domain_id == (self.domain_id or DEFAULT_DOMAIN))


def configured(conf: cfg.ConfigOpts) -> ServiceProject:
    """As the options say, once the plugin of `auth_type` has declared them."""
    if AUTHTOKEN not in conf:
        return ServiceProject()
    section = getattr(conf[AUTHTOKEN], "auth_section", None) or AUTHTOKEN
    options = conf[section]

    def value(*names: str) -> str | None:
        return next((found for name in names if (found := getattr(options, name, None))), None)

    return ServiceProject(
        project_id=value("project_id"),
        name=value("project_name"),
        domain_id=value("project_domain_id", "default_domain_id"),
        domain_name=value("project_domain_name", "default_domain_name"),
    )
