"""The scenario language: its statements, and what they do to the simulated system.

`python -m masakari.sim --language` prints this table.
"""

from masakari.sim.language import phrases
from masakari.sim.system import System

PHRASES = phrases(
    {
        # the stage
        "option NAME VALUE": System.option,
        "nova NAME LIMIT": System.nova,
        "segment NAME METHOD=auto|reserved_host|auto_priority|rh_priority": System.segment,
        "no monitor": System.no_monitor,
        "unregistered host HOSTS": System.unregistered,
        "host HOSTS[ in SEGMENT]": System.host,
        "vm VMS on HOST[ in STATE][ with task TASK][ HA=ha-enabled][ LOCKED=locked]": System.vm,
        "engine NAME": System.engine,
        "monitor NAME": System.monitor,
        # the cloud
        "power HOSTS STATE=on|off": System.power,
        "network of HOST STATE=cut|healed": System.network,
        "nova-compute on HOST STATE=stopped|started": System.compute,
        "nova answers CODE for DURATION s[ to VERB]": System.answers,
        "evacuation of VMS fails[ TIMES times]": System.fails,
        "evacuation of VMS hangs": System.hangs,
        "evacuation of VMS takes DURATION s": System.takes,
        "operator evacuates VMS": System.evacuated_by_hand,
        "owner deletes VMS": System.delete,
        # Masakari
        "kill NAME": System.kill,
        "kill NAME WHEN=before|after VERB[ of VM]": System.kill_at,
        "start NAME": System.start,
        "stop NAME": System.stop,
        "restart NAME": System.restart,
        "bus FAULT=loses|doubles TIMES": System.bus_fault,
        "NAME=database|bus|api away for DURATION s": System.away,
        "report HOST EVENT=stopped|started[ with status STATUS=normal|unknown]": System.report,
        "report process PROCESS of HOST stopped": System.report_process,
        "segment NAME STATE=enabled|disabled": System.set_segment,
    }
)
