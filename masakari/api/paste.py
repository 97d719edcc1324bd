"""The api-paste.ini of an existing deployment: it is not read, and the log says what that means."""

import configparser
import logging
import pathlib

from oslo_config import cfg

LOG = logging.getLogger(__name__)

_BUILT_IN = (
    "oslo_middleware",
    "oslo.middleware",
    "keystonemiddleware.auth_token",
    "masakari.api.",
)
"""Beginnings of the factories in the files that OpenStack's Masakari came with."""


def warn(conf: cfg.ConfigOpts) -> None:
    """Where such a file lies beside the configuration, a warning names its unknown filters."""
    path = conf.find_file(conf.wsgi.api_paste_config)
    if path is None:
        return
    filters = foreign_filters(pathlib.Path(path))
    LOG.warning(
        "%s is not read: the middleware is built in%s",
        path,
        f", except these filters, which are not in effect: {', '.join(filters)}" if filters else "",
    )


def foreign_filters(path: pathlib.Path) -> list[str]:
    """Names of a paste file's filters that the API does not have; none if it cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path)
    except (OSError, ValueError, configparser.Error):
        return []
    return [
        section.removeprefix("filter:")
        for section in parser.sections()
        if section.startswith("filter:")
        and not _factory(parser, section).removeprefix("egg:").startswith(_BUILT_IN)
    ]


def _factory(parser: configparser.RawConfigParser, section: str) -> str:
    return parser.get(section, "paste.filter_factory", fallback="") or parser.get(
        section, "use", fallback=""
    )
