"""What is wrong with an operator's policy file, for those who ask before an upgrade."""

import difflib
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import oslo_policy.policy
from oslo_config import cfg
from oslo_utils import fileutils

from masakari import errors
from masakari.api import policy

CLOSE = 0.7
"""How alike (0 to 1) an unknown name is to a rule that was probably meant."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence that says what to do as well."""

    text: str
    is_fatal: bool
    """The API does not do what the file wants."""


def review(conf: cfg.ConfigOpts) -> list[Problem]:
    """What is wrong with the file of `[oslo_policy] policy_file`; nothing if there is none."""
    enforcer = policy.make_enforcer(conf)
    try:
        enforcer.load_rules()
    except (OSError, ValueError) as e:
        raise errors.ConfigInvalid(
            group="oslo_policy",
            option="policy_file",
            problem=f"{enforcer.policy_path} cannot be used: {e}",
        ) from e
    path = enforcer.policy_path
    if path is None:
        return []
    file = pathlib.Path(path)
    rules = oslo_policy.policy.parse_file_contents(file.read_text())
    problems = [*_misread(rules), *_unknown(rules), *_deprecated(rules, policy.list_rules())]
    try:
        enforcer.check_rules(raise_on_violation=True)
    except oslo_policy.policy.InvalidDefinitionError as e:
        problems.append(Problem(f"Rules refer to none, or to one another: {e}.", is_fatal=True))
    if fileutils.is_json(path):
        problems.append(
            Problem(
                f"{path} is JSON, which is deprecated: run oslopolicy-convert-json-to-yaml and "
                "name its result in [oslo_policy] policy_file.",
                is_fatal=True,
            )
        )
    return problems


def _misread(rules: Mapping[str, str]) -> Iterator[Problem]:
    for name, text in rules.items():
        check = str(oslo_policy.policy.RuleDefault(name, text).check)
        if check == "!" and str(text).strip() != "!":
            yield Problem(f"The rule {name} is not understood and allows nothing.", is_fatal=True)


def _unknown(rules: Mapping[str, str]) -> Iterator[Problem]:
    known = {rule.name for rule in policy.list_rules()}
    text = " ".join(map(str, rules.values()))
    for name in rules.keys() - known:
        if f"rule:{name}" in text:
            continue  # the operator's own, for other rules
        close = difflib.get_close_matches(name, known, 1, CLOSE)
        hint = f"did you mean {close[0]}?" if close else "remove it."
        yield Problem(f"No operation asks for the rule {name}: {hint}", is_fatal=False)


def _deprecated(
    rules: Iterable[str], known: Sequence[oslo_policy.policy.RuleDefault]
) -> Iterator[Problem]:
    given = set(rules)
    for rule in known:
        old = rule.deprecated_rule.name if rule.deprecated_rule else None
        if rule.name in given and rule.deprecated_for_removal:
            reason = rule.deprecated_reason or "it will be removed"
            yield Problem(f"The rule {rule.name} is deprecated: {reason}.", is_fatal=False)
        elif old in given and old != rule.name:
            yield Problem(
                f"The rule {old} is deprecated: name it {rule.name} in the file.", is_fatal=False
            )
