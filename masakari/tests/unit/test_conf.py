"""Options of the server programs and of the monitors live together in masakari-standalone."""

from oslo_config import cfg

import masakari.conf


def test_register_all_options_keeps_host_and_the_group_host_apart(tmp_path):
    path = tmp_path / "masakari.conf"
    path.write_text("[DEFAULT]\nhost = node7\n[host]\nmonitoring_samples = 3\n")
    conf = cfg.ConfigOpts()
    masakari.conf.register(conf)
    masakari.conf.register_monitors(conf)

    conf([], project="masakari", default_config_files=[str(path)], default_config_dirs=[])

    assert conf.DEFAULT.host == "node7"
    assert conf.host.monitoring_samples == 3
