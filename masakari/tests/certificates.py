"""Certificates for tests: a private authority, and what servers may do wrong with it."""

import datetime
import pathlib
import ssl

import trustme

from masakari.clock import SystemClock

HERE = ("127.0.0.1", "localhost")
ELSEWHERE = ("elsewhere.example",)


class Authority:
    """A private CA with files in a directory."""

    def __init__(self, directory: pathlib.Path, name: str = "ca") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._directory = directory
        self._name = name
        self.file = directory / f"{name}.pem"
        """What those need who trust it."""
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(
        self, name: str, *identities: str, expired: bool = False
    ) -> tuple[pathlib.Path, pathlib.Path]:
        """(certificate, key) in files named *name*, valid for the identities (default: here)."""
        now = SystemClock().now()
        days = datetime.timedelta(days=1)
        issued = self._ca.issue_cert(
            *(identities or HERE),
            not_before=now - 2 * days,
            not_after=now - days if expired else now + 30 * days,
        )
        certificate = self._directory / f"{self._name}-{name}.pem"
        key = certificate.with_suffix(".key")
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        key.chmod(0o600)
        return certificate, key


def context(pair: tuple[pathlib.Path, pathlib.Path]) -> ssl.SSLContext:
    """Of a server with the certificate and key."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*pair)
    return made
