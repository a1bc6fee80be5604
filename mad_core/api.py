"""The engine in a notebook: load a dataset, score it, measure; through the same store as the app.

>>> import mad_core as mad
>>> round(mad.evaluate([0, 0, 1, 2], [0.1, 0.3, 0.2, 0.9], draws=0)["kendall_tau_b"], 3)
0.548

``mad.score("demo", subsets=["plate"], limit=40).metrics()`` fits, scores and measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mad_core.errors import InputError, WorkError
from mad_core.extras import explained
from mad_core.labelled import labelled, unlabelled_notes
from mad_core.metrics.summary import evaluate, ordered
from mad_core.metrics.units import groups_of
from mad_core.scorers.catalog import DEFAULT
from mad_core.scorers.contract import Parameter, Scorer
from mad_core.scorers.exported import from_onnx, from_torch
from mad_core.scorers.own import scorer
from mad_core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import plotly.graph_objects as go

    from mad_core.audit.queue import QueueOrder
    from mad_core.datasets.dataset import Imported
    from mad_core.datasets.plan import ImportPlan
    from mad_core.export.model import Exported
    from mad_core.metrics.metrics_table import Metrics
    from mad_core.palette import Theme
    from mad_core.runs.additions import Added
    from mad_core.runs.store import Run, RunRequest, Store
    from mad_core.studies.finding import Finding

__all__ = [
    "Parameter",
    "ScoredRun",
    "Scorer",
    "add",
    "add_normals",
    "datasets",
    "evaluate",
    "export",
    "from_onnx",
    "from_torch",
    "import_scores",
    "learn",
    "load",
    "report",
    "run",
    "runs",
    "score",
    "scorer",
    "scorers",
    "similar",
    "study",
    "suspicious",
]


@explained()
def load(
    source: str | Path,
    *,
    policy: Path | None = None,
    plan: Path | ImportPlan | None = None,
    window: str | Sequence[str] = (),
    ignore: str | Path | Sequence[str | Path] = (),
    pages: str = "",
    unlabelled: bool = False,
    normals_from: str | int = "",
) -> Imported:
    """Read a dataset: a folder, a table, an archive, or the word ``demo``.

    ``policy`` is a severity policy, ``plan`` the YAML file of a plan or a plan; that of ``load(...).plan`` repeats it.

    Parameters
    ----------
    window : str or sequence of str
        Through which pictures deeper than 8 bits are seen, where not through what is found by itself: ``"low:high"``,
        ``"low:high:gamma"``, a preset of CT such as ``"lung"``, ``"used"``, ``"full"``; ``"subset=…"`` for one subset.
    ignore : str, path, or sequence of them
        A mask of what counts for nothing, left out of fits, scores, maps and areas; of one ``"subset=mask.png"``.
    pages : str
        Of files with several pages or frames the ``"first"``, ``"each"``, or one by its number, counted from 1. The
        first one, where neither this nor the plan says otherwise.
    unlabelled : bool
        Whether images of which nothing says the level are tested without one, instead of asking about them.
    normals_from : str or int
        Where no image is known to be normal, from which of the images themselves detectors learn: ``"typical"`` (the
        half of some hundred that departs least), ``"all"``, or a number of drawn ones. None is scored by a fit that has
        seen it.

    Returns
    -------
    Imported
        ``dataset`` (its ``table`` has a row per image) and ``problems``, a sentence each.

    Raises
    ------
    InputError
        If there is nothing that can be read as a dataset.
    """
    from mad_core.datasets.importing import import_dataset

    windows = [window] if isinstance(window, str) else window
    settings = Settings.from_environment()
    masks = [str(mask) for mask in ([ignore] if isinstance(ignore, str | Path) else ignore)]
    told = {"policy": policy, "plan": plan, "unlabelled": unlabelled, "normals_from": str(normals_from)}
    return import_dataset(source, settings, windows=windows, ignore=masks, pages=pages, **told)


@explained()
def add(
    source: str | Path | Imported,
    to: str,
    *,
    subset: str = "",
    runs: Sequence[str | ScoredRun] | None = None,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> Added:
    """Take more images into a stored dataset, as its next version, and let its runs score them.

    An image whose content is there already is not taken again, and nothing is scored twice. Images of which nothing
    says the level come in without one; all of them are tested.

    Parameters
    ----------
    source : path, or what :func:`load` gave
    to : str
        Id or name of the dataset.
    subset : str
        To which the images belong, where it has several and their own name does not say it.
    runs : sequence of str or ScoredRun, optional
        Which go on; all finished ones by default.

    Returns
    -------
    Added
        How many came, and the ids of the runs that went on.

    Raises
    ------
    InputError, NotFoundError, WorkError, CancelledError
    """
    from mad_core.runs.additions import add_images, dataset_named

    store = _store()
    dataset_id = dataset_named(store, to)
    imported = load(source, unlabelled=True) if isinstance(source, str | Path) else source
    chosen = None if runs is None else [_run_id(one) for one in runs]
    added = add_images(store, dataset_id, imported, subset=subset, runs=chosen)
    for run_id in added.runs:
        _finish(store, store.run(run_id), device, progress)
    return added


@dataclass(frozen=True)
class ScoredRun:
    """A run in the store, as the app shows it too."""

    id: str
    store: Store = field(repr=False)

    def __repr__(self) -> str:
        run = self.store.run(self.id)
        return f"ScoredRun('{self.id}', {run.title}: {run.done} of {run.total} images, {run.status})"

    @property
    def table(self) -> pd.DataFrame:
        """A row per test image: ``image_id``, ``path``, ``subset``, ``level`` (NaN where nobody has graded it),
        ``defect``, ``score`` (float64, raw units, NaN where the image failed), ``status``, ``reason``, ``seconds``."""
        from mad_core.runs.results import run_table

        return run_table(self.store, self.id)

    @property
    def mismatches(self) -> list[str]:
        """What did not fit when these scores were imported, a sentence each; empty of a run that was made here."""
        entries = self.store.run(self.id).record.get("imported", {}).get("mismatches", ())
        return [f"{entry['file']}, {entry['path']}: {entry['message']}" for entry in entries]

    def metrics(self, *, draws: int = 1000, seed: int = 0, levels: str | None = None) -> Metrics:
        """All metrics of the labelled images in the form of ``evaluate --json``: a dictionary printed as a table.

        ``levels`` is ``"as-is"`` or ``"rounded-up"``, by default rounded up where the subset is the benchmark's.
        """
        from mad_core.runs.results import reading_notes

        with_level = labelled(self.table)
        of_images, notes = ordered(with_level, levels)
        together = groups_of(with_level)
        result = evaluate(of_images, with_level["score"], with_level["subset"], draws=draws, seed=seed, groups=together)
        own = [*unlabelled_notes(self.table), *reading_notes(self.store, self.id)]
        result["notes"] = list(dict.fromkeys([*own, *notes, *result["notes"]]))
        return result

    @property
    def changes(self) -> dict[str, Any]:
        """What further normals changed against the parent, as :func:`mad_core.runs.growing.changes` gives it.

        Raises
        ------
        InputError
            If no normals joined it.
        """
        from mad_core.runs.growing import changes

        return changes(self.store, self.store.run(self.id))

    def plot(
        self,
        name: str = "raincloud",
        *,
        subset: str | None = None,
        image: str | None = None,
        theme: Theme = "light",
    ) -> go.Figure:
        """A Plotly figure of the scores.

        Parameters
        ----------
        name : {"raincloud", "matrix", "strip", "intervals", "levels", "roc", "precision_recall"}
            Scores against levels; how often level j scores above level i; a row a level; the C-index with its
            interval for each subset; how many images there are; what thresholds do, a curve a subset.
        subset : str, optional
            One subset alone. Of several the percentile ranks within each are drawn: raw scores are never pooled.
        image : str, optional
            The ``image_id`` of the image that is marked in a raincloud or a strip.
        theme : {"light", "dark"}

        Raises
        ------
        InputError
            If there is no figure, subset, image or theme of that name; the sentence says which there are.
        """
        from mad_core.runs.plots import plot

        return plot(self.store, self.id, name, subset=subset, image=image, theme=theme)

    def anomaly_map(self, image_id: str) -> np.ndarray | None:
        """The image's anomaly map, float32 of shape (H, W) in raw units; None where there is none."""
        return self.store.read_map(self.store.run(self.id), image_id)


