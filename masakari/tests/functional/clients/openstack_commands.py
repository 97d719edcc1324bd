"""Runs `openstack` once for each line on stdin, without loading it anew for each.

A line is a JSON list: the arguments, and an environment that is set besides.  Each command runs in
a process of its own, forked from this one, which has imported everything and done nothing; so what
a command finds is what it finds when it is started by its name.  An answer is a line, too:
[exit status, stdout, stderr].
"""

import json
import os
import sys
import tempfile

import masakariclient.plugin  # noqa: F401  # as openstackclient does, later
from openstackclient import shell


def run(arguments, environment):
    """[exit status, stdout, stderr] of the command."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.environ.update(environment)
            sys.argv = ["openstack", *arguments]
            status = shell.main(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)
        _, waited = os.waitpid(child, 0)
        out.seek(0)
        err.seek(0)
        return [os.waitstatus_to_exitcode(waited), out.read(), err.read()]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(*json.loads(line))), flush=True)
