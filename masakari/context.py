"""Who asks: the identity and request id that every call carries."""

from oslo_context import context


class RequestContext(context.RequestContext):  # type: ignore[misc]  # oslo.context is untyped
    """oslo.context's, under our name; `is_admin` follows the policy `context_is_admin`."""


class _Own(RequestContext):
    def update_store(self) -> None:
        """No line of the log is marked with it: our threads work for many requests in turn."""


def admin_context(request_id: str | None = None) -> RequestContext:
    """A context of our own; without *request_id*, for work that no request asked for."""
    return _Own(is_admin=True, overwrite=False, request_id=request_id)
