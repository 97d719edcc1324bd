"""Who is held for dead by somebody else's word is asked itself, as the driver nova does it.

=========  ==============================
the host   is
=========  ==============================
answers    doubtful
is silent  offline
not asked  unknown: it could not be asked
=========  ==============================
"""

from collections.abc import Mapping

from masakari.monitors import core
from masakari.monitors.hosts.opinions import Sign
from masakari.monitors.hosts.polling import Reading
from masakari.monitors.hosts.second_opinion import SecondOpinion
from masakari.monitors.judge import SIGNS_OF_LIFE, State

_STATES = {Sign.ALIVE: State.DOUBTFUL, Sign.SILENT: State.OFFLINE, Sign.UNKNOWN: State.UNKNOWN}


def confirm(readings: Mapping[str, Reading], second_opinion: SecondOpinion) -> dict[str, Reading]:
    """The readings of hosts, of which those that are offline were asked themselves.

    Raises Blind if somebody is silent and nobody at all answers: then nobody would.
    """
    accused = [host for host, reading in readings.items() if reading.state is State.OFFLINE]
    opinions = dict(second_opinion.ask(accused)) if accused else {}
    signs = {opinion.sign for opinion in opinions.values()}
    if Sign.SILENT in signs and Sign.ALIVE not in signs:
        others = second_opinion.ask([host for host in readings if host not in opinions])
        if all(opinion.sign is not Sign.ALIVE for opinion in others.values()):
            raise core.Blind(
                f"{len(accused)} hosts are held for dead, but not one of {len(readings)} answers "
                "the second opinion, so the observer's network is suspected, or [host] "
                "second_opinion_* is wrong",
                alive=[h for h, reading in readings.items() if reading.state in SIGNS_OF_LIFE],
            )
    return {
        **readings,
        **{
            host: Reading(_STATES[opinion.sign], f"{readings[host].detail}, {opinion.detail}")
            for host, opinion in opinions.items()
        },
    }
