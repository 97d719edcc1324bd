"""Load on an HTTP server by wrk, a process of its own, and what it has seen."""

import dataclasses
import json
import pathlib
import secrets
import shutil
import subprocess

SCRIPT = """
wrk.headers["X-Auth-Token"] = "%(token)s"
wrk.headers["Content-Type"] = "application/json"
local body, count = %(body)s, 0
math.randomseed(%(seed)d)
if body then
    function request()
        count = count + 1
        local id = string.format("%%08x-%%04x-4000-8000-%%012x", math.random(0, 2^31 - 1),
                                 math.random(0, 65535), count)
        local one = body:gsub("INSTANCE", id):gsub("HOST", 1 + count %% 10)
        return wrk.format("POST", nil, nil, one)
    end
end
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "bad": %%d}\\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one load has shown."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    bad: int
    """answers that were errors, and connections that failed"""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def wrk() -> str:
    """The program.  Raises FileNotFoundError."""
    found = shutil.which("wrk")
    if found is None:
        raise FileNotFoundError("wrk is not installed: apt-get install wrk")
    return found


def put(
    url: str,
    directory: pathlib.Path,
    *,
    token: str,
    connections: int,
    seconds: int,
    body: str | None = None,
) -> Measured:
    """Ask *url* as fast as it answers; with *body*, POST it with a new uuid for each INSTANCE."""
    script = directory / "load.lua"
    script.touch(mode=0o600)  # the token is nobody else's business
    values = {
        "token": token,
        "body": json.dumps(body) if body else "nil",
        "seed": secrets.randbits(31),
    }
    script.write_text(SCRIPT % values)
    command = [wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return Measured(**json.loads(line.removeprefix("RESULT ")))
