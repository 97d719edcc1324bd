"""The description of the API is what the API does: Schemathesis cannot tell them apart."""

import pytest

from masakari.tests.http import fuzz

EXAMPLES = 3


@pytest.mark.parametrize("who", fuzz.TOKENS)
def test_api_is_as_it_is_described(tmp_path, capsys, who):
    status, printed = fuzz.play(tmp_path, who, examples=EXAMPLES)

    with capsys.disabled():
        print(f"\n{fuzz.summary(who, printed)}")
    assert status == 0, printed
