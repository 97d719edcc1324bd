"""Masakari's API in gunicorn: gunicorn --config /etc/masakari/masakari-api.conf.py

SIGHUP reads masakari.conf again with new workers, SIGTERM ends it; requests are answered first.
"""

import os

wsgi_app = "masakari.wsgi.api:application"
bind = "0.0.0.0:15868"
worker_class = "gthread"
workers = 2
threads = 16
# of a worker that does not get on, and of requests when it ends
timeout = 120
graceful_timeout = 60
# longer than that of the proxy in front, which then is the one who closes
keepalive = 75
proc_name = "masakari-api"


def child_exit(server, worker):
    """A worker has ended: what it only had while it lived is not counted any more."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
