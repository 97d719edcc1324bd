"""Who asks: the identity and request id that every call carries."""

from oslo_context import context


class RequestContext(context.RequestContext):  # type: ignore[misc]  # oslo.context is untyped
    """oslo.context's, under our name; `is_admin` follows the policy `context_is_admin`."""


def admin_context() -> RequestContext:
    """A context of our own, for work that no request asked for; it has a new request id."""
    return RequestContext(is_admin=True, overwrite=False)
