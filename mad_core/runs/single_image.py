"""One uploaded image, scored at once with a fitted run."""

import hashlib
import os
import secrets
from pathlib import Path

from mad_core.errors import InputError, NotFoundError
from mad_core.images import ImageError, forget_patient, probe
from mad_core.pixels import Window
from mad_core.runs.jobs import SingleJob, submit
from mad_core.runs.store import Store
from mad_core.secret_key import unguessable

MAX_BYTES = 200_000_000


def submit_single(store: Store, run_id: str, subset: str, data: bytes | bytearray, name: str = "") -> int:
    """Queue an uploaded image for scoring and return the job's id.

    The job is quick: a worker busy with a run does it between two batches. ``name`` is what the file
    is called where it came from; it is only shown.

    Raises
    ------
    InputError
        If the bytes are no readable image or more than ``MAX_BYTES``.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"The image has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are taken.")
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    folder = store.settings.uploads
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / unguessable(store.settings.home, f"single {digest}")
    if path.exists():
        os.utime(path)  # it goes a while after it was last asked for
    else:
        building = folder / f"{secrets.token_hex(8)}.part"
        try:
            building.write_bytes(data)
            forget_patient(building)
            probe(building)
            building.replace(path)
        except ImageError as error:
            raise ImageError(error.kind, _of_upload(str(error), building, name)) from None
        finally:
            building.unlink(missing_ok=True)
    target = folder / f"{path.name}-{run_id}-{hashlib.blake2b(subset.encode(), digest_size=4).hexdigest()}.map"
    payload = SingleJob(run_id, subset, str(path), str(target), _shown(name))
    return submit(store.queue, payload, device=store.run(run_id).device)


def _shown(name: str) -> str:
    """What a picture is called, without what a screen or a database could stumble over."""
    return "".join(character for character in name if character.isprintable())[:200]


def _of_upload(sentence: str, path: Path, name: str) -> str:
    """A sentence on a file that is kept, by what the picture is called where it came from."""
    called = _shown(name) or "The picture"
    return sentence.replace(str(path), called).replace(path.name, called)


def single_window(store: Store, job_id: int) -> Window | None:
    """Through which the image of a single job is seen: as the pictures of its run's subset."""
    payload = SingleJob.from_json(store.queue.job(job_id).payload)
    return store.dataset_info(store.run(payload.run).dataset_id).card.subset(payload.subset).window


def single_file(store: Store, job_id: int, kind: str) -> Path:
    """The file of a single job: its ``original`` or its ``map``.

    Raises
    ------
    NotFoundError
    """
    job = store.queue.job(job_id)
    if job.kind != SingleJob.kind or kind not in ("original", "map"):
        raise NotFoundError(f"Job {job_id} has no {kind}.")
    payload = SingleJob.from_json(job.payload)
    path = Path(payload.path if kind == "original" else payload.map)
    if path.is_symlink() or path.resolve().parent != store.settings.uploads.resolve():
        raise NotFoundError(f"The {kind} of job {job_id} is no upload.")
    return path
