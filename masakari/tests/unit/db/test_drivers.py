"""What is asked of each driver."""

import ssl

import certifi
import pytest

from masakari.db import drivers

pytest.importorskip("pymysql")


def test_tls_that_verifies_nobody_loads_no_certificates():
    one, two = (drivers._pymysql_connection()(defer_connect=True) for _ in range(2))

    assert one.ctx is two.ctx
    assert one.ctx.verify_mode is ssl.CERT_NONE
    assert not one.ctx.cert_store_stats()["x509_ca"]
    assert one.ssl
    assert not one._ssl_required


def test_tls_that_is_asked_for_verifies_as_ever():
    connection = drivers._pymysql_connection()(defer_connect=True, ssl={"ca": certifi.where()})

    assert connection.ctx.cert_store_stats()["x509_ca"]
    assert connection.ctx.verify_mode is ssl.CERT_REQUIRED
    assert connection._ssl_required


def test_tls_that_is_switched_off_is_off():
    assert not drivers._pymysql_connection()(defer_connect=True, ssl_disabled=True).ssl
