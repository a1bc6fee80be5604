"""What does a better score cost? Speed, time to fit, memory, size and energy of runs against how well they order.

All of it is what the runs recorded while they were made; nothing is scored again. A scorer that builds on others
costs what they cost, too. Of two scorers on one device the first is dominated when the other is at least as fast
and at least as good, and one of both more so; the front are those that no other dominates. The full mode takes seconds,
so a study that was stopped begins anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.errors import InputError, MadError
from mad_core.figures.words import listed
from mad_core.machine.energy import ENERGY
from mad_core.machine.memory import PEAK
from mad_core.metrics.differences import Difference, difference
from mad_core.metrics.macro import Macro, macro
from mad_core.metrics.names import metric_of
from mad_core.runs.store import Run, Store
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from mad_core.scorers.multimodal import models
from mad_core.studies.correspondence.run import Places
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, measured, sample_of
from mad_core.studies.study import Work


@dataclass(frozen=True)
class Spent:
    """What one run cost.

    Parameters
    ----------
    device : str
        Its name.
    images : int
        Images scored.
    seconds_fit, seconds_score : float
        Over all subsets.
    memory, gpu_memory : int or None
        Highest use over the subsets, bytes: resident memory of the process, and what torch had on the GPU.
    size : int or None
        Bytes of the weights that it loads and of one subset's fitted state.
    joules : float or None
        Energy of fitting and scoring, where the driver told it.
    """

    device: str
    images: int
    seconds_fit: float
    seconds_score: float
    memory: int | None = None
    gpu_memory: int | None = None
    size: int | None = None
    joules: float | None = None

    @property
    def rate(self) -> float | None:
        """Images a second, once fitted."""
        return self.images / self.seconds_score if self.images and self.seconds_score > 0 else None


def run(work: Work) -> Finding:
    """Do the study."""
    sample = sample_of(work)
    spent = {run.id: spending for run in work.runs if (spending := spent_by(work.store, run)) and spending.rate}
    if not spent:
        raise InputError("None of the chosen runs recorded how long it took; runs that were imported did not.")
    metric = str(work.parameters["metric"])
    return cost(spent, measured(work, sample), sample, metric=metric, quick=work.quick)


# -- the finding ------------------------------------------------------------------------------------


def cost(spent: Mapping[str, Spent], places: Places, sample: Sample, *, metric: str, quick: bool) -> Finding:
    """The finding, from what each run cost and what was measured of it.

    Parameters
    ----------
    spent : mapping of run id to Spent
    places : mapping of run id to subset to Measured
        On the same images; may hold runs that recorded no cost.
    metric : str
        Id of one of the headline metrics.
    """
    metrics = {run_id: macro(list(places[run_id].values())) for run_id in spent}
    table = cost_table(spent, metrics, sample.names, metric)
    devices = list(dict.fromkeys(one.device for one in spent.values()))
    sentences, gaps = [], {}
    for device in devices:
        ids = [i for i in spent if spent[i].device == device and metrics[i].values.get(metric) is not None]
        sentence, gap = _choice(device, ids, spent, metrics, places, sample.names, metric)
        sentences.append(sentence)
        gaps[device] = gap
    missing = [sample.names[run_id] for run_id in places if run_id not in spent]
    where = f"On a sample of {sample.in_words()}, " if quick else ""
    first, *others = sentences
    if where and first.startswith(("No ", "There ")):
        first = first[0].lower() + first[1:]
    facts = {**sample.facts(), "metric": metric, "fastest_and_best": gaps, "without_cost": missing}
    return Finding(
        "cost",
        "Cost and quality",
        where + " ".join([first, *others]),
        "Times are those of the machine when the runs were made, with whatever else it did then; memory is that of "
        "the whole process, libraries included. Differences have intervals that are widened for the number of scorers."
        + _left_out(missing),
        {"costs": table},
        facts,
    )


def cost_table(
    spent: Mapping[str, Spent], metrics: Mapping[str, Macro], names: Mapping[str, str], metric: str
) -> pd.DataFrame:
    """A row for each run: its cost, the metric with its 95 % interval, and whether it is on its device's front."""
    rows = []
    for run_id, one in spent.items():
        means = metrics[run_id]
        low, high = means.intervals.get(metric) or (None, None)
        rows.append(
            {
                "scorer": names[run_id],
                "device": one.device,
                "images_per_second": one.rate,
                "seconds_to_fit": one.seconds_fit,
                "seconds_to_score": one.seconds_score,
                "images": one.images,
                "memory_bytes": one.memory,
                "gpu_memory_bytes": one.gpu_memory,
                "model_bytes": one.size,
                "joules_per_image": one.joules / one.images if one.joules is not None and one.images else None,
                metric: means.values.get(metric),
                f"{metric}_low": low,
                f"{metric}_high": high,
            }
        )
    table = pd.DataFrame(rows)
    table["on_front"] = on_front(*(table[name].tolist() for name in ("device", "images_per_second", metric)))
    return table


