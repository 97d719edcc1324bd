"""The description of the API is what the API does: Schemathesis cannot tell them apart."""

import pytest

from masakari.tests.conftest import TOLD_AT_THE_END
from masakari.tests.http import fuzz

EXAMPLES = 3
pytestmark = pytest.mark.long


@pytest.mark.parametrize("who", fuzz.TOKENS)
def test_api_is_as_it_is_described(tmp_path, record_property, who):
    status, printed = fuzz.play(tmp_path, who, examples=EXAMPLES)

    record_property(TOLD_AT_THE_END, fuzz.summary(who, printed))
    assert status == 0, printed
