"""The warning about an api-paste.ini."""

import pytest
from oslo_config import cfg

from masakari import conf as options
from masakari.api import paste

USUAL = """
[composite:masakari_api]
use = call:masakari.api.urlmap:urlmap_factory
/: apiversions
/v1: masakari_api_v1
[composite:masakari_api_v1]
use = call:masakari.api.auth:pipeline_factory_v1
keystone = cors http_proxy_to_wsgi request_id faultwrap sizelimit authtoken osapi_masakari_app_v1
[filter:cors]
paste.filter_factory = oslo_middleware.cors:filter_factory
oslo_config_project = masakari
[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware.http_proxy_to_wsgi:HTTPProxyToWSGI.factory
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:sizelimit]
paste.filter_factory = oslo_middleware:RequestBodySizeLimiter.factory
[filter:sizelimit2]
use = egg:oslo.middleware#sizelimit
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:faultwrap]
paste.filter_factory = masakari.api.openstack:FaultWrapper.factory
[filter:noauth2]
paste.filter_factory = masakari.api.auth:NoAuthMiddleware.factory
"""
FOREIGN = """
[filter:audit]
paste.filter_factory = keystonemiddleware.audit:filter_factory
[filter:limits]
use = egg:example%limits
"""


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        (USUAL, []),
        (USUAL + FOREIGN, ["audit", "limits"]),
        ("", []),
        ("no section", []),
        ("[filter:x]", ["x"]),
    ],
    ids=["usual", "with others", "empty", "malformed", "without a factory"],
)
def test_filters_that_are_not_built_in_are_found(tmp_path, text, foreign):
    file = tmp_path / "api-paste.ini"
    file.write_text(text)

    assert paste.foreign_filters(file) == foreign


@pytest.fixture
def configured(tmp_path):
    """Options from a file in a directory."""
    (tmp_path / "masakari.conf").touch()
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf(["--config-file", str(tmp_path / "masakari.conf")], project="masakari")
    return conf


def test_file_beside_the_configuration_is_warned_of(configured, tmp_path, caplog):
    (tmp_path / "api-paste.ini").write_text(USUAL + FOREIGN)

    paste.warn(configured)

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert str(tmp_path / "api-paste.ini") in record.message
    assert record.message.endswith("audit, limits")


def test_without_a_file_nothing_is_said(configured, caplog):
    paste.warn(configured)

    assert caplog.records == []