@explained()
def score(
    source: str | Path | Imported,
    scorer: str | Any = DEFAULT,
    *,
    subsets: Sequence[str] = (),
    limit: int | None = None,
    calibrate: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
    **parameters: Any,
) -> ScoredRun:
    """Fit a scorer on each subset's training normals and score its test images, in this process.

    The same request again returns the stored scores; one that was interrupted goes on where it was.

    Parameters
    ----------
    source : path, "demo", or what :func:`load` gave
    scorer : str, or what is one
        An id of the catalogue (``python -m mad_core scorers``), without which it is the default detector; a function
        or class under :func:`scorer`; what :func:`from_torch` or :func:`from_onnx` gave.
    subsets : sequence of str
        All if empty.
    limit : int or None
        Test images a subset, levels in their shares, drawn by ``seed``.
    calibrate : int or None
        Test images of each level and subset that are set aside for calibration, outside metrics.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda:n"``.
    progress : callable
        Called now and then with a dictionary: ``phase``, ``done``, ``total``, ``rate``, …
    **parameters
        As the scorer declares them.

    Raises
    ------
    InputError, NotFoundError
        If a name or a value is unknown, or nothing can be scored.
    UnavailableError
        If the scorer cannot run on this machine; the sentence says what it needs.
    CancelledError, WorkError
    """
    from mad_core.machine.devices import check_device
    from mad_core.runs.store import RunRequest
    from mad_core.scorers import catalog
    from mad_core.scorers.own import resolved

    info = catalog.scorer(resolved(scorer))
    checked = info.check(parameters)
    info.check_available(checked)  # before a dataset is read, which may take long
    imported = load(source) if isinstance(source, str | Path) else source
    if imported.dataset.table.empty:
        raise InputError(f"Nothing usable is in {imported.dataset.source}.")
    store = _store()
    request = RunRequest("", info.id, checked, tuple(subsets), limit, seed, check_device(device))
    if info.starts_with:  # on the dataset as it is, so that its scores serve whatever is set aside
        request = _after_first_runs(store, replace(request, dataset_id=store.add_dataset(imported)), progress)
    if calibrate is not None:
        imported = replace(imported, dataset=imported.dataset.with_calibration(calibrate))
    return _scored(store, replace(request, dataset_id=store.add_dataset(imported)), progress)


