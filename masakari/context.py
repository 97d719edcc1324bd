"""Who asks: the identity and request id that every call carries."""

from oslo_context import context


class RequestContext(context.RequestContext):  # type: ignore[misc]  # oslo.context is untyped
    """oslo.context's, under our name; `is_admin` follows the policy `context_is_admin`."""


def admin_context(request_id: str | None = None) -> RequestContext:
    """A context of our own; without *request_id*, for work that no request asked for."""
    return RequestContext(is_admin=True, overwrite=False, request_id=request_id)