def on_front(devices: Sequence[str], rates: Sequence[float], values: Sequence[float | None]) -> list[bool]:
    """Whether no other run on the same device is at least as fast and as good, and one of both more so."""
    rows = [
        (d, float(r), float("nan") if v is None else float(v)) for d, r, v in zip(devices, rates, values, strict=True)
    ]

    def dominates(other: tuple[str, float, float], one: tuple[str, float, float]) -> bool:
        same = other[0] == one[0]
        return same and other[1] >= one[1] and other[2] >= one[2] and (other[1] > one[1] or other[2] > one[2])

    return [one[2] == one[2] and not any(dominates(other, one) for other in rows) for one in rows]


def _choice(
    device: str,
    ids: Sequence[str],
    spent: Mapping[str, Spent],
    metrics: Mapping[str, Macro],
    places: Places,
    names: Mapping[str, str],
    metric: str,
) -> tuple[str, dict[str, Any] | None]:
    """What the fastest and the best on one device say, and the gap between them."""
    title = metric_of(metric).title
    if len(ids) < 2:
        return f"There is one scorer with this metric on {device}, so there is nothing to choose.", None
    fastest = max(ids, key=lambda i: spent[i].rate or 0.0)
    best = max(ids, key=lambda i: (metrics[i].values[metric] or 0.0, i == fastest))
    rate, value = spent[fastest].rate or 0.0, metrics[best].values[metric] or 0.0
    others = [i for i in ids if i != best]
    confidence = 1 - 0.05 / len(others)  # the best was not fixed beforehand
    gaps = {i: difference(places[best], places[i], metric, confidence) for i in others}
    if fastest == best:
        near = [names[i] for i in others if not _clear(gaps[i])]
        return _one_for_both(device, names[best], _rate(rate), f"{title} {value:.2f}", near), None
    gap, times = gaps[fastest], rate / (spent[best].rate or rate)
    facts = {"fastest": names[fastest], "best": names[best], "times": times, "difference": _ends(gap)}
    longer = f"{times:.1f} times as long an image"
    if gap and _clear(gap):
        more = f"{title} {value:.2f}, higher by {_number(gap)}"
        return (
            f"{names[best]} is better than the fastest on {device}, {names[fastest]} ({_rate(rate)}), and takes "
            f"{longer} ({more})."
        ), facts
    how = f"higher by {_number(gap)}" if gap and gap.interval else "without an interval"
    return (
        f"No clear difference in {title} on {device}: the highest, {names[best]}, takes {longer} as the fastest, "
        f"{names[fastest]} ({_rate(rate)}), and is not clearly above it ({how})."
    ), facts


def _one_for_both(device: str, name: str, rate: str, value: str, near: Sequence[str]) -> str:
    if not near:
        return (
            f"{name} is the fastest on {device} ({rate}) and clearly the best ({value}): the others cost more for less."
        )
    return (
        f"No clear difference on {device}: {name} is the fastest ({rate}) and has the highest {value}, but "
        f"{listed(near)} {'is' if len(near) == 1 else 'are'} not clearly below it."
    )


