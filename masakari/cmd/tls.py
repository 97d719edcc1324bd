"""TLS of the HTTP server: its certificate, and those that it asks of clients."""

import datetime
import pathlib
import socket
import ssl

from cheroot.ssl import builtin
from oslo_config import cfg

from masakari.clock import SystemClock
from masakari.cmd import secrets
from masakari.errors import ConfigInvalid

OLDEST = ssl.TLSVersion.TLSv1_2
"""Older versions are refused, whatever the system allows."""

CERTIFICATE, KEY, CA = "ssl_cert_file", "ssl_key_file", "ssl_ca_file"


class Adapter(builtin.BuiltinSSLAdapter):  # type: ignore[misc]  # cheroot is untyped
    """TLS whose handshake waits in the thread of the connection, not where all are accepted."""

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """The socket, encrypted, and what WSGI is told of it."""
        encrypted = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return encrypted, {"wsgi.url_scheme": "https", "HTTPS": "on"}


def adapter(conf: cfg.ConfigOpts) -> Adapter | None:
    """As `use_ssl` and `[wsgi] ssl_*` say, or None.  Raises ConfigInvalid."""
    if not conf.use_ssl:
        return None
    certificate, key, ca = (conf.wsgi[option] for option in (CERTIFICATE, KEY, CA))
    for option, path in ((CERTIFICATE, certificate), (KEY, key)):
        if not path:
            raise _invalid(option, "use_ssl needs this file")
    _check_validity(CERTIFICATE, certificate)
    _check_pair(certificate, key)
    if ca:
        _check_validity(CA, ca)
    made = Adapter(certificate, key, certificate_chain=ca)
    made.context.minimum_version = OLDEST
    if ca:
        made.context.verify_mode = ssl.CERT_REQUIRED
    return made


def _invalid(option: str, problem: str) -> ConfigInvalid:
    return ConfigInvalid(group="wsgi", option=option, problem=problem)


def _read(option: str, path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as e:
        raise _invalid(option, f"{path}: {e.strerror}") from e


def _check_validity(option: str, path: str) -> None:
    """The first certificate in the file is valid now.  Raises ConfigInvalid."""
    # Not at the top: it takes some MiB, and few serve TLS themselves.
    from cryptography import x509  # noqa: PLC0415

    content = _read(option, path)
    try:
        first = x509.load_pem_x509_certificates(content)[0]
    except ValueError as e:
        raise _invalid(option, f"{path} has no certificate in PEM") from e
    now = SystemClock().now().replace(tzinfo=datetime.UTC)
    if now > first.not_valid_after_utc:
        raise _invalid(option, f"{path}: the certificate expired on {first.not_valid_after_utc}")
    if now < first.not_valid_before_utc:
        raise _invalid(
            option, f"{path}: the certificate is not valid before {first.not_valid_before_utc}"
        )


def _check_pair(certificate: str, key: str) -> None:
    """The key is there, needs no passphrase and is that of the certificate.

    Raises ConfigInvalid.
    """
    if b"PRIVATE KEY" not in _read(KEY, key):
        raise _invalid(KEY, f"{key} has no private key in PEM")
    secrets.check_key(key, "wsgi", KEY)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate, key, password=_no_passphrase
        )
    except _PassphraseNeeded as e:
        raise _invalid(KEY, f"{key} has a passphrase, and nobody is there to enter it") from e
    except ssl.SSLError as e:
        if e.reason == "KEY_VALUES_MISMATCH":
            problem = f"{key} is not the key of the certificate in {certificate}"
        else:
            problem = f"{key} and {certificate}: {e.reason or e}"
        raise _invalid(KEY, problem) from e


class _PassphraseNeeded(Exception):
    pass


def _no_passphrase() -> str:
    raise _PassphraseNeeded
