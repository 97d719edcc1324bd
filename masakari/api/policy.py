"""Who may do what: oslo.policy rules, gathered from the operations.

Names are those that existing policy files override; what such a file says keeps its effect.
"""

import functools
import logging
from collections.abc import MutableMapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from masakari import context, errors
from masakari.api import (  # noqa: F401  importing a resource declares its operations
    documents,
    extensions,
    hosts,
    notifications,
    operation,
    segments,
    service_project,
    vmoves,
)
from masakari.clock import Clock

LOG = logging.getLogger(__name__)

BASE_RULES: tuple[policy.RuleDefault, ...] = (
    policy.RuleDefault(
        "context_is_admin", "role:admin", "Decides what makes a request an administrator's."
    ),
    policy.RuleDefault(
        "admin_or_owner",
        "is_admin:True or project_id:%(project_id)s",
        "Not used by a default; policy files refer to it.",
    ),
    policy.RuleDefault("admin_api", "is_admin:True", "Administrators: they may do everything."),
    policy.RuleDefault(
        "service_project",
        "is_service_project:True",
        "Whose token is one of the service's project, which is that of the credentials in "
        "[keystone_authtoken]. project_id:ID names another one.",
    ),
    policy.RuleDefault(
        "reader_api",
        "role:reader and (system_scope:all or rule:service_project)",
        "Who may read: readers in the service's project or of the whole system.",
    ),
    policy.RuleDefault(
        "service_api",
        "role:service",
        "Services, such as monitors: they may report failures, and read.",
    ),
    policy.RuleDefault(
        "os_masakari_api:versions:index",
        "@",
        "Not asked: whoever has a token may read the version document.",
    ),
)

GUARDS = ("context_is_admin", "admin_api")
"""Before there were other roles, a policy file that overrode one of them decided on everything."""
GRANTED_SINCE = ("reader_api", "service_api")
"""So whoever they let in stays out until that file names them, too."""


class Forbidden(errors.MasakariError):
    """The policy does not allow this to this user."""

    template = "Policy does not allow {rule} to be performed."
    status = 403


@policy.register("is_admin")
class IsAdminCheck(policy.Check):  # type: ignore[misc]  # oslo.policy is untyped
    """`is_admin:True` in rules: what `context_is_admin` said about the request."""

    def __init__(self, kind: str, match: str) -> None:
        self.expected = match.lower() == "true"
        super().__init__(kind, str(self.expected))

    def __call__(
        self,
        target: object,
        creds: MutableMapping[str, Any],  # oslo.policy's
        enforcer: object,
        current_rule: str | None = None,
    ) -> bool:
        """Whether the request is, or is not, an administrator's."""
        return bool(creds.get("is_admin")) == self.expected


DECISION_S = 1.0
"""A decision holds so long for whoever has the same credentials; then the files are looked at."""
DECISIONS = 10_000
"""No more are remembered."""


class Policy:
    """The rules in force: defaults and the operator's policy file, read again when it changes."""

    def __init__(self, conf: cfg.ConfigOpts, clock: Clock) -> None:
        """Read them.  Raises ConfigInvalid."""
        self._enforcer = make_enforcer(conf)
        self._clock = clock
        self._decisions: dict[tuple[str, str], tuple[bool, float]] = {}
        self._conf = conf
        try:
            self._enforcer.load_rules()  # so that a malformed file is told at start
        except (OSError, ValueError) as e:
            raise errors.ConfigInvalid(
                group="oslo_policy",
                option="policy_file",
                problem=f"{self._enforcer.policy_path} cannot be used: {e}",
            ) from e
        if self._enforcer.policy_path is None and _is_set(conf):
            _warn_of_missing(conf.oslo_policy.policy_file)
        if self._enforcer.withheld():
            _tell_of_withheld(self._enforcer.policy_path, ", ".join(self._enforcer.withheld()))

    @functools.cached_property
    def _service_project(self) -> service_project.ServiceProject:
        # not at start: the credentials' options are declared after the policy is made
        return service_project.configured(self._conf)

    def is_admin(self, ctx: context.RequestContext) -> bool:
        """Whether `context_is_admin` holds."""
        return self.allows("context_is_admin", ctx)

    def allows(self, rule: str, ctx: context.RequestContext) -> bool:
        """Whether *rule* holds for the request; the target is the caller's own project and user."""
        creds = dict(ctx.to_policy_values()) | {
            "is_admin": ctx.is_admin,
            "is_service_project": self._service_project.is_of(ctx),
            "project_name": ctx.project_name,
        }
        now, key = self._clock.monotonic(), (rule, repr(creds))
        allowed, ends_at = self._decisions.get(key, (False, now))
        if ends_at <= now:
            target = {"project_id": ctx.project_id, "user_id": ctx.user_id}
            allowed = bool(self._enforcer.authorize(rule, target, creds))
            if len(self._decisions) >= DECISIONS:
                self._decisions.clear()
            self._decisions[key] = allowed, now + DECISION_S
        return allowed

    def authorize(self, rule: str, ctx: context.RequestContext) -> None:
        """Raise Forbidden unless *rule* holds."""
        if not self.allows(rule, ctx):
            raise Forbidden(rule=rule)


def _is_set(conf: cfg.ConfigOpts) -> bool:
    """Whether the operator named a policy file; a default file may be absent."""
    found = conf.get_location("policy_file", "oslo_policy")
    return found is not None and found.location.is_user_controlled


@functools.cache  # once, though each worker process has a policy
def _warn_of_missing(path: str) -> None:
    LOG.warning(
        "[oslo_policy] policy_file: %s does not exist; until it does, the default rules apply", path
    )


@functools.cache
def _tell_of_withheld(path: str, rules: str) -> None:
    LOG.info(
        "%s overrides %s: it decides on every operation as before, and allows nothing by %s "
        "unless it names these rules, too",
        path,
        " or ".join(GUARDS),
        rules,
    )


class Enforcer(policy.Enforcer):  # type: ignore[misc]  # oslo.policy is untyped
    """oslo.policy's, which widens nothing that the operator's file has narrowed."""

    def load_rules(self, force_reload: bool = False) -> None:
        """The rules are as the file, which is read again when it has changed, and the code say."""
        super().load_rules(force_reload)
        for name in self.withheld():
            self.rules[name] = NOBODY

    def withheld(self) -> list[str]:
        """The rules whose defaults do not apply, because of what the file overrides."""
        overrides = any(
            str(self.file_rules[name].check) != str(self.registered_rules[name].check)
            for name in GUARDS
            if name in self.file_rules
        )
        return [name for name in GRANTED_SINCE if overrides and name not in self.file_rules]


NOBODY = policy.RuleDefault("nobody", "!").check


def make_enforcer(conf: cfg.ConfigOpts) -> Enforcer:
    """An enforcer that knows every rule."""
    enforcer = Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer


def list_rules() -> Sequence[policy.RuleDefault]:
    """Every rule with its default (entry point oslo.policy.policies)."""
    return [*BASE_RULES, *extensions.discoverable_rules(), *operation.rules()]
