"""What is left of detection and severity order when test images are spoilt, and which levels suffer first.

Scorers stay as they were fitted on clean normals. Every scorer sees the same spoilt images, so all losses are paired
with the clean images. Losses are averaged over the subsets, never computed on pooled scores.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.figures.words import listed
from mad_core.metrics.names import headline
from mad_core.metrics.ranking import as_short
from mad_core.metrics.units import group_by_image
from mad_core.studies.estimates import RISK, Estimate, clearly_above, mean, of_subset, order_of, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.robustness.corruptions import CORRUPTIONS, STRENGTHS, corruption_of
from mad_core.studies.robustness.scoring import CLEAN, Condition, SpoiltScores, example_of
from mad_core.studies.sampling import sample_of
from mad_core.studies.study import Work

QUICK_CORRUPTIONS, QUICK_STRENGTHS = ("noise", "blur", "brightness"), (1, 3, 5)
QUICK_IMAGES = 20
"""Images a subset in quick mode, levels in their shares."""
CAVEAT = (
    "The corruptions are computed, not taken by a worse camera, and an occlusion is an anomaly of its own; with other "
    "amounts or kinds of corruption the order of scorers and levels may change. A level breaks at the lowest strength "
    "at which its loss stays above 0 in a 95 % band over all corruptions, strengths and levels of a scorer at once."
)


def run(work: Work) -> Finding:
    """Score the sample under every corruption and strength, and compare."""
    runs = [one for one in work.runs if not one.imported and one.subsets]
    if not runs:
        raise InputError("Imported scores cannot be made again on spoilt images; choose a run that was made here.")
    work = replace(work, runs=runs)
    conditions = _conditions(work)
    sample = sample_of(work, images=QUICK_IMAGES)
    example = example_of(work)
    scored = SpoiltScores(work, conditions, example).all_of(runs, sample)
    groups = group_by_image(work.dataset.table)
    finding = robustness(scored.cells, sample.names, draws=sample.draws, seed=work.seed, groups=groups)
    start = f"On a sample of {sample.in_words()}: " if work.quick else ""
    amounts = {name: list(CORRUPTIONS[name].amounts) for name in dict.fromkeys(c for c, _ in conditions)}
    facts = {**finding.facts, **sample.facts(), "amounts": amounts, "example": scored.pictures(sample.names)}
    strip = {"The example": [example.image_id]}
    return Finding(finding.study, finding.title, start + finding.sentence, finding.caveat, finding.tables, facts, strip)


def _conditions(work: Work) -> list[Condition]:
    wanted = [part.strip() for part in str(work.parameters.get("corruptions") or "").split(",") if part.strip()]
    chosen = [corruption_of(name).id for name in wanted]
    names = chosen or (QUICK_CORRUPTIONS if work.quick else tuple(CORRUPTIONS))
    return [(name, strength) for name in names for strength in (QUICK_STRENGTHS if work.quick else STRENGTHS)]


# -- the finding ------------------------------------------------------------------------------------


def robustness(
    cells: pd.DataFrame,
    names: Mapping[str, str],
    *,
    draws: int,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Finding:
    """The finding, from scores.

    Parameters
    ----------
    cells : DataFrame
        A row for each score: ``run``, ``subset``, ``image_id``, ``level``, ``corruption``, ``strength`` (0 = clean)
        and ``score`` (NaN where there is none). Images that lack a score in any condition are left out of that run.
    names : mapping of run id to str
    draws, seed : int
        Of the bootstrap over images, stratified by level, paired between conditions.
    groups : mapping of image id to str, optional
        What images belong to; those of one are drawn together.
    """
    complete = _complete(cells)
    estimates = {
        run_id: _estimates(parts, draws=draws, seed=seed, groups=groups or {}) for run_id, parts in complete.items()
    }
    losses = {run_id: _losses(conditions) for run_id, conditions in estimates.items()}
    by_level = _level_losses(losses.values())
    used = {names[run_id]: sum(map(len, complete.get(run_id, {}).values())) for run_id in dict.fromkeys(cells["run"])}
    risk = RISK / (1 + len(estimates))  # the sentence claims something of the levels, and something of each scorer
    return Finding(
        "robustness",
        "Robustness against corruption",
        " ".join([_levels_in_words(by_level, risk), *_scorers_in_words(estimates, names, risk)]),
        CAVEAT + _left_out(cells, used),
        {
            "curves": pd.DataFrame(_curves(estimates, names)),
            "levels": pd.DataFrame(_of_levels(estimates, names)),
            "detection": pd.DataFrame(_detection(estimates.values())),
            "losses": pd.DataFrame([{"level": level} | loss.columns("loss") for level, loss in by_level.items()]),
            "breaks": _breaks(losses, names),
        },
        {"images_used": used, "bootstrap_draws": draws, "seed": seed},
    )


def _by(table: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in table.groupby(column, sort=False)]


def _mean(parts: Sequence[Estimate]) -> Estimate:
    average = mean(parts)
    assert average is not None
    return average


def _complete(cells: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """Scores by run and subset, a column for each condition, of the images that no run of the subset lacks anywhere.

    A run without any image of which it has all scores is left out of that subset.
    """
    complete: dict[str, dict[str, pd.DataFrame]] = {}
    for subset, rows in _by(cells, "subset"):
        tables = {run_id: table for run_id, own in _by(rows, "run") if len(table := _wide(own))}
        shared = set.intersection(*(set(table.index) for table in tables.values())) if tables else set()
        for run_id, table in tables.items():
            own: Any = table[table.index.isin(list(shared))]
            complete.setdefault(run_id, {})[subset] = own
    return complete


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of one run and subset, of the images that have all of them."""
    index = ["image_id", "level", "corruption", "strength"]
    scores: Any = rows.set_index(index)["score"]
    wide = scores.unstack(["corruption", "strength"]).sort_index(axis=1)  # noqa: PD010 - pivoting drops what is NaN
    return wide[np.isfinite(wide.to_numpy(dtype=np.float64)).all(axis=1)]


