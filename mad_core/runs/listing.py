"""What is in the store, in lists: the entries of ``runs --json`` and ``datasets --json``."""

from collections import Counter
from typing import Any

from mad_core.runs.store import Run, Store


def datasets(store: Store) -> list[dict[str, Any]]:
    """An entry a dataset, oldest first: ``dataset`` (its id), ``name``, ``source``, ``version``, ``images``,
    ``problems`` (how many were met at import), ``subsets``, ``runs`` (how many there are)."""
    runs = Counter(run.dataset_id for run in store.runs())
    return [
        {
            "dataset": info.id,
            "name": info.name,
            "source": info.source,
            "version": info.version,
            "images": info.images,
            "problems": len(info.problems),
            "subsets": list(store.dataset(info.id).subsets),
            "runs": runs[info.id],
        }
        for info in store.datasets()
    ]


def runs(store: Store) -> list[dict[str, Any]]:
    """An entry a run, oldest first, as :func:`run_entry`."""
    return [run_entry(store, run) for run in store.runs()]


def run_entry(store: Store, run: Run) -> dict[str, Any]:
    """One run: its request and how far it is."""
    return {
        "run": run.id,
        "title": run.title,
        "dataset": store.dataset_info(run.dataset_id).name,
        "scorer": run.scorer,
        "parameters": dict(run.parameters),
        "subsets": list(run.subsets),
        "limit": run.image_limit,
        "seed": run.seed,
        "status": run.status,
        "done": run.done,
        "total": run.total,
        "error": run.error,
        "map_bytes": store.maps.disk_use(run.id),
    } | {name: value for name, value in (("parent", run.parent), ("note", run.note)) if value}


def run_details(store: Store, run: Run) -> dict[str, Any]:
    """One run in full, as `show --json`: what is needed to repeat it, what its model used, what each fit found."""
    used = store.usage(run.id)
    return run_entry(store, run) | {
        "device": run.device,
        "record": dict(run.record),
        "usage": used.to_json() if used else None,
        "fits": [
            {"subset": e.subset, "fit": e.fit, "seconds_fit": e.seconds_fit, "seconds_score": e.seconds_score}
            | {"facts": dict(e.facts)}
            for e in store.run_subsets(run.id)
        ],
    }
