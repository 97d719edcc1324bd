"""What processes use: CPU time and memory (Linux)."""

import contextlib
import pathlib
import time

import psutil  # type: ignore[import-untyped]


class Load:
    """CPU time used by us, by others and by the engine since it was made."""

    def __init__(self, engine: psutil.Process | None) -> None:
        """Begin to count."""
        self._engine = engine
        self._began = time.monotonic()
        self._all, self._own, self._engine_s = _all_cpu_s(), _own_cpu_s(), self._engine_cpu_s()

    def engine_s(self) -> float | None:
        """The engine's."""
        now = self._engine_cpu_s()
        return None if now is None or self._engine_s is None else now - self._engine_s

    def others_cores(self) -> float:
        """Cores that programs other than ours kept busy."""
        used = (_all_cpu_s() - self._all) - (_own_cpu_s() - self._own)
        return max(0.0, used / (time.monotonic() - self._began))

    def _engine_cpu_s(self) -> float | None:
        if self._engine is None:
            return None
        processes = [self._engine, *self._engine.children(recursive=True)]
        return sum(_cpu_s(process) for process in processes)


def _all_cpu_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _own_cpu_s() -> float:
    us = psutil.Process()
    return sum(_cpu_s(process) for process in (us, *us.children(recursive=True)))


def _cpu_s(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def peak_rss(process: psutil.Process | None) -> int | None:
    """VmHWM of the process, in bytes (Linux)."""
    if process is None:
        return None
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
