"""What the devices of this machine are; the only place that asks torch about them."""

import platform
import re
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


def _gpus() -> int:
    """GPUs that torch sees; none where it is not installed."""
    if not installed("torch"):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


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
    if not installed("torch"):
        return None
    import torch

    return torch.get_num_threads()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - a kernel file, read line by line
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
