"""Which tokens are those of the project in [keystone_authtoken]."""

import pytest
from keystoneauth1 import loading
from oslo_config import cfg

from masakari.api import service_project
from masakari.conf.middleware import register_authtoken
from masakari.context import RequestContext

OURS = {
    "project_id": "0123",
    "project_name": "service",
    "project_domain_id": "default",
    "project_domain_name": "Default",
}


def configured(auth_type="password", section="keystone_authtoken", **values):
    conf = cfg.ConfigOpts()
    conf([], project="masakari", default_config_files=[], default_config_dirs=[])
    register_authtoken(conf)
    loading.register_auth_conf_options(conf, "keystone_authtoken")
    if section != "keystone_authtoken":
        conf.set_override("auth_section", section, "keystone_authtoken")
    conf.register_opts(loading.get_auth_plugin_conf_options(auth_type), section)
    for name, value in values.items():
        conf.set_override(name, value, section)
    return service_project.configured(conf)


def token(**changes):
    return RequestContext(overwrite=False, **(OURS | changes))


@pytest.mark.parametrize(
    "values",
    [
        {"project_id": "0123"},
        {"project_name": "service", "project_domain_id": "default"},
        {"project_name": "service", "project_domain_name": "Default"},
        {"project_name": "service", "project_domain_name": "default"},
        {"project_name": "service", "default_domain_id": "default"},
        {"project_name": "service"},
        {"project_name": "service", "project_domain_id": "default", "section": "elsewhere"},
    ],
)
def test_token_of_the_project_is_known(values):
    assert configured(**values).is_of(token())


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        ({"project_id": "4567"}, {}),
        ({"project_id": "4567", "project_name": "service"}, {}),
        ({"project_name": "other"}, {}),
        ({"project_name": "service", "project_domain_id": "d2"}, {}),
        ({"project_name": "service", "project_domain_name": "two"}, {}),
        ({"project_name": "service"}, {"project_domain_id": "d2"}),
        ({"project_name": "service"}, {"project_name": None, "project_domain_id": None}),
        ({}, {"project_name": None, "project_domain_id": None}),
        ({"auth_type": "v3applicationcredential"}, {}),
    ],
)
def test_other_tokens_are_not(values, changes):
    assert not configured(**values).is_of(token(**changes))


def test_without_keystone_there_is_no_such_project():
    assert not service_project.configured(cfg.ConfigOpts()).is_of(token())
