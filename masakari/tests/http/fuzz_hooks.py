"""What Schemathesis is told about the API; it loads this file, and nothing else does."""

import os
import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import (
    MissingHeaderNotRejected,
    RejectedPositiveData,
    UnsupportedMethodResponse,
)

PERSONA = "MASAKARI_FUZZ_PERSONA"
"""Environment variable: who asks."""

REFUSED_WITH_REASON = re.compile(
    # it depends on what there is
    "Marker .* could not be found"
    "|Host with name .* could not be found"
    "|Nova knows no nova-compute service"
    "|not of type COMPUTE_HOST"
    # it depends on another parameter
    "|there are more directions than keys"
    # the request asked for an older version
    r"|\(it is from version 1\.\d on",
    re.DOTALL,
)
"""Messages of a 400 to what the schema allows, because schemas cannot say it."""

OTHER_SERVICES = "parameter `OpenStack-API-Version` in header"
"""What this header says of other services is ignored, so it has no wrong text but a version of
ours; its schema names what is right."""

ANY_METHOD = ("/", "/healthcheck")
"""Paths that answer every method as if it were GET, as those of OpenStack's release do."""

NEWER = "parameter `observe_only` in query"
"""What older versions ignore, as they ignore every filter that they do not know."""
NO_SUCH_METHOD = 405
"""The answer to a method that the asked version does not have, whatever else is wrong."""


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is one."""
    is_accepted = isinstance(failure, AcceptedNegativeData)
    is_known = is_accepted or isinstance(failure, MissingHeaderNotRejected)
    if is_known and response.status_code == NO_SUCH_METHOD:
        return False
    if is_accepted and f"Invalid component: {NEWER}" in failure.message:
        return case.headers.get("OpenStack-API-Version") == "instance-ha 1.4"
    if isinstance(failure, RejectedPositiveData):
        return not REFUSED_WITH_REASON.search(response.text)
    if is_accepted:
        return f"Invalid component: {OTHER_SERVICES}" not in failure.message
    if isinstance(failure, UnsupportedMethodResponse):
        return case.path not in ANY_METHOD
    return True


@schemathesis.check
def everyone_gets_what_is_his(ctx, response, case):
    """Without a token nothing below /v1, without a role nothing that a policy rule protects."""
    who = os.environ[PERSONA]
    is_open = case.operation.definition.raw.get("security") == []
    rule = case.operation.definition.raw.get("x-openstack", {}).get("policy")
    if response.status_code < 300 and case.method != "OPTIONS":
        assert is_open or who != "no-token", "answered without a token"
        assert rule is None or who == "admin", f"answered without {rule}"
