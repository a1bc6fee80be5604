"""What a run that learns from grades knows, read back without torch: to learn again, to choose, to draw the curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mad_core.errors import InputError
from mad_core.learning.curve import DRAWS, Curve, learning_curve
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.learner import Learner, learn
from mad_core.learning.regression import Comparison
from mad_core.learning.selection import next_to_grade
from mad_core.runs.store import Run, Store
from mad_core.scorers.catalog import GRADED
from mad_core.scorers.features.answers import FEATURES, answer
from mad_core.scorers.features.looks import LookFolder


@dataclass(frozen=True)
class LearnedImages:
    """The images of a subset as the learner sees them, and which of them are graded.

    Parameters
    ----------
    image_ids : tuple of n str
        Images with a look and a detector's score.
    evidence : Evidence
    scale : NormalScale
    grades : mapping of str to float
        Level of each graded image, by id.
    groups : tuple of n str
        What each image belongs to: patient, part, lot; empty where none is known.
    comparisons : tuple of (str, str)
        Ids of a worse and of a milder image, as reviewers said.
    """

    image_ids: tuple[str, ...]
    evidence: Evidence
    scale: NormalScale
    grades: Mapping[str, float]
    groups: tuple[str, ...]
    comparisons: tuple[tuple[str, str], ...] = ()

    def rows(self, grades: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the graded images, and of the others."""
        graded = np.array([image_id in grades for image_id in self.image_ids], dtype=bool)
        return np.flatnonzero(graded), np.flatnonzero(~graded)

    def learner(self, grades: Mapping[str, float] | None = None) -> Learner:
        """A learner from these grades, by default those of the run; a second for some hundred.

        Raises
        ------
        InputError
            If they are too few.
        """
        grades = self.grades if grades is None else grades
        rows, _ = self.rows(grades)
        together, evidence = [self.groups[row] for row in rows], self.evidence.rows(rows)
        places = {self.image_ids[row]: place for place, row in enumerate(rows.tolist())}
        pairs = [Comparison(places[a], places[b]) for a, b in self.comparisons if a in places and b in places]
        compared = evidence if pairs else None
        levels = self._levels(rows, grades)
        return learn(evidence, levels, self.scale, together=together, compared=compared, comparisons=pairs)

    def next(self, count: int, grades: Mapping[str, float] | None = None) -> list[str]:
        """Ids of the images to grade next, the one that teaches most first."""
        grades = self.grades if grades is None else grades
        rows, rest = self.rows(grades)
        levels = self._levels(rows, grades)
        chosen = next_to_grade(self.evidence.rows(rest), self.scale, count, self.evidence.rows(rows), levels.tolist())
        return [self.image_ids[rest[row]] for row in chosen]

    def curve(
        self,
        more: int = 20,
        draws: int = DRAWS,
        seed: int = 0,
        step: Callable[[int, int], None] = lambda done, total: None,
    ) -> Curve:
        """The learning curve of the run's grades; see :func:`mad_core.learning.curve.learning_curve`."""
        rows, _ = self.rows(self.grades)
        levels, together = self._levels(rows, self.grades), [self.groups[row] for row in rows]
        return learning_curve(
            self.evidence.rows(rows),
            levels,
            self.scale,
            together=together,
            more=more,
            draws=draws,
            seed=seed,
            step=step,
        )

    def _levels(self, rows: np.ndarray, grades: Mapping[str, float]) -> np.ndarray:
        return np.array([grades[self.image_ids[row]] for row in rows], dtype=np.float64)


def learned_images(store: Store, run: Run, subset: str) -> LearnedImages:
    """What a run of scorer ``graded`` knows of a subset.

    Raises
    ------
    InputError
        If the run is of another scorer, has not learned on this subset, or its looks were removed.
    """
    entry = next((entry for entry in store.run_subsets(run.id) if entry.subset == subset), None)
    if run.scorer != GRADED or entry is None:
        raise InputError(f"Run '{run.title}' ({run.id}) has not learned from grades on subset '{subset}'.")
    folder = LookFolder(store.settings.looks / entry.facts["looks"] if entry.facts.get("looks") else None)
    rows: Any = store.dataset(run.dataset_id).select(subset=subset)
    rows = rows[rows["split"] != "train"]
    scores = store.scores(str(run.parameters["detector"])).set_index("image_id")["score"].to_dict()
    scores |= entry.facts.get("detector_scores", {})
    values = np.array([scores.get(image_id, np.nan) for image_id in rows["image_id"]], dtype=np.float64)
    answers, of_normals = _answers(store, run, rows["image_id"].tolist(), entry.facts)
    kept = folder.evidence(rows["content_hash"].tolist(), values, answers)
    scale = folder.scale(entry.facts.get("normal_scores", ()), of_normals)
    if kept is None or scale is None:
        raise InputError(f"What run '{run.title}' ({run.id}) knew of its images is no longer kept; score again.")
    there, evidence = kept
    graded = rows[(rows["split"] == "calibration") & rows["level"].notna()]
    grades = dict(zip(graded["image_id"].tolist(), graded["level"].astype(float).tolist(), strict=True))
    ids = tuple(rows["image_id"].iloc[there].tolist())
    groups = tuple(rows["group"].fillna("").iloc[there].tolist())
    graded_here = {name: level for name, level in grades.items() if name in set(ids)}
    comparisons = store.dataset_info(run.dataset_id).card.comparisons
    return LearnedImages(ids, evidence, scale, graded_here, groups, comparisons)


def _answers(
    store: Store, run: Run, image_ids: Sequence[str], facts: Mapping[str, Any]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What the multimodal model that a run learned from says of images, NaN where nothing, and of the normals."""
    model = str(run.parameters.get("model") or "")
    if not model:
        return None, None
    told = dict(facts.get("graded_answers", {}))
    rows = np.full((len(image_ids), FEATURES), np.nan)
    for row, image_id in enumerate(image_ids):
        stored = store.score(model, image_id)
        if stored is not None and stored.score is not None:
            rows[row] = answer(stored.score, stored.distribution)
        elif image_id in told:
            rows[row] = told[image_id]
    return rows, np.array(facts["normal_answers"], dtype=np.float64)
