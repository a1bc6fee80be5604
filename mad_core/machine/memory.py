"""The highest memory use of this process over a piece of work."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
PEAK = "peak_memory"
"""Where a run's facts of a subset keep :meth:`PeakMemory.facts`."""
SINCE_WORK, SINCE_START = "this work began", "the process began"


class PeakMemory:
    """Measures from the moment it is made.

    Main memory is the resident set of the whole process. Linux can forget an earlier peak; elsewhere the peak is
    that since the process began, and :meth:`facts` says so. GPU memory is what torch had allocated.

    Parameters
    ----------
    device : str
        A torch device string.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        try:
            _CLEAR.write_text("5")  # sets VmHWM back, see proc(5)
            self.since = SINCE_WORK
        except OSError:
            self.since = SINCE_START
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(device)

    def facts(self, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """``{"rss": bytes or None, "cuda": bytes or None, "since": text}``, JSON-able.

        Parameters
        ----------
        before : mapping or None
            What an earlier part of the same work gave: the higher values count.
        """
        now = {"rss": _peak_rss(), "cuda": self._peak_cuda()}
        measured = {
            name: [v for v in (value, (before or {}).get(name)) if v is not None] for name, value in now.items()
        }
        return {name: max(values, default=None) for name, values in measured.items()} | {"since": self.since}

    def _peak_cuda(self) -> int | None:
        if not self.device.startswith("cuda"):
            return None
        import torch

        return int(torch.cuda.max_memory_allocated(self.device))


def _peak_rss() -> int | None:
    """Bytes; None where the system does not say."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
