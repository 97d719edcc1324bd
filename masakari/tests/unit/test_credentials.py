"""The options of [keystone_authtoken] that we declare ourselves are the library's."""

import pytest
from keystonemiddleware import opts as keystonemiddleware_opts
from oslo_config import cfg

from masakari.conf import credentials, middleware


def test_they_are_declared_as_keystonemiddleware_declares_them():
    ((group, library),) = keystonemiddleware_opts.list_auth_token_opts()

    assert group == credentials.AUTHTOKEN
    assert [opt for opt in credentials.OPTS if opt not in library] == []


@pytest.mark.parametrize(
    "declare",
    [
        (credentials.register, middleware.register_authtoken),
        (middleware.register_authtoken, credentials.register),
    ],
    ids=["ours first", "the library's first"],
)
def test_api_has_both(declare):
    conf = cfg.ConfigOpts()
    for register in declare:
        register(conf)
    conf([], default_config_files=[], default_config_dirs=[])

    assert conf.keystone_authtoken.http_connect_timeout == 10
    assert conf.keystone_authtoken.auth_type is None


def test_those_of_another_release_stay():
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.StrOpt("certfile", help="in other words"), credentials.AUTHTOKEN)

    credentials.register(conf)

    assert "auth_type" in conf.keystone_authtoken
