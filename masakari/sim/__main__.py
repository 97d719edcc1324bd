"""Play scenarios, or the demo: `python -m masakari.sim --help`."""

import sys
import warnings


def main() -> int:
    """The exit status; only what is asked for is loaded."""
    # oslo.messaging imports eventlet, which warns at that; it is not used
    warnings.filterwarnings("ignore", message="\\s*Eventlet is deprecated")
    warnings.filterwarnings("ignore", message="The 'oslo_service", category=DeprecationWarning)
    arguments = sys.argv[1:]
    if arguments[:1] == ["demo"]:
        from masakari.sim import demo  # noqa: PLC0415  it needs none of the other's modules

        return demo.main(arguments[1:])
    from masakari.sim import player  # noqa: PLC0415

    return player.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
