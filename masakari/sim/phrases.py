"""The scenario language: its statements, and what they do to the simulated system.

`python -m masakari.sim --language` prints this table.
"""

from masakari.sim import mishaps, stage, words
from masakari.sim.language import phrases

PHRASES = phrases(
    {
        # the stage
        "option NAME VALUE": stage.option,
        "nova NAME LIMIT": stage.nova,
        "segment NAME METHOD=auto|reserved_host|auto_priority|rh_priority": stage.segment,
        "no monitor": stage.no_monitor,
        "unregistered host HOSTS": stage.unregistered,
        "host HOSTS[ in SEGMENT]": stage.host,
        "reserved HOSTS[ in SEGMENT]": stage.reserved,
        "aggregate NAME[ zone ZONE] of HOSTS": stage.aggregate,
        "vm VMS on HOST[ in STATE][ with task TASK][ of project PROJECT][ on DISK=local disk]"
        "[ HA=ha-enabled][ LOCKED=locked]": stage.vm,
        "exclude nothing by default": stage.no_default_exclusions,
        "exclude WHAT=hosts|instances|projects|names TEXT": stage.exclude,
        "engine NAME": stage.engine,
        "monitor NAME": stage.monitor,
        # the cloud
        "power HOSTS STATE=on|off": mishaps.power,
        "network of HOST STATE=cut|healed": mishaps.network,
        "nova-compute on HOST STATE=stopped|started": mishaps.compute,
        "guest of VMS crashes[ UNNOTICED=unnoticed][ UNREPORTED=unreported]": mishaps.crash,
        "guest of VMS crashes after each start[ TIMES times]": mishaps.crash_loop,
        "nova answers CODE for DURATION s[ to VERB]": mishaps.answers,
        "nova answers CODE TIMES times to VERB": mishaps.answers_times,
        "WHAT=evacuation|migration|start|stop of VMS fails[ TIMES times]": mishaps.fails,
        "WHAT=evacuation|migration of VMS hangs": mishaps.hangs,
        "WHAT=evacuation|migration|start|stop of VMS takes DURATION s": mishaps.takes,
        "operator evacuates VMS": mishaps.evacuated_by_hand,
        "operator ACTION=disables|enables HOSTS": mishaps.switch_service,
        "owner ACTION=stops|starts|reboots|locks|unlocks|pauses|rebuilds|resizes|deletes VMS": (
            mishaps.owner
        ),
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
        "report process PROCESS of HOST EVENT=stopped|started": words.report_process,
        "report event EVENT/DETAIL of VM[ from HOST]": words.report_event,
        "segment NAME STATE=enabled|disabled|deleted": words.set_segment,
        "segment NAME observe-only STATE=on|off": words.observe_segment,
        "observe-only STATE=on|off": words.observe,
        "operator ACTION=cancels|retries notification NUMBER": words.act,
        "maintenance of HOSTS STATE=on|off": words.set_maintenance,
        "operator deregisters HOSTS": words.deregister,
        "exclusions become TEXT": words.reload_exclusions,
    }
)
