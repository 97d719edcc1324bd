"""Plays the cases against a server and prints each difference from what was recorded.

The last line tells how many cases are the same; the exit status is 1 where any differs.
"""

import argparse
import re
import sys

from masakari.tests.conformance import player, recorded
from masakari.tests.conformance.compare import differences


def main():
    parser = argparse.ArgumentParser(
        prog="python -m masakari.tests.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="of the API's root: http://127.0.0.1:15868")
    parser.add_argument(
        "--sim", default="http://127.0.0.1:21080", help="its Keystone and Nova (%(default)s)"
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="print these cases only")
    wanted = parser.parse_args()
    only = re.compile(wanted.only)
    same = differing = 0
    answers = recorded.answers()
    play = player.Player(recorded.cases(), url=wanted.url, sim=wanted.sim)
    for case, request, answer in play.play():
        if not only.search(case):
            continue
        found = differences(answers[case], answer)
        same, differing = same + (not found), differing + bool(found)
        if found:
            print(f"{case}: {request}", *found, sep="\n    ", flush=True)
    print(f"{same} cases the same, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
