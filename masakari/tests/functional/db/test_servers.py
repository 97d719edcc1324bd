import os
import pathlib
import select
import socket
import subprocess
import urllib.parse

import pytest
import sqlalchemy as sa

from masakari.tests import servers

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


def test_server_ends_with_the_process_that_owns_the_run(tmp_path: pathlib.Path) -> None:
    if reason := servers.missing("mariadb"):
        pytest.skip(reason)
    owner = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    server = servers.shared("mariadb", tmp_path, owner.pid)
    keeper = os.pidfd_open(server.keeper)

    owner.kill()

    assert select.select([keeper], [], [], 30)[0] == [keeper]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    os.close(keeper)
    owner.wait()
    owner.stdin.close()
