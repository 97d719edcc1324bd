"""What tests of drivers share."""

import stat

from oslo_config import cfg

import masakari.conf


class Watched:
    """A watchlist of these hosts."""

    def __init__(self, *hosts):
        self._hosts = frozenset(hosts)

    def read(self):
        return self._hosts


def configured(group, /, **options):
    """The options of the monitors, these of *group* set."""
    conf = cfg.ConfigOpts()
    masakari.conf.register_monitors(conf)
    conf([], project="masakarimonitors", default_config_files=[], default_config_dirs=[])
    for name, value in options.items():
        conf.set_override(name, value, group)
    return conf


def seen(probe):
    """{host: (state, detail)} of one look."""
    return {sample.subject: (sample.state, sample.detail) for sample in probe.look()}


def private(path, text):
    """A file that only its owner reads; its name."""
    path.write_text(text)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return str(path)