Estimates = Mapping[Condition, Mapping[str, Estimate]]
"""Condition to metric to its value, of one run, averaged over its subsets."""


def _estimates(tables: Mapping[str, pd.DataFrame], *, draws: int, seed: int, groups: Mapping[str, str]) -> Estimates:
    parts: dict[Condition, list[dict[str, Estimate]]] = {}
    for subset, wide in tables.items():
        levels = wide.index.get_level_values("level").to_numpy(dtype=np.float64)
        told: Any = {"draws": draws, "seed": seed, "by_level": True}
        told["groups"] = [groups.get(image) for image in wide.index.get_level_values("image_id")]
        for column in wide.columns:
            condition = str(column[0]), int(column[1])
            scores = wide[column].to_numpy(dtype=np.float64)
            values = of_subset(levels, scores, subset, **told) if len(wide) else {}
            parts.setdefault(condition, []).append(values)
    return {condition: over_subsets(parts[condition]) for condition in sorted(parts)}


@dataclass(frozen=True, order=True)
class LostLevel:
    """Where a level is lost."""

    corruption: str
    level: float
    strength: int


def _detected(values: Mapping[str, Estimate]) -> dict[float, Estimate]:
    """AUROC of each level."""
    of = {name.removeprefix("auroc_"): value for name, value in values.items() if name.startswith("auroc_")}
    return {as_short(float(level)): value for level, value in of.items() if level != "whole"}


def _losses(conditions: Estimates) -> dict[LostLevel, Estimate]:
    """What detection loses against the clean images."""
    clean = _detected(conditions.get(CLEAN, {}))
    return {
        LostLevel(condition[0], level, condition[1]): clean[level] - value
        for condition, values in conditions.items()
        for level, value in _detected(values).items()
        if condition != CLEAN
    }


def _level_losses(losses: Iterable[Mapping[LostLevel, Estimate]]) -> dict[float, Estimate]:
    """The mean loss of each level over corruptions, strengths and scorers."""
    by_level: dict[float, list[Estimate]] = {}
    for of_scorer in losses:
        for place, loss in of_scorer.items():
            by_level.setdefault(place.level, []).append(loss)
    return {level: _mean(parts) for level, parts in sorted(by_level.items())}


# -- tables -----------------------------------------------------------------------------------------