@explained()
def learn(
    data: str | Path | Imported,
    run: str | ScoredRun | None = None,
    grades: int | str | Mapping[str, float] = 5,
    *,
    subsets: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
    **parameters: Any,
) -> ScoredRun:
    """Learn severity from a few grades on top of a detector's run, and score every image that is not graded.

    Parameters
    ----------
    data : path, "demo", the id of a stored dataset, or what :func:`load` gave
    run : str or ScoredRun, optional
        The detector's; the default detector is run where absent.
    grades : int, mapping of str to float, or "ratings"
        So many labelled test images of each level, drawn by ``seed``; or levels by ``image_id``; or what reviewers
        agree on in the audit. The graded images leave every metric.
    **parameters
        As scorer ``graded`` declares them.

    Returns
    -------
    ScoredRun
        Of scorer ``graded``; its ``table`` holds the images that were not graded.

    Raises
    ------
    InputError, NotFoundError, UnavailableError, WorkError, CancelledError
    """
    from mad_core.datasets.dataset import Imported
    from mad_core.machine.devices import check_device
    from mad_core.runs.store import RunRequest

    if isinstance(grades, str) and grades != "ratings":
        raise InputError(f"Grades are a number a level, levels by image_id, or 'ratings', and not '{grades[:80]}'.")
    chosen = {**parameters, "grades": grades if isinstance(grades, str) else "calibration"}
    chosen |= {"detector": _run_id(run)} if run is not None else {}
    store, dataset_id = _stored(data)
    request = RunRequest(dataset_id, "graded", chosen, tuple(subsets), seed=seed, device=check_device(device))
    request = _after_first_runs(store, request, progress)
    if not isinstance(grades, str):
        dataset = store.dataset(dataset_id)
        aside = dataset.with_calibration(grades, seed) if isinstance(grades, int) else dataset.with_grades(grades)
        request = replace(request, dataset_id=store.add_dataset(Imported(aside)))
    return _scored(store, request, progress)


