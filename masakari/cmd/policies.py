"""For the oslopolicy-* tools: the rules in effect."""

import argparse
import functools

from oslo_config import cfg

from masakari.api import policy


@functools.cache
def get_enforcer() -> policy.Enforcer:
    """What the entry point oslo.policy.enforcer names.

    The tools look for the policy file's name in the global CONF, which they have not let look for
    our configuration; of their arguments only the files that they name are for us.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    named = [parser.add_argument(f"--config-{what}", action="append") for what in ("file", "dir")]
    given = vars(parser.parse_known_args()[0])
    argv = [
        word
        for argument in named
        for value in given[argument.dest] or ()
        for word in (argument.option_strings[0], value)
    ]
    cfg.CONF(argv, project="masakari")
    return policy.make_enforcer(cfg.CONF)