def _curves(estimates: Mapping[str, Estimates], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A row for each scorer and condition: the metrics over all levels."""
    for run_id, conditions in estimates.items():
        for (corruption, strength), values in conditions.items():
            place = {"scorer": names[run_id], "corruption": corruption, "strength": strength}
            yield place | {k: v for m in headline() if m.id in values for k, v in values[m.id].columns(m.id).items()}


def _of_levels(estimates: Mapping[str, Estimates], names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A row for each scorer, condition and level: its detection, and what of it is lost."""
    for run_id, conditions in estimates.items():
        clean = _detected(conditions.get(CLEAN, {}))
        for (corruption, strength), values in conditions.items():
            for level, value in _detected(values).items():
                place = {"scorer": names[run_id], "corruption": corruption, "strength": strength, "level": level}
                yield place | value.columns("auroc") | (clean[level] - value).columns("loss")


def _detection(estimates: Iterable[Estimates]) -> Iterator[dict[str, Any]]:
    """A row for each condition and level: its detection, the scorers averaged draw by draw."""
    parts: dict[tuple[Condition, float], list[Estimate]] = {}
    for conditions in estimates:
        for condition, values in conditions.items():
            for level, value in _detected(values).items():
                parts.setdefault((condition, level), []).append(value)
    for ((corruption, strength), level), own in sorted(parts.items(), key=lambda item: item[0]):
        place = {"corruption": corruption, "strength": strength, "level": level, "scorers": len(own)}
        yield place | _mean(own).columns("auroc")


def _breaks(losses: Mapping[str, Mapping[LostLevel, Estimate]], names: Mapping[str, str]) -> pd.DataFrame:
    """For each scorer, corruption and level the lowest strength at which its detection is clearly below the clean one.

    ``breaks_at`` is None where no strength is.
    """
    rows = []
    for run_id, of_scorer in losses.items():
        clear = clearly_above(of_scorer)
        for corruption, level in dict.fromkeys((place.corruption, place.level) for place in of_scorer):
            at = [place.strength for place in clear if (place.corruption, place.level) == (corruption, level)]
            row = {"scorer": names[run_id], "corruption": corruption, "level": level}
            rows.append(row | {"breaks_at": min(at, default=None)})
    return pd.DataFrame(rows, columns=["scorer", "corruption", "level", "breaks_at"])


def _left_out(cells: pd.DataFrame, used: Mapping[str, int]) -> str:
    """Images that a scorer gave no score of in some condition; they are no evidence either way."""
    images = len(set(cells["image_id"]))
    most = max(used.values(), default=0)
    gone = [name for name, count in used.items() if not count]
    sentence = f" {listed(gone)} scored no image under every corruption and is left out." if gone else ""
    if most < images:
        sentence += f" {images - most:,} of {images:,} images have no score under some corruption and are left out."
    return sentence


# -- in words ---------------------------------------------------------------------------------------


def _levels_in_words(losses: Mapping[float, Estimate], risk: float) -> str:
    """Which level loses detection first; intervals are widened for the number of pairs."""
    named = {f"L{level}": loss for level, loss in losses.items()}
    order = order_of(named, risk)
    if order is None:
        return "Levels cannot be compared: fewer than two abnormal levels have a normal image beside them."
    numbers = listed([f"{name} {loss.in_words()}" for name, loss in named.items()])
    average = f"AUROC lost on average over corruptions, strengths and scorers: {numbers}"
    if order.alone and named[order.leader].sign() > 0:
        return f"{order.leader} breaks first ({average})."
    if order.widest is not None and named[order.widest[0]].sign() > 0:
        most, least, _ = order.widest
        return f"{most} breaks before {least}; between the other levels the order is not clear ({average})."
    return f"No clear difference between the levels in how much detection they lose ({average})."


def _scorers_in_words(estimates: Mapping[str, Estimates], names: Mapping[str, str], risk: float) -> list[str]:
    """For each scorer the corruption that costs it most of its C-index at full strength."""
    sentences = []
    for run_id, conditions in estimates.items():
        clean = conditions.get(CLEAN, {}).get("c_index")
        if clean is None:
            continue
        top = {corruption: max(s for c, s in conditions if c == corruption) for corruption, s in conditions if s}
        lost = {c: clean - conditions[c, s]["c_index"] for c, s in top.items() if "c_index" in conditions[c, s]}
        clear = clearly_above(lost, 1 - 2 * risk)
        if not clear:
            sentences.append(f"{names[run_id]} shows no clear loss of C-index ({clean.value:.2f} on clean images).")
            continue
        worst = max(clear, key=lambda corruption: lost[corruption].value)
        title = CORRUPTIONS[worst].title if worst in CORRUPTIONS else worst
        sentences.append(
            f"{names[run_id]} loses most to {_small(title)} at strength {top[worst]}: C-index {clean.value:.2f} to "
            f"{conditions[worst, top[worst]]['c_index'].value:.2f}, a loss of {lost[worst].in_words()}."
        )
    return sentences


def _small(title: str) -> str:
    return title if title.isupper() or title.startswith("Gaussian") else title[0].lower() + title[1:]
