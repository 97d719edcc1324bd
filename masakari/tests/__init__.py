"""Tests."""

import masakari.cmd  # noqa: F401  before oslo.messaging is imported, or oslo.service takes eventlet
