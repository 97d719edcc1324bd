"""The tests of unit/db, on MariaDB and PostgreSQL."""

import pytest

from masakari.tests.unit.db.test_standing import *  # noqa: F403  pytest collects what is imported

pytestmark = pytest.mark.functional
