"""masakari-standalone as the demo's child process."""

import socket

import pytest

from masakari import clock as clock_
from masakari.sim import daemon


def test_configuration_has_at_most_15_lines_and_no_empty_value(tmp_path):
    config = daemon.configuration(
        port=15868,
        auth_url="http://127.0.0.1:1/v3",
        directory=tmp_path,
        knocks={"compute-1": "127.0.0.1:1001", "compute-2": "127.0.0.1:1002"},
    )

    assert len(config.splitlines()) <= 15
    assert "second_opinion_addresses = compute-1=127.0.0.1:1001,compute-2=127.0.0.1:1002" in config


def test_daemon_that_cannot_start_is_reported_with_the_end_of_its_log(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = daemon.configuration(
            port=port, auth_url="http://127.0.0.1:1/v3", directory=tmp_path, knocks={"a": "b:1"}
        )
        # no HTTP comes from the port: only the end of the process ends the wait
        taken.listen(0)

        with (
            daemon.Daemon(tmp_path, config, "http://127.0.0.1:1/") as started,
            pytest.raises(daemon.DaemonFailed, match="has ended with status 75") as caught,
        ):
            started.wait_until_it_answers(clock_.SystemClock())

    assert f"cannot listen on 127.0.0.1 port {port}" in caught.value.tail
