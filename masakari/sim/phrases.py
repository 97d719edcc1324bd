"""The scenario language: its statements, and what they do to the simulated system.

`python -m masakari.sim --language` prints this table.
"""

from masakari.sim import words
from masakari.sim.language import phrases

PHRASES = phrases(
    {
        # the stage
        "option NAME VALUE": words.option,
        "nova NAME LIMIT": words.nova,
        "segment NAME METHOD=auto|reserved_host|auto_priority|rh_priority": words.segment,
        "no monitor": words.no_monitor,
        "unregistered host HOSTS": words.unregistered,
        "host HOSTS[ in SEGMENT]": words.host,
        "vm VMS on HOST[ in STATE][ with task TASK][ HA=ha-enabled][ LOCKED=locked]": words.vm,
        "engine NAME": words.engine,
        "monitor NAME": words.monitor,
        # the cloud
        "power HOSTS STATE=on|off": words.power,
        "network of HOST STATE=cut|healed": words.network,
        "nova-compute on HOST STATE=stopped|started": words.compute,
        "nova answers CODE for DURATION s[ to VERB]": words.answers,
        "evacuation of VMS fails[ TIMES times]": words.fails,
        "evacuation of VMS hangs": words.hangs,
        "evacuation of VMS takes DURATION s": words.takes,
        "operator evacuates VMS": words.evacuated_by_hand,
        "owner deletes VMS": words.delete,
        # Masakari
        "kill NAME": words.kill,
        "kill NAME WHEN=before|after VERB[ of VM]": words.kill_at,
        "freeze NAME for DURATION s": words.freeze,
        "freeze NAME for DURATION s WHEN=before|after VERB[ of VM]": words.freeze_at,
        "start NAME": words.start,
        "stop NAME": words.stop,
        "restart NAME": words.restart,
        "bus FAULT=loses|doubles TIMES": words.bus_fault,
        "NAME=database|bus|api away for DURATION s": words.away,
        "report HOST EVENT=stopped|started[ with status STATUS=normal|unknown]": words.report,
        "report process PROCESS of HOST stopped": words.report_process,
        "segment NAME STATE=enabled|disabled": words.set_segment,
    }
)
