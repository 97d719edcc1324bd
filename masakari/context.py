"""Who asks: the identity and request id that every call carries."""

import contextlib
from collections.abc import Iterator

from oslo_context import context


class RequestContext(context.RequestContext):  # type: ignore[misc]  # oslo.context is untyped
    """oslo.context's, under our name; `is_admin` follows the policy `context_is_admin`."""


class _Own(RequestContext):
    def update_store(self) -> None:
        """No line of the log is marked with it: our threads work for many requests in turn."""


def admin_context(request_id: str | None = None) -> RequestContext:
    """A context of our own; without *request_id*, for work that no request asked for."""
    return _Own(is_admin=True, overwrite=False, request_id=request_id)


@contextlib.contextmanager
def acting_for(request_id: str | None) -> Iterator[None]:
    """Meanwhile lines of the log, and requests to Nova, of this thread bear that id, if any."""
    if request_id is None:
        yield
        return
    before = context.get_current()
    RequestContext(is_admin=True, request_id=request_id, overwrite=True)
    try:
        yield
    finally:
        context._request_store.context = before  # the library offers no other way back to none


def current_request_id() -> str | None:
    """Of the request for which this thread works: its caller's, where that gave one."""
    current = context.get_current()
    return None if current is None else str(current.global_id)
