"""Do a run: fit the scorer on each subset, score what has no score yet, write results as they come."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mad_core.cluster import connection
from mad_core.cluster.scatter import ScatteredScorer, scatters
from mad_core.datasets.dataset import Dataset
from mad_core.datasets.name_groups import suggested_groups
from mad_core.errors import CancelledError, InputError, MadError, NotFoundError, UnavailableError, WorkError
from mad_core.machine import devices
from mad_core.machine.energy import ENERGY, Energy
from mad_core.machine.memory import PEAK, PeakMemory
from mad_core.map_files import MapRef, pack, shrink
from mad_core.runs import consent, fitted, map_thresholds, outside, same_fit
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import MapJob, ReasonJob, RunJob, SingleJob
from mad_core.runs.out_of_fold import OutOfFold
from mad_core.runs.parts import RunResults, StoredPart, part_run
from mad_core.runs.results import SUGGESTED
from mad_core.runs.store import FAILED_SUBSETS, SAMPLING, Run, RunSubset, Store
from mad_core.runs.store.usage import carried
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, LabelledItem, Resources, Scored, Scorer
from mad_core.scorers.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from mad_core.scorers.graph import Graph

FLUSH_SECONDS = 0.5
FLUSH_IMAGES = 32
IGNORED = "ignored"
"""Entry of a run's record: which share of the pictures of a subset was left out."""
WINDOWS = "windows"
"""Entry of a run's record: through which windows its scorer saw the pictures, by subset."""
RATE_FROM = 5
"""Images after which a rate is named: the first ones carry the start of the libraries."""
PACKAGES = (
    "mad-inspector",
    "torch",
    "torchvision",
    "anomalib",
    "transformers",
    "bitsandbytes",
    "timm",
    "numpy",
    "pillow",
    "pillow-heif",
    "pillow-jxl-plugin",
    "pydicom",
)

log = logging.getLogger("mad.worker")


def execute_run(control: Control) -> dict[str, Any]:
    """Do the job of kind ``run``; ``payload["run"]`` is the run's id.

    A run that was stopped goes on at the first image without an entry; nothing is scored twice. A subset that
    fails does not hold up the others: the run's record names it under ``FAILED_SUBSETS``, and the run fails at
    the end.

    Returns
    -------
    dict
        ``run``, ``n`` (images with an entry), ``seconds_fit``, ``seconds_score``.
    """
    store = control.store
    run = store.run(RunJob.from_json(control.job.payload).run)
    info = catalog.scorer(run.scorer)
    parameters = info.check(run.parameters)
    info.check_available(parameters)
    dataset = store.dataset(run.dataset_id).as_of(run.dataset_version)
    own = any(dataset.own_normals(subset) for subset in run.subsets)
    scattered = control.settings.executor == "ray" and scatters(info, parameters) and not run.parent and not own
    facts = _facts_of(control, run, info, dataset, scattered)
    store.update_run(run.id, status="running", error=None, started=run.started or time.time(), record=facts)
    resources = Resources()
    failed: dict[str, str] = {}
    try:
        while True:
            clock = _Clock(control, run)
            for subset in run.subsets:
                try:
                    _SubsetRun(control, run, info, parameters, dataset, subset, clock, resources, scattered).go()
                except (CancelledError, UnavailableError):  # the other subsets would fare no better
                    raise
                except Exception as error:
                    failed[subset] = _in_words(error, control.device)
                    store.update_run(run.id, record={**facts, FAILED_SUBSETS: failed})
            for subset in run.subsets:  # after the scores, which people wait for
                if subset not in failed:
                    _look_outside(control, run, dataset, subset)
                    _look_at_normals(control, run, info, parameters, dataset, subset)
            if store.run(run.id).dataset_version == run.dataset_version:
                break
            run = store.run(run.id)  # images came meanwhile
            dataset = store.dataset(run.dataset_id).as_of(run.dataset_version)
    finally:
        resources.close()
    if failed:
        raise WorkError(_failures(failed))
    done = store.count_done(run.id)
    store.update_run(run.id, status="done", finished=time.time())
    entries = store.run_subsets(run.id)
    return {
        "run": run.id,
        "n": done,
        "seconds_fit": sum(e.seconds_fit for e in entries),
        "seconds_score": sum(e.seconds_score for e in entries),
    }


