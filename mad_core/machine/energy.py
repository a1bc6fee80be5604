"""The energy that a device used over a piece of work, where its driver tells it.

NVIDIA's driver counts millijoules since it was loaded (NVML, ``nvmlDeviceGetTotalEnergyConsumption``; Volta and
later). Linux counts microjoules of each processor package (RAPL, ``/sys/class/powercap``), which most systems let
only root read. Both count all that the device does, not this work alone.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
ENERGY = "energy"
"""Where a run's facts of a subset keep :meth:`Energy.facts`."""


class Energy:
    """Measures from the moment it is made.

    Parameters
    ----------
    device : str
        A torch device string.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.before = _counters(device)

    def facts(self, before: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """``{"joules": float, "of": text}``, JSON-able; None where no driver tells it.

        Parameters
        ----------
        before : mapping or None
            What an earlier part of the same work used: it is added.
        """
        now = _counters(self.device)
        used = [_used(self.before[name], now[name]) for name in self.before if name in now]
        if not used:
            return dict(before) if before else None
        kind = "GPU" if self.device.startswith("cuda") else "processor packages"
        return {"joules": round(sum(used) + float((before or {}).get("joules", 0.0)), 3), "of": kind}


Counter = tuple[float, float]
"""Joules so far, and where the counter begins at 0 again (0 = never)."""


def _used(before: Counter, now: Counter) -> float:
    spent = now[0] - before[0]
    return spent if spent >= 0 else spent + now[1]


def _counters(device: str) -> dict[str, Counter]:
    if device.startswith("cuda"):
        return _gpu(int(device.partition(":")[2] or 0))
    return _packages()


def _packages() -> dict[str, Counter]:
    counters = {}
    for folder in sorted(POWERCAP.glob("intel-rapl:*")):
        if folder.name.count(":") != 1:  # parts of a package would count twice
            continue
        try:
            top = float((folder / "max_energy_range_uj").read_text()) / 1e6
            counters[folder.name] = float((folder / "energy_uj").read_text()) / 1e6, top
        except (OSError, ValueError):
            continue
    return counters


def _gpu(index: int) -> dict[str, Counter]:
    """The counter of the GPU that torch calls ``index``, found by its place on the bus."""
    try:
        library = ctypes.CDLL(NVML)
    except OSError:
        return {}
    handle, joules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlInit_v2() != 0:
        return {}
    try:
        address = _address(index)
        if address is None or library.nvmlDeviceGetHandleByPciBusId_v2(address.encode(), ctypes.byref(handle)) != 0:
            return {}
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(joules)) != 0:
            return {}
        return {address: (joules.value / 1000, 0.0)}
    finally:
        library.nvmlShutdown()


def _address(index: int) -> str | None:
    """``0000:1b:00.0`` of a GPU; its numbers in torch and in the driver may differ."""
    import torch

    try:
        facts = torch.cuda.get_device_properties(index)
        return f"{facts.pci_domain_id:04x}:{facts.pci_bus_id:02x}:{facts.pci_device_id:02x}.0"
    except (AttributeError, AssertionError, RuntimeError):
        return None
