"""Scoring for studies: by the kept fit of a run, or by its scorer with other parameters; and small results kept."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mad_core.errors import CancelledError
from mad_core.runs.job_control import Control
from mad_core.runs.queue import Job
from mad_core.runs.store import Run
from mad_core.scorers import catalog
from mad_core.studies.study import Work

if TYPE_CHECKING:
    from mad_core.scorers.contract import Context, Item, Resources, Scored, Scorer


class _StudyControl(Control):
    """What scoring sees of a study: its store, its device, and whether it should stop."""

    work: Work

    def cancelled(self) -> bool:
        try:
            self.work.check_cancel()
        except CancelledError:
            return True
        return False


def _control(work: Work) -> Control:
    job = Job(0, "study", {}, "", work.device, "running", False, 1, None, {}, None, None, 0.0, None, None, None)
    control = _StudyControl(job, work.store, work.store.settings, work.device)
    control.work = work
    return control


class FittedScorer:
    """A scorer that is ready for one subset."""

    def __init__(self, work: Work, scorer: Scorer, context: Context) -> None:
        self._work, self._scorer, self._context = work, scorer, context

    def score(self, items: Sequence[Item]) -> Iterator[Scored]:
        """Score images, whatever files these are.

        Raises
        ------
        CancelledError
        """
        for scored in self._scorer.score(items, self._context):
            self._work.check_cancel()
            yield scored


@contextmanager
def fitted_scorer(work: Work, run: Run, subset: str) -> Iterator[FittedScorer]:
    """The scorer of a run with the fit that the run kept; it learns again only where that is gone or outdated."""
    from mad_core.runs.execute import create_scorer, fit_or_load, scorer_context

    info, control = catalog.scorer(run.scorer), _control(work)
    parameters = info.check(run.parameters)
    scorer = create_scorer(info, parameters, work.dataset, subset)
    try:
        fit_or_load(
            scorer, info, parameters, work.dataset, subset, control, run.seed, lambda *_: None, None, run.parent
        )
        yield FittedScorer(work, scorer, scorer_context(work.dataset, subset, info, parameters, control, run.seed))
    finally:
        scorer.close()


@contextmanager
def scorer_with(
    work: Work, run: Run, subset: str, parameters: Mapping[str, Any], resources: Resources, *, normals_of: str
) -> Iterator[FittedScorer]:
    """The scorer of a run with other parameters, ready for a subset with the training normals of any.

    For scorers that are shown normals and learn nothing of them: no fit is kept.

    Parameters
    ----------
    parameters : mapping
        Checked.
    resources : Resources
        Holds the model for further calls.
    """
    from mad_core.runs.execute import items, scorer_context

    info = catalog.scorer(run.scorer)
    context = scorer_context(work.dataset, subset, info, parameters, _control(work), run.seed, resources)
    context = replace(context, normals=items(work.dataset.normals(normals_of), work.dataset))
    scorer = info.create(parameters)
    try:
        scorer.fit(context.normals, context)
        yield FittedScorer(work, scorer, context)
    finally:
        scorer.close()


class ResultCache:
    """Small results of a study on disk, so that one that was stopped goes on: a JSON file for each key.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, key: Sequence[Any]) -> Path:
        digest = hashlib.blake2b(json.dumps(list(key), sort_keys=True).encode(), digest_size=12).hexdigest()
        return self.folder / f"{digest}.json"

    def read(self, key: Sequence[Any]) -> dict[str, Any]:
        """What is kept under a key; empty where there is nothing that can be read."""
        try:
            values = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def write(self, key: Sequence[Any], values: dict[str, Any]) -> None:
        """Keep values, all or nothing; a full disk only costs the next time."""
        target = self._path(key)
        building = target.with_suffix(f".{secrets.token_hex(4)}.part")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            building.write_text(json.dumps(values), encoding="utf-8")
            building.replace(target)


def result_cache(work: Work, study: str, owner: str) -> ResultCache:
    """Where a study keeps what it need not do again; it is deleted with its owner.

    Parameters
    ----------
    owner : str
        Id of the run, or of the dataset, that it is made of.
    """
    return ResultCache(work.store.settings.studies / owner / study)
