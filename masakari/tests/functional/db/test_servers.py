import socket
import urllib.parse

import pytest
import sqlalchemy as sa

pytestmark = pytest.mark.functional


def test_mariadb_url_fresh_database_is_empty(mariadb_url: str) -> None:
    engine = sa.create_engine(mariadb_url)

    assert sa.inspect(engine).get_table_names() == []

    engine.dispose()


def test_rabbit_url_port_speaks_amqp(rabbit_url: str) -> None:
    port = urllib.parse.urlsplit(rabbit_url).port

    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")

        assert connection.recv(1) == b"\x01"  # a method frame: connection.start
