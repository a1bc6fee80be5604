"""What the devices of this machine are; the only place that asks torch about them."""

import platform
import re
import sys
from pathlib import Path
from typing import Any

import psutil

from mad_core.errors import InputError, UnavailableError
from mad_core.extras import installed


def check_device(name: str) -> str:
    """The name of a device, as it may be asked for.

    Raises
    ------
    InputError
        If it is none of ``auto``, ``cpu``, ``cuda`` and ``cuda:n``.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name):
        raise InputError(f"'{name}' is not a device; say auto, cpu, or cuda:0 for the first GPU.")
    return "cuda:0" if name == "cuda" else name


DRIVERS = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")
"""What stands in Linux's /dev where a driver of graphics cards is at work."""


def _gpus() -> int:
    """GPUs that torch sees; none where it is not installed."""
    if not installed("torch") or not _has_driver():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_driver() -> bool:
    """Whether torch may see a GPU. Asking torch takes seconds and half a gigabyte where nothing else needs it."""
    if sys.platform != "linux" or "torch" in sys.modules:
        return True
    return any(True for pattern in DRIVERS for _ in Path("/dev").glob(pattern))


def resolve(name: str) -> str:
    """A torch device string for a requested device: ``auto`` is the first GPU, else the CPU.

    Raises
    ------
    UnavailableError
        If a GPU is asked for that is not there.
    """
    name = check_device(name)
    count = _gpus()
    if name == "auto":
        return "cuda:0" if count else "cpu"
    if name.startswith("cuda") and int(name.partition(":")[2]) >= count:
        there = f"this machine has {count}" if count else "torch sees no GPU on this machine"
        raise UnavailableError(f"Device {name} is not there: {there}. Use --device auto or cpu.")
    return name


def facts(device: str) -> dict[str, Any]:
    """Name and memory (bytes) of a device, and which others there are; JSON-able."""
    others = ["cpu", *(f"cuda:{i}" for i in range(_gpus()))]
    if device.startswith("cuda"):
        import torch

        index = int(device.partition(":")[2] or 0)
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
    else:
        memory = psutil.virtual_memory()
        free, total, name = memory.available, memory.total, _processor()
    return {"name": name, "memory": total, "free": free, "devices": others, "threads": _threads()}


def _threads() -> int | None:
    """Threads of torch, once something has loaded it."""
    torch = sys.modules.get("torch")
    return None if torch is None else getattr(torch, "get_num_threads", lambda: None)()  # another thread may load it


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - a kernel file, read line by line
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