def _facts_of(control: Control, run: Run, info: ScorerInfo, dataset: Dataset, scattered: bool) -> dict[str, Any]:
    """What a run's record says of how its scores come about; of windows and left-out regions where there are any."""
    facts = {**record(control.device), "code": info.code, **carried(run.record)}
    if scattered:
        facts["device"] = connection.facts(control.device)
    if run.image_limit:
        facts[SAMPLING] = run.sampling
    if windows := {name: window.to_json() for name, window in dataset.windows.items() if name in run.subsets}:
        facts[WINDOWS] = windows
    if ignored := {name: region.share for name, region in dataset.ignored.items() if name in run.subsets}:
        facts[IGNORED] = ignored
    return facts


def _in_words(error: Exception, device: str) -> str:
    """What went wrong, as a sentence; the log holds the rest of what was not foreseen."""
    if isinstance(error, MadError):
        return str(error)
    log.error("a subset failed", exc_info=error)
    if is_out_of_memory(error):
        where = f"GPU {device}" if device.startswith("cuda") else "this machine"
        return (
            f"The memory of {where} ran out; what was scored is kept. Close what else uses it or choose a smaller "
            "model, batch or image size, then resume the run."
        )
    return f"{type(error).__name__}: {error} (details in the worker's log)"


def _failures(failed: Mapping[str, str]) -> str:
    """What became of the subsets that failed."""
    first, sentence = next(iter(failed.items()))
    if len(failed) > 1:
        return f"{len(failed)} subsets failed ({', '.join(failed)}); {first}: {sentence}"
    return sentence if first in sentence else f"{first}: {sentence}"


def record(device: str) -> dict[str, Any]:
    """What is needed to repeat a run, apart from its request: versions and device."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    facts = devices.facts(device)
    return {"versions": versions, "device": {"id": device, "name": facts["name"], "memory": facts["memory"]}}


def scorer_context(
    dataset: Dataset,
    subset: str,
    info: ScorerInfo,
    parameters: Mapping[str, Any],
    control: Control,
    seed: int,
    resources: Resources | None = None,
) -> Context:
    """What the scorer may use on this subset; calibration labels and other runs only where it declares them."""
    calibration: Sequence[LabelledItem] = ()
    if info.uses_labels(parameters):
        rows = dataset.select(split="calibration", subset=subset)
        columns, card = ("image_id", "path", "level", "content_hash", "group"), dataset.card.subset(subset)
        calibration = [
            LabelledItem(image_id, path, float(level), digest, card.window, group or "", card.ignored)
            for image_id, path, level, digest, group in zip(*(rows[name] for name in columns), strict=True)
            if not pd.isna(level)
        ]
    aside = {item.image_id for item in calibration}
    return Context(
        subset=subset,
        card=dataset.card.subset(subset),
        device=control.device,
        seed=seed,
        weights=control.settings.weights,
        calibration=calibration,
        comparisons=[pair for pair in dataset.card.comparisons if aside.issuperset(pair)],
        normals=items(dataset.normals(subset), dataset),
        cancelled=control.cancelled,
        results=RunResults(control.store, base, dataset) if (base := info.builds_on(parameters)) else None,
        parts=_parts(dataset, subset, info, parameters, control),
        agreed_hosts=consent.agreed_hosts(control.settings, dataset),
        looks=control.settings.looks,
        resources=resources,
    )


def _parts(
    dataset: Dataset, subset: str, info: ScorerInfo, parameters: Mapping[str, Any], control: Control
) -> dict[str, StoredPart]:
    """The runs that a scorer is made of; each can score further images."""
    parts: dict[str, StoredPart] = {}
    for name, kind in info.parts_of(parameters).items():
        run = part_run(control.store, kind, parameters[name], dataset, [subset])
        parts[name] = StoredPart(
            control.store,
            run,
            dataset,
            partial(_score_items, control, run, subset),
            partial(_score_unseen, control, run, subset),
            partial(scorer_graph, control, run, subset),
        )
    return parts


def create_scorer(info: ScorerInfo, parameters: Mapping[str, Any], dataset: Dataset, subset: str) -> Scorer:
    """An unfitted scorer of a subset; where it learns from images that it scores, each is judged by another fit.

    A scorer that is made of runs learns from what these have learned from; it is they that judge.
    """
    own = dataset.own_normals(subset) if info.needs_fit and not info.parts else None
    if own is None:
        return info.create(parameters)
    normals = dataset.select(split="train", subset=subset)["image_id"]
    return OutOfFold(partial(info.create, parameters), own, set(normals))


def items(rows: pd.DataFrame, dataset: Dataset) -> list[Item]:
    """Images of a dataset as scorers see them, from rows of its table."""
    windows, ignored = dataset.windows, dataset.ignored
    facts = zip(rows["image_id"], rows["path"], rows["content_hash"], rows["subset"], strict=True)
    return [Item(i, path, digest, windows.get(subset), ignored.get(subset)) for i, path, digest, subset in facts]


@contextlib.contextmanager
def preserved_generators() -> Iterator[None]:
    """Leave the global random generators as they were: a quick job must not change a run's numbers."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with _preserved_generators_of_torch():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


