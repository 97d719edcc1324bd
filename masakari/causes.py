"""What an error came from: libraries wrap those of the network, each in its own way."""

import ssl
from collections.abc import Iterator


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, also urllib3's reason within requests' error."""
    while error is not None:
        yield error
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(reason, BaseException):
            yield from chain(reason)
        error = error.__cause__ or error.__context__


def refused_certificate(error: BaseException) -> str | None:
    """Why the other side's certificate is not trusted; None: that was not the trouble."""
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message.rstrip(".")
    return None


def of_network(error: BaseException) -> str | None:
    """What went wrong on the way to the other side, in a few words; None: that was not it."""
    causes = list(chain(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return "timed out"
    return None
