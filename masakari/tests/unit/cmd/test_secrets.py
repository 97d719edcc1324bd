"""Files with secrets that others may read."""

import pytest
from oslo_config import cfg

from masakari.cmd import options, secrets
from masakari.conf import credentials, register_monitors
from masakari.errors import ConfigInvalid

PASSWORD = """
[database]
connection = mysql+pymysql://masakari:hidden@controller/masakari
[keystone_authtoken]
auth_type = password
"""


@pytest.fixture
def configured(tmp_path):
    """Reads such files of such modes; the last one has the password of the database."""

    def read(mode, text=PASSWORD, extra=""):
        plain, file = tmp_path / "masakari.conf", tmp_path / "secret.conf"
        plain.write_text("[DEFAULT]\ndebug = true\n" + extra)
        plain.chmod(0o644)
        file.write_text(text)
        file.chmod(mode)
        conf = cfg.ConfigOpts()
        options.register_engine(conf)
        conf([], default_config_files=[str(plain), str(file)], default_config_dirs=[])
        credentials.register_kind(conf)
        return conf, file

    return read


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_file_of_owner_and_group_is_accepted(configured, mode):
    conf, _ = configured(mode)

    assert secrets.check(conf) == []


def test_file_that_all_may_read_is_told_of_without_its_secret(configured):
    conf, file = configured(0o644)

    (sentence,) = secrets.check(conf)
    assert sentence == (f"{file} has [database] connection, and everybody may read it: chmod o= it")


def test_file_that_all_may_read_is_refused_where_that_is_wanted(configured):
    conf, file = configured(0o644, extra="exposed_secrets = refuse\n")

    with pytest.raises(ConfigInvalid, match=rf"exposed_secrets: {file} has \[database\] connec"):
        secrets.check(conf)


def test_file_that_all_may_write_is_refused(configured):
    conf, file = configured(0o666)

    with pytest.raises(ConfigInvalid, match=f"everybody may write {file}"):
        secrets.check(conf)


def test_file_without_secrets_may_be_read_by_all(configured):
    conf, _ = configured(0o644, "[database]\nconnection = sqlite:////var/lib/masakari/db\n")

    assert secrets.check(conf) == []


@pytest.mark.parametrize("section", ["keystone_authtoken", "elsewhere"])
def test_password_for_keystone_is_a_secret_wherever_it_stands(configured, section):
    text = f"[{section}]\nauth_type = password\nusername = masakari\npassword = hidden\n"
    if section == "elsewhere":
        text += f"[keystone_authtoken]\nauth_section = {section}\n"
    conf, file = configured(0o644, text)

    assert secrets.check(conf) == [
        f"{file} has [{section}] password, and everybody may read it: chmod o= it"
    ]


def test_kind_of_credentials_that_nobody_knows_is_left_to_others(configured):
    conf, _ = configured(0o644, "[keystone_authtoken]\nauth_type = nothing-like-it\n")

    assert secrets.check(conf) == []


def test_monitors_know_the_password_that_they_share_with_the_api():
    monitors = cfg.ConfigOpts()
    monitors([], default_config_files=[], default_config_dirs=[])

    register_monitors(monitors)

    assert "auth_type" in monitors[credentials.AUTHTOKEN]
