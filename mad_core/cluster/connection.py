"""The Ray cluster: how this process joins it and what it offers. ``RAY_ADDRESS`` names one, else a local one begins."""

import logging
import os
import signal
import threading
from typing import Any

from mad_core.errors import UnavailableError
from mad_core.machine.child_environment import secrets_apart

NEEDS = "MAD_EXECUTOR=ray needs Ray: pip install -r requirements-ray.txt"
ACTORS = "MAD_RAY_ACTORS"
"""Environment: how many actors a run has, instead of one for each GPU (or processor) of the cluster."""


def connected() -> Any:
    """Ray, joined to its cluster.

    Raises
    ------
    UnavailableError
        If it is not installed, or the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves this machine unasked
    try:
        import ray
    except ImportError:
        raise UnavailableError(NEEDS) from None
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS")
    own = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        with secrets_apart():  # the processes of a cluster of our own inherit what is there
            ray.init(
                address=address, namespace="mad-inspector", log_to_driver=False, logging_level=logging.ERROR, **own
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UnavailableError(f"The Ray cluster at {address or 'this machine'} does not answer: {reason}") from None
    finally:
        for name, handler in handlers.items():  # Ray takes SIGTERM for itself; the worker needs it to stop cleanly
            signal.signal(name, handler)
    return ray


def facts(device: str) -> dict[str, Any]:
    """What a run's record says of its device: the cluster, in the form of a device.

    Raises
    ------
    UnavailableError
        As :func:`connected`.
    """
    ray = connected()
    gpu = device != "cpu" and gpus(ray) > 0
    name = f"Ray cluster, {actors(ray, gpu=gpu)} x {'GPU' if gpu else 'processor'}"
    return {"id": "ray", "name": name, "memory": int(ray.cluster_resources().get("memory", 0))}


def gpus(ray: Any) -> int:
    """GPUs of the whole cluster."""
    return int(ray.cluster_resources().get("GPU", 0))


def actors(ray: Any, *, gpu: bool) -> int:
    """How many actors a run may have: one for each GPU, or for each processor."""
    there = gpus(ray) if gpu else int(ray.cluster_resources().get("CPU", 1))
    asked = os.environ.get(ACTORS, "")
    return max(1, min(there, int(asked)) if asked.isdecimal() else there)


def as_arrays(state: Any) -> Any:
    """A fitted state in a form that all actors of one machine read from the same memory."""
    if state is None:
        return None
    tensors, facts = state
    return {name: (str(t.dtype), _plain(t)) for name, t in tensors.items()}, facts


def as_tensors(state: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inverse of :func:`as_arrays`."""
    arrays, facts = state
    return {name: _tensor(kind, array) for name, (kind, array) in arrays.items()}, facts


def _tensor(kind: str, array: Any) -> Any:
    import torch

    tensor = torch.from_numpy(array.copy())  # what is shared cannot be written to
    return tensor.view(torch.bfloat16) if kind == str(torch.bfloat16) else tensor


def _plain(tensor: Any) -> Any:
    """numpy knows no bfloat16: such a tensor travels as 16-bit integers."""
    import torch

    tensor = tensor.detach().cpu().contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
