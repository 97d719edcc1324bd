"""The tests of unit/db, on MariaDB."""

import pytest

from masakari.tests.unit.db.test_side_by_side import *  # noqa: F403  pytest collects what is imported

pytestmark = pytest.mark.functional