def _clear(gap: Difference | None) -> bool:
    """Whether the first is above the second, the interval leaving 0 out."""
    return gap is not None and gap.sign > 0


def _ends(gap: Difference | None) -> list[float] | None:
    """The difference and both ends of its interval."""
    return [gap.value, *gap.interval] if gap and gap.interval else None


def _number(gap: Difference) -> str:
    low, high = gap.interval or (gap.value, gap.value)
    return f"{gap.value:.2f}, {low:.2f} to {high:.2f}"


def _rate(rate: float) -> str:
    return f"{rate:.3g} images/s"


def _left_out(names: Sequence[str]) -> str:
    return f" {listed(names)} recorded no cost and {'is' if len(names) == 1 else 'are'} left out." if names else ""


# -- what a run recorded ------------------------------------------------------------------------------


def spent_by(store: Store, run: Run) -> Spent | None:
    """What a run and the runs that it builds on cost; None where it recorded nothing (imported runs)."""
    own = _own(store, run)
    if own is None:
        return None
    for part in _parts(store, run):
        further = _own(store, part)
        if further is not None:
            own = _together(own, further)
    return own


def _own(store: Store, run: Run) -> Spent | None:
    entries = store.run_subsets(run.id)
    if run.imported or not entries:
        return None
    device = run.record.get("device", {})
    peaks = [entry.facts.get(PEAK) or {} for entry in entries]
    joules = [entry.facts.get(ENERGY) for entry in entries]
    return Spent(
        str(device.get("name") or device.get("id") or run.device),
        run.done,
        sum(entry.seconds_fit for entry in entries),
        sum(entry.seconds_score for entry in entries),
        _highest(peak.get("rss") for peak in peaks),
        _highest(peak.get("cuda") for peak in peaks),
        model_size(store, run),
        sum(one["joules"] for one in joules if one) if all(joules) else None,
    )


def _together(own: Spent, part: Spent) -> Spent:
    """A scorer with one that it builds on: both score each image, one after the other."""
    share = own.images / part.images if part.images else 1.0
    facts = asdict(own) | {
        "seconds_fit": own.seconds_fit + part.seconds_fit,
        "seconds_score": own.seconds_score + part.seconds_score * share,
        "memory": _highest((own.memory, part.memory)),
        "gpu_memory": _highest((own.gpu_memory, part.gpu_memory)),
        "size": None if own.size is None or part.size is None else own.size + part.size,
        "joules": None if own.joules is None or part.joules is None else own.joules + part.joules * share,
    }
    return Spent(**facts)


def _highest(values: Any) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _parts(store: Store, run: Run) -> list[Run]:
    """The runs that a run was made of, those of its parts included."""
    try:
        info = catalog.scorer(run.scorer)
        parts = [store.run(str(i)) for name in info.parts_of(run.parameters) if (i := run.parameters.get(name))]
    except MadError:
        return []
    return [each for part in parts for each in (part, *_parts(store, part))]


def model_size(store: Store, run: Run) -> int | None:
    """Bytes that one subset needs on disk: the weights it loads and the largest fitted state; None if unknown."""
    fits = {entry.fit for entry in store.run_subsets(run.id) if entry.fit}
    kept = max((_bytes((store.settings.fits / fit).rglob("*")) for fit in fits), default=0)
    try:
        files = _weights(store, run)
    except (MadError, KeyError, OSError):
        return kept or None
    return kept + _bytes(files) or None


def _weights(store: Store, run: Run) -> list[Path]:
    parameters = dict(run.parameters)
    if run.scorer == "mllm":
        folder = models.locate(str(parameters.get("model", models.SHIPPED)))
        return models.weight_files(folder) if folder else []
    if "weights" not in parameters:
        return []
    settled = weights.settled(run.scorer, parameters)
    path = weights.resolve(run.scorer, settled, store.settings.weights)
    return [path] if path else []


def _bytes(files: Any) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