@explained()
def add_normals(
    run: str | ScoredRun,
    folder: str | Path,
    *,
    subset: str = "",
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> ScoredRun:
    """Let the normals of a folder join what a run has fitted: a run of its own, whose ``changes`` say what came of it.

    Parameters
    ----------
    run : str or ScoredRun
        A finished run of a scorer with a memory (``patchcore``, ``knn``, ``subspace``, ``filterbank``, ``probe``).
    folder : path
        Its images are all normal.
    subset : str
        Which subset they belong to; may be left out of a run of one.

    Raises
    ------
    InputError, NotFoundError, WorkError, CancelledError
    """
    from mad_core.runs.growing import add_normals as join

    store = _store()
    joined = join(store, _run_id(run), Path(folder), subset)
    _finish(store, joined.run, device, progress)
    return ScoredRun(joined.run.id, store)


@explained()
def similar(
    image: str | Path,
    dataset: str | Path | Imported,
    count: int = 12,
    *,
    everywhere: bool = False,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> pd.DataFrame:
    """The pictures of a dataset that are most like one of them, the nearest first.

    A frozen network looks at every picture once; what it saw is kept.

    Parameters
    ----------
    image : str or path
        Its file, its path within the dataset, or its id.
    dataset : path, "demo", the id of a stored dataset, or what :func:`load` gave
    everywhere : bool
        Among the pictures of all subsets instead of its own.

    Returns
    -------
    DataFrame
        ``image_id``, ``subset``, ``path``, ``level``, ``defect``, ``distance``, ``closer`` (share of all pairs of
        pictures that lie farther apart, 0-1), ``words`` (how alike).

    Raises
    ------
    InputError, WorkError, CancelledError
    """
    from mad_core.runs.similar import similar as nearest

    store, dataset_id = _stored(dataset)
    return nearest(store, dataset_id, str(image), count, everywhere=everywhere, device=device, progress=progress)


def scorers() -> pd.DataFrame:
    """The catalogue, a row a scorer: ``id``, ``family``, ``title``, ``available``, ``why_not``, ``parameters``, …

    >>> "filterbank" in set(scorers()["id"])
    True
    """
    import pandas as pd

    from mad_core.scorers import catalog

    return pd.DataFrame([info.to_json() for info in catalog.scorers()])


def datasets() -> pd.DataFrame:
    """The datasets in the store, a row each: ``dataset`` (its id), ``name``, ``source``, ``images``, ``runs``, …"""
    from mad_core.runs import listing

    return _frame(listing.datasets(_store()), "dataset")


def runs(dataset: str | None = None) -> pd.DataFrame:
    """The runs in the store, a row each: ``run`` (its id), ``title``, ``scorer``, ``status``, ``done``, …

    Parameters
    ----------
    dataset : str, optional
        Only those on the dataset of this id.
    """
    from mad_core.runs import listing

    store = _store()
    return _frame([listing.run_entry(store, run) for run in store.runs(dataset)], "run")


def run(run_id: str) -> ScoredRun:
    """A run of the store by its id.

    Raises
    ------
    NotFoundError
    """
    store = _store()
    return ScoredRun(store.run(_run_id(run_id)).id, store)


@explained()
def import_scores(
    places: str | Path | Sequence[str | Path],
    dataset: str | Path | Imported,
    *,
    title: str = "",
    note: str = "",
) -> ScoredRun:
    """Keep scores that another program made as a run, matched to the images by path.

    Parameters
    ----------
    places : path or sequence of paths
        Score files of one model, or folders of them: CSV with ``Path`` and ``Anomaly Score``.
    dataset : path, "demo", the id of a stored dataset, or what :func:`load` gave
    title, note : str
        What the run is called, by default as the model; where the scores come from.

    Returns
    -------
    ScoredRun
        Its ``mismatches`` say what did not fit; an image without a usable score has none.

    Raises
    ------
    InputError
        If a file cannot be read, no row names an image, or the files are of several models.
    """
    from mad_core.runs.imported_scores import import_results
    from mad_core.runs.result_files import find_result_files

    store, dataset_id = _stored(dataset)
    files = [Path(place) for place in ([places] if isinstance(places, str | Path) else places)]
    models = sorted({file.model for file in find_result_files(files, store.dataset(dataset_id))})
    if len(models) > 1:
        raise InputError(f"The files are of {len(models)} models ({', '.join(models)}); import each by itself.")
    (imported,) = import_results(store, dataset_id, files, title=title, note=note)
    return ScoredRun(imported.run.id, store)


@explained()
def suspicious(
    dataset: str | Path | Imported | None = None,
    runs: Sequence[str | ScoredRun] = (),
    *,
    order: QueueOrder = "suspicion",
    seed: int = 0,
) -> pd.DataFrame:
    """Labels that look wrong, the most suspicious first, with the reason in words: the queue of the Audit page.

    Parameters
    ----------
    dataset : path, "demo", the id of a stored dataset, or what :func:`load` gave
        May be left out where runs are given.
    runs : sequence of str or ScoredRun
        Whose scores count; all runs on the dataset if empty. Copies and look-alikes under other labels, and
        reviewers who gave another level, count in any case.
    order : {"suspicion", "random", "level", "disagreement", "unreviewed", "learning", "worst", "sent"}
    seed : int
        Deals images into folds, and draws the random order.

    Returns
    -------
    DataFrame
        A row per test image: ``image_id``, ``path``, ``subset``, ``level`` (the label), ``suspicion`` (0 to 1), its
        parts, ``predicted`` (level), ``reason``, …

    Raises
    ------
    InputError, NotFoundError
    """
    from mad_core.audit.label_queue import label_queue

    store, dataset_id, ids = _of_runs(dataset, runs)
    return label_queue(store, dataset_id, ids, order=order, seed=seed)


@explained()
def study(
    name: str,
    dataset: str | Path | Imported | None = None,
    runs: Sequence[str | ScoredRun] = (),
    *,
    quick: bool = True,
    seed: int = 0,
    device: str = "auto",
    force: bool = False,
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
    **parameters: Any,
) -> Finding:
    """Ask a question of scores that are there, as ``python -m mad_core study``; that also lists the studies.

    Parameters
    ----------
    name : str
        The study's id.
    dataset : path, "demo", the id of a stored dataset, or what :func:`load` gave
        May be left out where runs are given.
    runs : sequence of str or ScoredRun
        All runs on the dataset with scores if empty.
    quick : bool
        A stratified sample instead of every image.
    force : bool
        Do it again where its finding is stored.
    **parameters
        As the study declares them.

    Returns
    -------
    Finding
        ``sentence``, ``caveat``, ``tables`` and ``facts``.

    Raises
    ------
    InputError, NotFoundError, WorkError, CancelledError
    """
    from mad_core.runs.in_process import do_here
    from mad_core.studies.record import StudyRequest, read_study, request_study

    store, dataset_id, ids = _of_runs(dataset, runs)
    chosen = tuple(ids) or tuple(each.id for each in store.runs(dataset_id) if each.done)
    request = StudyRequest(dataset_id, name, chosen, parameters, quick, seed)
    record = request_study(store, request, force=force, device=device)
    job = store.queue.active_for(record.job_key)
    if job is not None:
        do_here(store, job.id, device, progress)
    finding = read_study(store, record.id).finding
    if finding is None:
        raise WorkError(f"The study '{name}' ended without a finding.")
    return finding


@explained()
def report(
    runs: str | ScoredRun | Sequence[str | ScoredRun],
    out: str | Path = "report.html",
    *,
    subset: str | None = None,
    labels: str | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Path:
    """Write one self-contained HTML file of any runs: metrics, figures, images, studies, audit, how to repeat it.

    Parameters
    ----------
    runs : ids or runs
    out : path
        The file to write.
    subset : str, optional
        One subset alone.
    labels : {"majority", "median", "adjudicator"}, optional
        Audited labels by this rule, instead of the original ones.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError, NotFoundError, WorkError
    """
    from mad_core.audit.consensus import RULES
    from mad_core.report.contents import ReportRequest, Steps, gather, steps_of
    from mad_core.report.export import write_report

    if labels is not None and labels not in RULES:
        raise InputError(f"'{labels}' is no rule for audited labels; there are {', '.join(RULES)}.")
    out = Path(out)
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InputError(f"{out} cannot be written: name a file in a folder that exists.")
    store, request = _store(), ReportRequest(tuple(_run_ids(runs)), subset, labels, draws, seed)
    steps = Steps(lambda done, total: None, steps_of(request))
    write_report(store, gather(store, request, steps), out, steps)
    return out


@explained()
def export(
    run: str | ScoredRun,
    to: str = "onnx",
    out: str | Path = "model",
    *,
    subset: str = "",
    size: str = "",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> list[Exported]:
    """Write a run's fitted detector as a file that other programs run, from pixels to score and map, with its proof.

    Parameters
    ----------
    run : str or ScoredRun
        A finished run of a scorer that can be exported (``mad.scorers()`` says which: ``exports``).
    to : {"onnx", "openvino"}
    out : path
        The folder to make, or an empty one.
    subset : str
        One subset alone; of several there is a folder each.
    size : str
        Of the pictures, ``"640x480"``; by default the one that most have.

    Returns
    -------
    list of Exported
        A model a subset: ``folder``, ``facts`` (its ``model.json``), ``parity``.

    Raises
    ------
    InputError, NotFoundError, UnavailableError
        If it cannot be done.
    WorkError
        If the file answers differently from the app: nothing is left behind.
    """
    from mad_core.export.model import export_run

    return export_run(_store(), _run_id(run), to, Path(out), subset=subset, size=size, progress=progress)


# -- what the functions share ---------------------------------------------------------------------


def _store() -> Store:
    from mad_core.runs.store import Store

    return Store(Settings.from_environment())


def _scored(store: Store, request: RunRequest, progress: Callable[[dict[str, Any]], None]) -> ScoredRun:
    """Do a request in this process."""
    from mad_core.audit.grades import with_grades_asked
    from mad_core.runs.request import request_run

    run = request_run(store, with_grades_asked(store, request))
    _finish(store, run, request.device, progress)
    return ScoredRun(run.id, store)


def _after_first_runs(store: Store, request: RunRequest, progress: Callable[[dict[str, Any]], None]) -> RunRequest:
    """The request with the runs that it builds on, done in this process where there are none."""
    from mad_core.runs.request import with_first_runs

    return with_first_runs(store, request, lambda first: _finish(store, first, request.device, progress))


def _finish(store: Store, run: Run, device: str, progress: Callable[[dict[str, Any]], None]) -> None:
    """Do a run's waiting job in this process."""
    from mad_core.runs.in_process import do_here

    job = store.queue.active_for(run.job_key)
    if job is not None:
        do_here(store, job.id, device, progress)


def _frame(entries: list[dict[str, Any]], first: str) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(entries, columns=None if entries else [first])


def _stored(dataset: str | Path | Imported) -> tuple[Store, str]:
    """The store, and the id of a dataset in it: a stored one's, or of what lies at a path."""
    store = _store()
    if isinstance(dataset, str) and any(info.id == dataset for info in store.datasets()):
        return store, dataset
    imported = load(dataset) if isinstance(dataset, str | Path) else dataset
    if imported.dataset.table.empty:
        raise InputError(f"Nothing usable is in {imported.dataset.source}.")
    return store, store.add_dataset(imported)


def _of_runs(dataset: str | Path | Imported | None, runs: Sequence[str | ScoredRun]) -> tuple[Store, str, list[str]]:
    """The store, the dataset, and ids of runs; without a dataset it is that of the runs."""
    ids = _run_ids(runs)
    if dataset is not None:
        return *_stored(dataset), ids
    if not ids:
        raise InputError("Name a dataset (a path, or demo), or runs.")
    store = _store()
    return store, store.run(ids[0]).dataset_id, ids


def _run_ids(runs: str | ScoredRun | Sequence[str | ScoredRun]) -> list[str]:
    return [_run_id(each) for each in ([runs] if isinstance(runs, str | ScoredRun) else runs)]


def _run_id(run: str | ScoredRun) -> str:
    return run.id if isinstance(run, ScoredRun) else run.removeprefix("run:")