@contextlib.contextmanager
def _preserved_generators_of_torch() -> Iterator[None]:
    """Leave torch's generators as they were; where nothing has loaded it, nothing has drawn from them."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    of_cpu = torch.random.get_rng_state()
    of_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.random.set_rng_state(of_cpu)
        if of_gpus:
            torch.cuda.set_rng_state_all(of_gpus)


class _Clock:
    """Rate and time left of a run, from what this session of it has done."""

    def __init__(self, control: Control, run: Run) -> None:
        self.control = control
        self.total = run.total
        self.done = control.store.count_done(run.id)
        self.scored = 0
        self.scoring = 0.0

    def fitting(self, subset: str, done: int, total: int) -> None:
        self.control.report(
            phase="fitting", subset=subset, phase_done=done, phase_total=total, done=self.done, total=self.total
        )

    def scored_some(self, subset: str, images: int, seconds: float) -> None:
        self.done += images
        self.scored += images
        self.scoring += seconds
        rate = self.scored / self.scoring if self.scored >= RATE_FROM and self.scoring > 0 else None
        left = (self.total - self.done) / rate if rate else None
        self.control.report(
            phase="scoring", subset=subset, done=self.done, total=self.total, rate=rate, seconds_left=left
        )


class _QuickTurns:
    """Quick jobs between the steps of a fit, which may take long: an uploaded image does not wait for its end."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.seconds = 0.0
        self._looked = time.perf_counter()

    def look(self) -> None:
        """Do the quick jobs that wait, if that was not looked for just now; ``seconds`` sums the time it took."""
        started = time.perf_counter()
        if started - self._looked < FLUSH_SECONDS:
            return
        with preserved_generators():
            self.control.serve_quick()
        self._looked = time.perf_counter()
        self.seconds += self._looked - started


@dataclass
class _SubsetRun:
    """One run on one subset."""

    control: Control
    run: Run
    info: ScorerInfo
    parameters: Mapping[str, Any]
    dataset: Dataset
    subset: str
    clock: _Clock
    resources: Resources
    scattered: bool = False
    peak: PeakMemory = field(init=False)
    energy: Energy = field(init=False)

    def go(self) -> None:
        store, run = self.control.store, self.run
        rows = store.test_images(self.dataset, [self.subset], run.image_limit, run.seed, run.sampling)
        there = store.scored_ids(run.id, self.subset)
        # In a seeded mix of levels: what is seen of a run that is still going stands for the whole.
        mixed = rows.sample(frac=1, random_state=run.seed)
        pending = [item for item in items(mixed, self.dataset) if item.image_id not in there]
        if not pending:
            return
        self.peak, self.energy = PeakMemory(self.control.device), Energy(self.control.device)
        scorer = self._scorer()
        try:
            entry = self._fit(scorer)
            slots = {image_id: slot for slot, image_id in enumerate(rows["image_id"])}
            entry, there = self._reuse(pending, slots, entry)
            self._score(scorer, [item for item in pending if item.image_id not in there], slots, entry)
        finally:
            scorer.close()

    def _scorer(self) -> Scorer:
        if self.scattered:
            side = self.run.map_side if self.run.map_policy == "all" else 0
            return ScatteredScorer(self.info, self.parameters, side)
        return create_scorer(self.info, self.parameters, self.dataset, self.subset)

    def _spent(self, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Peak memory and energy so far; unknown where other machines did the work."""
        before = before or {}
        if self.scattered:
            return {PEAK: None, ENERGY: None}
        return {PEAK: self.peak.facts(before.get(PEAK)), ENERGY: self.energy.facts(before.get(ENERGY))}

    def _fit(self, scorer: Scorer) -> RunSubset:
        old = next((e for e in self.control.store.run_subsets(self.run.id) if e.subset == self.subset), None)
        quick = _QuickTurns(self.control)

        def progress(done: int, total: int) -> None:
            self.clock.fitting(self.subset, done, total)
            quick.look()

        started = time.perf_counter()
        digest = fit_or_load(
            scorer,
            self.info,
            self.parameters,
            self.dataset,
            self.subset,
            self.control,
            self.run.seed,
            progress,
            self.resources,
            self.run.parent,
        )
        seconds = time.perf_counter() - started - quick.seconds
        entry = RunSubset(
            self.subset,
            digest,
            seconds_fit=max(seconds, old.seconds_fit if old else 0.0),
            seconds_score=old.seconds_score if old else 0.0,
            facts={
                **scorer.facts(),
                **self._spent(old.facts if old else None),
                ENERGY: old.facts.get(ENERGY) if old else None,  # counted once, when the scores are there
                **map_thresholds.carried(old, digest),
                **outside.carried(old, digest),
                **self._suggested_groups(),
            },
        )
        self.control.store.save_run_subset(self.run.id, entry)
        return entry

    def _suggested_groups(self) -> dict[str, str]:
        """What a run that learns from labels must say where no group is known and names suggest some."""
        rows: Any = self.dataset.select(subset=self.subset)
        rows = rows[rows["split"] != "train"]
        if not self.info.uses_labels(self.parameters) or rows["group"].notna().any():
            return {}
        suggested = suggested_groups(rows["template_path"].tolist())
        return {SUGGESTED: suggested} if suggested else {}

    def _reuse(
        self, pending: Sequence[Item], slots: Mapping[str, int], entry: RunSubset
    ) -> tuple[RunSubset, frozenset[str]]:
        """Take what the same fit has scored on another version of the dataset; ids of these images."""
        store, by_run = self.control.store, Counter[str]()
        there: set[str] = set()
        for one in same_fit.reused(store, self.run, entry, pending):
            self.control.check_cancel()
            store.add_scores(self.run.id, self.subset, [(one.scored, self._keep_map(store, one.scored, slots))])
            there.add(one.scored.image_id)
            by_run[one.run] += 1
        if there:
            self.clock.done += len(there)
            entry = replace(entry, facts={**entry.facts, same_fit.FACT: dict(by_run)})
            store.save_run_subset(self.run.id, entry)
        return entry, frozenset(there)

    def _score(self, scorer: Scorer, pending: list[Item], slots: Mapping[str, int], entry: RunSubset) -> None:
        store, run = self.control.store, self.run
        buffer: list[tuple[Scored, MapRef | None]] = []
        spent, last = entry.seconds_score, time.perf_counter()

        def flush() -> None:
            nonlocal spent, last
            store.add_scores(run.id, self.subset, buffer)
            now = time.perf_counter()
            self.clock.scored_some(self.subset, len(buffer), now - last)
            spent, last = spent + now - last, now
            buffer.clear()

        try:
            context = scorer_context(
                self.dataset, self.subset, self.info, self.parameters, self.control, self.run.seed, self.resources
            )
            for scored in scorer.score(pending, context):
                buffer.append((scored, self._keep_map(store, scored, slots)))
                if len(buffer) >= FLUSH_IMAGES or time.perf_counter() - last >= FLUSH_SECONDS:
                    flush()
                    with preserved_generators():
                        self.control.serve_quick()
                    last = time.perf_counter()
                self.control.check_cancel()
        finally:
            flush()
            facts = {**entry.facts, **scorer.facts(), **self._spent(entry.facts)}
            store.save_run_subset(run.id, RunSubset(self.subset, entry.fit, entry.seconds_fit, spent, facts))

    def _keep_map(self, store: Store, scored: Scored, slots: Mapping[str, int]) -> MapRef | None:
        if scored.map is None or self.run.map_policy != "all":
            return None
        return store.maps.write(self.run.id, self.subset, slots[scored.image_id], scored.map, self.run.map_side)


def _look_outside(control: Control, run: Run, dataset: Dataset, subset: str) -> None:
    """Keep which images lie outside all that was fitted on; a run does not fail by it."""
    entry = next((e for e in control.store.run_subsets(run.id) if e.subset == subset), None)
    if entry is None or run.image_limit:
        return
    try:
        fact = outside.look(dataset, subset, entry, control.check_cancel)
    except CancelledError:
        raise
    except Exception as error:
        log.error("images outside of what was fitted on were not looked for", exc_info=error)
        return
    if fact is not None:
        control.store.save_run_subset(run.id, replace(entry, facts={**entry.facts, outside.FACT: fact}))


def _look_at_normals(
    control: Control, run: Run, info: ScorerInfo, parameters: Mapping[str, Any], dataset: Dataset, subset: str
) -> None:
    """Keep what the maps of normals reach, once for a fit, where maps are stored; a run does not fail by it."""
    store = control.store
    entry = next((e for e in store.run_subsets(run.id) if e.subset == subset), None)
    if entry is None or not map_thresholds.wanted(run, info, entry) or not store.map_refs(run.id, subset):
        return
    control.report(phase="normals", subset=subset)
    calibration = not info.uses_labels(parameters)
    thresholds = map_thresholds.of_same_fit(store, run, entry, dataset, calibration)
    try:
        thresholds = (
            thresholds
            or map_thresholds.find(
                dataset,
                subset,
                seed=run.seed,
                side=run.map_side,
                calibration=calibration,
                fitted=partial(_score_items, control, run, subset),
                held_out=partial(_score_held_out, control, run, subset)
                if entry.seconds_fit <= map_thresholds.LONG_FIT
                else None,
            ).to_json()
        )
    except CancelledError:
        raise
    except Exception as error:
        thresholds = {"why_not": _in_words(error, control.device)}
    store.save_run_subset(run.id, replace(entry, facts={**entry.facts, map_thresholds.FACT: thresholds}))


def _score_held_out(
    control: Control, run: Run, subset: str, learned: Sequence[Item], judged: Sequence[Item]
) -> list[Scored]:
    """Score ``judged`` by a fit on ``learned`` alone, which is given up where it takes long.

    Raises
    ------
    TooLongError
    """
    dataset, info = control.store.dataset(run.dataset_id), catalog.scorer(run.scorer)
    parameters, ends = info.check(run.parameters), time.monotonic() + 2 * map_thresholds.LONG_FIT
    context = scorer_context(dataset, subset, info, parameters, control, run.seed)
    limited = replace(context, cancelled=lambda: control.cancelled() or time.monotonic() > ends)
    scorer = info.create(parameters)
    try:
        scorer.fit(learned, limited)
        return list(scorer.score(judged, context))
    except CancelledError:
        if control.cancelled():
            raise
        raise map_thresholds.TooLongError from None
    finally:
        scorer.close()


def _learned_from(dataset: Dataset, subset: str, context: Context) -> pd.DataFrame:
    """Rows of the images that a scorer is fitted on."""
    normals = dataset.normals(subset)
    learned = {image_id for part in context.parts.values() for image_id in part.learned(subset)}
    rows: Any = normals[(normals["split"] == "train") | normals["image_id"].isin(list(learned))] if learned else normals
    return rows


def fit_or_load(
    scorer: Scorer,
    info: ScorerInfo,
    parameters: Mapping[str, Any],
    dataset: Dataset,
    subset: str,
    control: Control,
    seed: int,
    progress: Callable[[int, int], None],
    resources: Resources | None = None,
    parent: str = "",
) -> str | None:
    """Give the scorer its fitted state: the kept one where it agrees, else a new fit that is then kept.

    With a ``parent``, the id of a run, the normals that it has not learned from join its fit.

    Returns
    -------
    str or None
        The fit's digest; None for scorers without a fit.

    Raises
    ------
    InputError
        If the subset has no training normals and the scorer needs them.
    """
    base = scorer_context(dataset, subset, info, parameters, control, seed, resources)
    context = replace(base, progress=progress)
    if not info.needs_fit:
        scorer.fit([], context)
        return None
    normals = _learned_from(dataset, subset, base)
    if normals.empty:
        raise InputError(
            f"Subset '{subset}' has no training normals (train/good), and scorer '{info.id}' learns from them. Where "
            "most images are normal it can learn from them all: `--normals-from typical`, or Data."
        )
    further = [part.digest for part in base.parts.values()]
    if info.uses_labels(parameters):
        further += [f"{item.image_id}:{item.level}" for item in base.calibration]
        further += [f"{worse}>{milder}" for worse, milder in base.comparisons]
    card, own = dataset.card.subset(subset), dataset.own_normals(subset)
    further += [f"window {card.window.key}"] if card.window is not None else []
    further += [f"ignored {card.ignored.key}"] if card.ignored is not None else []
    normal_digests = dataset.select(split="train", subset=subset)["content_hash"]
    further += [f"own normals {own.way}", *normal_digests] if own is not None else []
    earlier = _fit_of(control, parent, subset) if parent else ""
    further += [f"joined {earlier}"] if earlier else []
    digest = fitted.fit_digest(info, parameters, normals, seed, control.device, further)
    folder = control.settings.fits / digest
    if not fitted.load_fit(folder, scorer, context):
        if earlier:
            _join(scorer, items(normals, dataset), control, parent, subset, earlier, context)
        else:
            scorer.fit(items(normals, dataset), context)
        manifest = {"scorer": info.id, "parameters": dict(parameters), "subset": subset, "seed": seed}
        fitted.save_fit(folder, scorer, manifest)
    return digest


def _fit_of(control: Control, run_id: str, subset: str) -> str:
    """Digest of the fit of a run on a subset.

    Raises
    ------
    NotFoundError
        If the run was deleted or has none.
    """
    for entry in control.store.run_subsets(run_id):
        if entry.subset == subset and entry.fit:
            return entry.fit
    raise NotFoundError(f"The run {run_id}, whose normals others were to join, has no fit on subset '{subset}'.")


def _join(
    scorer: Scorer,
    normals: Sequence[Item],
    control: Control,
    parent: str,
    subset: str,
    earlier: str,
    context: Context,
) -> None:
    """Give a scorer the fit of its parent, made anew where it is not kept any more, and let new normals join it."""
    run = control.store.run(parent)
    dataset = control.store.dataset(run.dataset_id)
    parent_normals = items(dataset.select(split="train", subset=subset), dataset)
    if not fitted.load_fit(control.settings.fits / earlier, scorer, context):
        info = catalog.scorer(run.scorer)
        fit_or_load(
            scorer,
            info,
            info.check(run.parameters),
            dataset,
            subset,
            control,
            run.seed,
            context.progress,
            None,
            run.parent,
        )
    there = {item.image_id for item in parent_normals}
    scorer.add_normals([item for item in normals if item.image_id not in there], context)


def score_one(control: Control) -> dict[str, Any]:
    """Do the job of kind ``single``: score one uploaded image with a fitted run.

    ``payload``: ``run``, ``subset``, ``path`` (a file in the uploads folder), ``map`` (where the
    anomaly map is to be written).

    Returns
    -------
    dict
        ``score``, ``status``, ``reason``, ``seconds``, ``map`` (whether one was written),
        ``distribution`` (101 numbers, or None), ``detail``, ``unlike`` (whether it lies outside what was fitted on).
    """
    payload = SingleJob.from_json(control.job.payload)
    run = control.store.run(payload.run)
    if payload.subset not in run.subsets:
        raise NotFoundError(f"Run '{run.title}' has no subset '{payload.subset}'.")
    card = control.store.dataset(run.dataset_id).card.subset(payload.subset)
    item = Item(Path(payload.path).stem, payload.path, window=card.window, ignored=card.ignored)
    scored = _score_items(control, run, payload.subset, [item])[0]
    if scored.map is not None:
        target = Path(payload.map)
        building = target.with_suffix(".part")
        building.write_bytes(pack(shrink(scored.map, run.map_side)))
        building.replace(target)
    return {
        "score": scored.score,
        "status": scored.status,
        "reason": scored.reason,
        "seconds": scored.seconds,
        "map": scored.map is not None,
        "distribution": None if scored.distribution is None else scored.distribution.tolist(),
        "detail": dict(scored.detail),
        "unlike": outside.is_outside(Path(payload.path), _outside_facts(control.store, run, payload.subset)),
    }


def _outside_facts(store: Store, run: Run, subset: str) -> Mapping[str, Any]:
    """What the run kept of the images that it was fitted on, to tell others from them."""
    return next((e.facts.get(outside.FACT, {}) for e in store.run_subsets(run.id) if e.subset == subset), {})


def make_map(control: Control) -> dict[str, Any]:
    """Do the job of kind ``map``: make one image's anomaly map for a run that keeps none."""
    payload, store = MapJob.from_json(control.job.payload), control.store
    run = store.run(payload.run)
    row = store.image(run.dataset_id, payload.image)
    dataset = store.dataset(run.dataset_id)
    scored = _score_items(control, run, row["subset"], [_item_of(row, dataset)])[0]
    if scored.map is None:
        raise NotFoundError(scored.reason or f"Scorer '{run.scorer}' makes no anomaly maps.")
    asked = dataset.as_of(run.dataset_version)
    rows = store.test_images(asked, [row["subset"]], run.image_limit, run.seed, run.sampling)
    slot = rows["image_id"].tolist().index(row["image_id"])
    store.set_map(run.id, row["image_id"], store.maps.write(run.id, row["subset"], slot, scored.map, run.map_side))
    return {"run": run.id, "image": row["image_id"]}


def write_reason(control: Control) -> dict[str, Any]:
    """Do the job of kind ``reason``: have a run's model say why one image is scored as it is; its score stays."""
    payload, store = ReasonJob.from_json(control.job.payload), control.store
    run = store.run(payload.run)
    if "reasons" not in run.parameters:
        raise InputError(f"Scorer '{run.scorer}' gives no reasons.")
    row = store.image(run.dataset_id, payload.image)
    asked = replace(run, parameters={**run.parameters, "reasons": "all"})
    item = _item_of(row, store.dataset(run.dataset_id))
    scored = _score_items(control, asked, row["subset"], [item])[0]
    if scored.score is None or not scored.reason:
        raise NotFoundError(scored.reason or "The model gave no reason.")
    store.set_reason(run.id, payload.image, scored.reason)
    return {"run": run.id, "image": payload.image, "reason": scored.reason}


def _item_of(row: Mapping[str, Any], dataset: Dataset) -> Item:
    """An image of a dataset as a scorer sees it."""
    card = dataset.card.subset(row["subset"])
    return Item(row["image_id"], row["path"], row["content_hash"], card.window, card.ignored)


def _score_items(control: Control, run: Run, subset: str, chosen: Sequence[Item]) -> list[Scored]:
    dataset = control.store.dataset(run.dataset_id)
    info = catalog.scorer(run.scorer)
    parameters = info.check(run.parameters)
    scorer = create_scorer(info, parameters, dataset, subset)
    try:
        silent: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
        fit_or_load(scorer, info, parameters, dataset, subset, control, run.seed, silent, None, run.parent)
        context = scorer_context(dataset, subset, info, parameters, control, run.seed)
        return list(scorer.score(chosen, context))
    finally:
        scorer.close()


@contextlib.contextmanager
def kept_scorer(control: Control, run: Run, subset: str) -> Iterator[tuple[Scorer, Context]]:
    """The scorer of a run with the fit that it scored with; it learns anew only where that is gone."""
    dataset, info = control.store.dataset(run.dataset_id), catalog.scorer(run.scorer)
    parameters = info.check(run.parameters)
    scorer = create_scorer(info, parameters, dataset, subset)
    context = scorer_context(dataset, subset, info, parameters, control, run.seed)
    try:
        fit = next((e.fit for e in control.store.run_subsets(run.id) if e.subset == subset), None)
        if not fit or not fitted.load_fit(control.settings.fits / fit, scorer, context):
            fit_or_load(scorer, info, parameters, dataset, subset, control, run.seed, lambda *_: None, None, run.parent)
        yield scorer, context
    finally:
        scorer.close()


def scorer_graph(control: Control, run: Run, subset: str, height: int, width: int) -> Graph:
    """The scorer of a run as a module of pictures of one size, see :meth:`Scorer.graph`."""
    with contextlib.ExitStack() as stack:
        scorer, context = stack.enter_context(kept_scorer(control, run, subset))
        graph = scorer.graph(height, width, context)
        graph.held = stack.pop_all()  # it computes with the scorer, as long as it lives
    return graph


FOLDS, FEW_FOLDS = 10, 4
"""Fits that score training normals which they have not seen; fewer where one takes long."""


def _score_unseen(control: Control, run: Run, subset: str, normals: Sequence[Item]) -> list[Scored]:
    """Score training normals, each fold by a scorer that learned from all the others.

    A scorer that learned from half of them knows less of what is normal than the run's own and scores new normals
    higher; of ten folds each learns from nine tenths, and what it scores is about what the run scores new normals.
    """
    dataset = control.store.dataset(run.dataset_id)
    info = catalog.scorer(run.scorer)
    if not info.needs_fit:
        return _score_items(control, run, subset, normals)
    parameters = info.check(run.parameters)
    context = scorer_context(dataset, subset, info, parameters, control, run.seed)
    results: dict[str, Scored] = {}
    spent = [entry.seconds_fit for entry in control.store.run_subsets(run.id) if entry.subset == subset]
    folds = min(FOLDS if max(spent, default=0.0) <= map_thresholds.LONG_FIT else FEW_FOLDS, len(normals))
    for fold in range(folds):
        judged = normals[fold::folds]
        learned = [item for place, item in enumerate(normals) if place % folds != fold]
        scorer = info.create(parameters)
        try:
            scorer.fit(learned, context)
            results |= {scored.image_id: scored for scored in scorer.score(judged, context)}
        finally:
            scorer.close()
    return [results[item.image_id] for item in normals]
