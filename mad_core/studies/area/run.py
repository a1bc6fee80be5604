"""Does a score follow severity, or only the area of the defect? Levels by area beside levels by risk.

Severity and area go together to some extent, so a scorer can order severity well by measuring area alone. Three things
tell both apart: the C-index against levels of the same sizes that follow the area alone; the order of severity that is
left when the area is held fixed (partial tau); and the order by area that is left within one level.

Subsets are measured one by one and averaged; images are resampled within their levels, the same for every scorer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mad_core.errors import InputError, MadError
from mad_core.figures.words import listed
from mad_core.metrics.association import FEWEST, bootstrap_rank_correlation, rank_correlation
from mad_core.metrics.intervals import expanded, percentile_interval, seed_of
from mad_core.metrics.partial import (
    MOST,
    Left,
    Taus,
    bootstrap_c_index,
    bootstrap_taus,
    left_at_fixed,
    levels_by_area,
    taus,
)
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.metrics.special import student_quantile
from mad_core.metrics.units import fewest_units, groups_of
from mad_core.runs.map_reductions import AREA_ABOVE, MASK_AREA, maker_of_maps, mask_areas, reduce_run
from mad_core.runs.store import Run
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import Sample, sample_of
from mad_core.studies.study import Work

CAVEAT = (
    "An order that is left at fixed area can come from anything that goes with severity, such as contrast or place; "
    "and where experts graded by size, area is not a shortcut but the right answer."
)
STRIP = 12
"""Images of a strip."""
ALONE = "area alone"


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas of defects, one an image.

    Parameters
    ----------
    of : mapping of image id to share of the image
    sources : mapping of subset to str
        What stands for the area there, in words.
    makers : mapping of subset to run id
        Whose maps the area is taken from, where there are no masks.
    others : mapping of image id to share of the image
        In the maps of another scorer, for the one whose maps give ``of``.
    masks : str
        How many masks could be used, and why not the others.
    """

    of: Mapping[str, float]
    sources: Mapping[str, str]
    makers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)
    masks: str = ""

    def judging(self, run_id: str, points: Any) -> Any:
        """The points with areas that are not this run's own view: of another scorer's maps where its own gave them."""
        own = points["subset"].map(lambda subset: self.makers.get(subset) == run_id)
        if not own.any():
            return points
        replaced = points.assign(area=points["area"].where(~own, points["image_id"].map(dict(self.others))))
        return _with_levels(replaced[np.isfinite(replaced["area"].to_numpy(dtype=np.float64))])


def run(work: Work) -> Finding:
    """Do the study.

    Raises
    ------
    InputError
        If no subset has an area for enough abnormal images of two levels.
    """
    sample = sample_of(work)
    makers = {one.id: maker_of_maps(work.store, one).id for one in work.runs}
    return area_and_severity(sample, areas_of(work), quick=work.quick, seed=work.seed, work=work, makers=makers)


def areas_of(work: Work) -> Areas:
    """The masks' areas; where a subset has none, the area above the threshold in the maps of the first run with one.

    A scorer is not judged by its own maps, so those of a second one are read for the first.
    """
    subsets = sorted({name for one in work.runs for name in one.subsets})
    masks = mask_areas(work.store, work.runs[0], subsets)
    by_mask = masks.of
    subset_of = dict(zip(work.dataset.table["image_id"], work.dataset.table["subset"], strict=True))
    sources = {subset_of[image_id]: MASK_AREA for image_id in by_mask}
    of, makers, others = dict(by_mask), {}, {}
    second: set[str] = set()
    for one in work.runs:
        maker = maker_of_maps(work.store, one).id
        for subset in one.subsets:
            work.check_cancel()
            if sources.get(subset) == MASK_AREA or subset in second or makers.get(subset) == maker:
                continue
            areas = _by_maps(work, one, subset)
            if not areas:
                continue
            if subset in makers:
                others |= areas
                second.add(subset)
            else:
                of |= areas
                makers[subset] = maker
                sources[subset] = f"{AREA_ABOVE} in the maps of {one.title}"
    return Areas(of, sources, makers, others, masks.in_words())


def _by_maps(work: Work, run: Run, subset: str) -> dict[str, float]:
    """Areas above the threshold in a run's stored maps; empty where it keeps none, or no threshold is known."""
    try:
        table: Any = reduce_run(work.store, run.id, [subset]).table
    except MadError:
        return {}
    measured = table[np.isfinite(table["area"])]
    return dict(zip(measured["image_id"], measured["area"].astype(float), strict=True))


# -- the numbers ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class AreaMetrics:
    """One scorer on one subset: values (NaN where there is none) and their draws, by the names of the table."""

    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    images: int
    whole: Mapping[str, float]
    left: Left | None


def area_and_severity(
    sample: Sample,
    areas: Areas,
    *,
    quick: bool = False,
    seed: int = 0,
    work: Work | None = None,
    makers: Mapping[str, str] | None = None,
) -> Finding:
    """The finding, from scores, levels and areas.

    Parameters
    ----------
    sample : Sample
        The runs' tables, on the same images.
    areas : Areas
    work : Work, optional
        Who is told how far it is, and says when to stop.
    makers : mapping of run id to run id, optional
        Whose maps a run shows: its own, or those of the detector that it is made of.

    Raises
    ------
    InputError
        As :func:`run`.
    """
    points = points_of(sample, areas)
    if points.empty:
        raise InputError(
            "No subset has an area of the defect for abnormal images of two levels; import masks with the dataset, or "
            "score with maps kept (--maps all) by a scorer that learns from normals."
        )
    confidence = 1 - 0.05 / (2 * len(sample.tables) + 1)
    rows, sides, per_level, unjudged = [], {}, [], []
    for done, (run_id, table) in enumerate(sample.tables.items()):
        judged = areas.judging((makers or {}).get(run_id, run_id), points)
        scored: Any = judged.assign(score=scores_of(judged, table))
        scored = scored[np.isfinite(scored["score"])]
        parts = {}
        for subset, images in scored.groupby("subset"):
            if work is not None:
                work.check_cancel()
            if _enough(images):
                own = seed_of(str(subset), seed)
                parts[str(subset)] = measure(images, _normals(table, str(subset)), draws=sample.draws, seed=own)
                per_level += _per_level(sample.names[run_id], str(subset), images, sample.draws, own)
        if parts:
            row, side = _macro(parts, confidence, _fewest(scored))
            rows.append({"scorer": sample.names[run_id], **row})
            sides[sample.names[run_id]] = side
        elif len(judged) < len(points):
            unjudged.append(sample.names[run_id])
        if work is not None:
            work.progress(done + 1, len(sample.tables))
    if not rows:
        raise InputError(_nobody(unjudged))
    scorers = pd.DataFrame(rows)
    alone = _alone(points, sample.draws, seed, confidence)
    facts = {
        **sample.facts(),
        "seed": seed,
        "area": dict(areas.sources),
        "not_judged": unjudged,
        "abnormal_images_with_area": len(points),
        "area_alone": alone,
        "confidence": confidence,
    }
    start = f"On a sample of {sample.in_words()}: " if quick else ""
    return Finding(
        "area",
        "Severity and area",
        start + " ".join(findings_in_words(rows, sides, alone)),
        " ".join([CAVEAT, *filter(None, [areas.masks]), *_by_maps_in_words(areas, unjudged)]),
        {"scorers": scorers, "per_level": pd.DataFrame(per_level), "points": points, "levels": levels_table(points)},
        facts,
        strips(points, sample, areas, makers),
    )


def points_of(sample: Sample, areas: Areas) -> pd.DataFrame:
    """Abnormal images with an area, of the subsets that have enough of them.

    Returns
    -------
    DataFrame
        ``image_id``, ``subset``, ``level``, ``group``, ``area`` (share of the image), ``area_level`` (levels of the
        same sizes that follow the area alone), and ``misleads``: percentile of the area less that of the severity, -1
        to 1.
    """
    names = ["image_id", "subset", "level", "group"]
    everything: Any = pd.concat([table.reindex(columns=names) for table in sample.tables.values()])
    points: Any = everything.drop_duplicates("image_id", ignore_index=True)
    points = points.assign(area=points["image_id"].map(dict(areas.of)).astype("float64"))
    points = points[(points["level"] > 0) & np.isfinite(points["area"])]
    return _with_levels(points).reindex(columns=[*names, "area", "area_level", "misleads"])


def scores_of(points: Any, table: Any) -> Any:
    """The scores of a run for the images of the points; NaN where it has none."""
    return points["image_id"].map(dict(zip(table["image_id"], table["score"], strict=True))).astype("float64")


def _with_levels(points: Any) -> Any:
    """Area levels anew, of the subsets that have enough images."""
    kept = [_with_area_levels(rows) for _, rows in points.groupby("subset") if _enough(rows)]
    return pd.concat(kept, ignore_index=True) if kept else points.iloc[:0]


def _with_area_levels(rows: Any) -> Any:
    if len(rows) > MOST:  # evenly over the order of the table, which is by level
        rows = rows.iloc[np.linspace(0, len(rows) - 1, MOST).round().astype(int)]
    level, area = rows["level"].to_numpy(), rows["area"].to_numpy()
    apart = (rankdata(area) - rankdata(level)) / len(rows)
    return rows.assign(area_level=levels_by_area(level, area), misleads=apart)


def _enough(rows: Any) -> bool:
    return len(rows) >= FEWEST and all(np.ptp(rows[name].to_numpy()) > 0 for name in ("level", "area"))


def _normals(table: Any, subset: str) -> np.ndarray:
    return table.loc[(table["subset"] == subset) & (table["level"] == 0), "score"].to_numpy(dtype=np.float64)


def measure(images: pd.DataFrame, normals: np.ndarray, *, draws: int, seed: int) -> AreaMetrics:
    """One scorer on the abnormal images of one subset.

    Parameters
    ----------
    images : DataFrame
        ``level``, ``area``, ``area_level`` and ``score``, all finite; ``group`` where known.
    normals : ndarray of shape (m,)
        Scores of normal images, for the C-index over all images.
    """
    level, area, by_area, score = (
        images[name].to_numpy(np.float64) for name in ("level", "area", "area_level", "score")
    )
    told: dict[str, Any] = {"draws": draws, "seed": seed, "groups": groups_of(images)}
    risk, risk_draws = bootstrap_c_index(level, score, level, **told)
    size, size_draws = bootstrap_c_index(level, score, by_area, **told)
    plain, drawn = taus(level, score, area), bootstrap_taus(level, score, area, **told)
    values = {"c_risk": _number(risk), "c_area": _number(size), **{k: float(v[0]) for k, v in _of(plain).items()}}
    values["difference"] = values["c_risk"] - values["c_area"]
    left = left_at_fixed(level, score, area, groups_of(images))
    lists = {"c_risk": risk_draws, "c_area": size_draws, "difference": risk_draws - size_draws, **_of(drawn)}
    whole = {name: _whole(at, score, normals) for name, at in (("c_risk_whole", level), ("c_area_whole", by_area))}
    return AreaMetrics(values, lists, len(images), whole, left)


def _of(taus: Taus) -> dict[str, np.ndarray]:
    return {"tau": taus.score_level, "within": taus.within_levels}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _whole(levels: np.ndarray, scores: np.ndarray, normals: np.ndarray) -> float:
    """C-index with the normals as level 0; levels are numbered first, so that half levels stay apart."""
    ranks = np.unique(levels, return_inverse=True)[1] + 1
    at = np.concatenate([np.zeros(len(normals)), ranks])
    return _number(c_index(count_pairs(at, np.concatenate([normals, scores]))))


def _fewest(images: Any) -> int:
    """Images, or groups of them, of the smallest level of a subset."""
    levels = ((rows["level"].to_numpy(np.float64), groups_of(rows)) for _, rows in images.groupby("subset"))
    return min(fewest_units(at, together) for at, together in levels)


def _macro(parts: Mapping[str, AreaMetrics], confidence: float, fewest: int) -> tuple[dict[str, Any], dict[str, int]]:
    """The means over the subsets, each with its interval of this confidence.

    Also on which side of 0 what is claimed lies: 1, -1 or 0 where its interval does not tell.
    """
    row: dict[str, Any] = {"subsets": len(parts), "images": sum(part.images for part in parts.values())}
    wide = expanded(confidence, fewest)
    for name in ("c_risk", "c_area", "difference", "tau", "within"):
        finite = [part for part in parts.values() if np.isfinite(part.values[name])]
        value = float(np.mean([part.values[name] for part in finite])) if finite else float("nan")
        drawn = np.mean([part.draws[name] for part in finite], axis=0) if finite else np.empty(0)
        row |= _columns(name, value, percentile_interval(drawn, wide))
    row |= _left([part.left for part in parts.values() if part.left is not None], confidence)
    clear = row["tau_low"] is not None and row["tau_low"] > 0
    row |= _columns("explained", 1 - row["partial"] / row["tau"] if clear else float("nan"), None)
    for name in ("c_risk_whole", "c_area_whole"):
        row[name] = float(np.mean([part.whole[name] for part in parts.values()]))
    return row, {name: _side(row, name) for name in ("partial", "difference")}


def _columns(name: str, value: float, ends: Sequence[float] | None) -> dict[str, float | None]:
    low, high = ends or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _side(row: Mapping[str, Any], name: str) -> int:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return 0 if low is None else int(low > 0) - int(high < 0)


def _left(parts: Sequence[Left], confidence: float) -> dict[str, float | None]:
    """The mean of what is left at a fixed area over the subsets that tell."""
    if not parts:
        return _columns("partial", float("nan"), None)
    value = float(np.mean([part.value for part in parts]))
    each = np.array([part.error**2 for part in parts]) / len(parts) ** 2
    freedom = each.sum() ** 2 / (each**2 / [part.freedom for part in parts]).sum() if each.sum() else 1.0
    reach = float(student_quantile((1 + confidence) / 2, max(round(freedom), 1)) * each.sum() ** 0.5)
    return _columns("partial", value, (max(value - reach, -1.0), min(value + reach, 1.0)))


def _per_level(scorer: str, subset: str, images: Any, draws: int, seed: int) -> list[dict[str, Any]]:
    """Rank correlation of score and area among the images of each level."""
    correlations = []
    for level, rows in images.groupby("level"):
        score, area = rows["score"].to_numpy(np.float64), rows["area"].to_numpy(np.float64)
        value = rank_correlation(score, area) if len(rows) >= FEWEST else None
        if value is not None:
            strata = np.zeros(len(rows))
            drawn = bootstrap_rank_correlation(strata, score, area, draws=draws, seed=seed, groups=groups_of(rows))
            low, high = percentile_interval(drawn[np.isfinite(drawn)]) or (None, None)
            row = {"scorer": scorer, "subset": subset, "level": float(level), "images": len(rows)}
            correlations.append(row | {"correlation": value, "low": low, "high": high})
    return correlations


def _alone(points: Any, draws: int, seed: int, confidence: float) -> dict[str, Any]:
    """How well the area alone orders severity: as if it were a scorer."""
    parts = []
    for subset, rows in points.groupby("subset"):
        level, area = rows["level"].to_numpy(np.float64), rows["area"].to_numpy(np.float64)
        told: dict[str, Any] = {"draws": draws, "seed": seed_of(str(subset), seed), "groups": groups_of(rows)}
        parts.append(bootstrap_c_index(level, area, level, **told))
    values = [value for value, _ in parts if value is not None]
    wide = expanded(confidence, _fewest(points))
    interval = percentile_interval(np.mean([drawn for _, drawn in parts], axis=0), wide) if values else None
    return {"c_index": float(np.mean(values)) if values else None, "interval": interval, "subsets": len(values)}


def levels_table(points: Any) -> pd.DataFrame:
    """How many images of each level by risk stand in each level by area, a row for each subset and pair of levels."""
    counts: Any = points.groupby(["subset", "level", "area_level"]).size()
    return counts.rename("images").reset_index()


# -- images ---------------------------------------------------------------------------------------


def strips(
    points: Any, sample: Sample, areas: Areas, makers: Mapping[str, str] | None = None
) -> dict[str, Sequence[str]]:
    """The images where area misleads most, and for each scorer those where it went astray with the area."""
    by_area = points.sort_values("misleads", kind="stable")
    small, large = by_area[by_area["misleads"] < 0], by_area[by_area["misleads"] > 0].iloc[::-1]
    groups: dict[str, Sequence[str]] = {
        "Small but severe": small["image_id"].head(STRIP).tolist(),
        "Large but mild": large["image_id"].head(STRIP).tolist(),
    }
    for run_id, table in sample.tables.items():
        judged = areas.judging((makers or {}).get(run_id, run_id), points)
        wrong = misled(judged.assign(score=scores_of(judged, table)))
        groups[f"Misled with the area: {sample.names[run_id]}"] = wrong
    return {name: ids for name, ids in groups.items() if ids}


def misled(points: Any) -> list[str]:
    """Images whose score errs to the side to which the area errs, first those where both err most.

    Errors are percentiles within the subset less the percentile of the severity; of the two the smaller one counts.
    """
    parts = []
    for _, rows in points[np.isfinite(points["score"])].groupby("subset"):
        severity, size, score = (rankdata(rows[name]) / len(rows) for name in ("level", "area", "score"))
        by_area, by_score = size - severity, score - severity
        shared = np.where(by_area * by_score > 0, np.minimum(np.abs(by_area), np.abs(by_score)), 0.0)
        parts.append(rows.assign(shared=shared))
    if not parts:
        return []
    everything: Any = pd.concat(parts).sort_values("shared", ascending=False, kind="stable")
    return everything.loc[everything["shared"] > 0, "image_id"].head(STRIP).tolist()


# -- in words -------------------------------------------------------------------------------------


def findings_in_words(
    rows: Sequence[Mapping[str, Any]], sides: Mapping[str, Mapping[str, int]], alone: Mapping[str, Any]
) -> list[str]:
    """The finding in sentences, from the intervals of the rows alone.

    Parameters
    ----------
    sides : mapping of scorer to the side of 0 on which ``partial`` and ``difference`` lie
        1, -1, or 0 where it is not clear.
    """
    sentences = [_area_in_words(alone)]
    left = _by_side(sides, "partial")
    if left["above"]:
        sentences.append(
            f"At fixed area {listed(left['above'])} still {_follow(left['above'])} severity"
            f"{_range(rows, left['above'])}."
        )
    if left["below"]:
        sentences.append(f"At fixed area {listed(left['below'])} {_run(left['below'])} against severity.")
    if left["unclear"]:
        sentences.append(
            f"At fixed area there is no clear difference from an order at random for {listed(left['unclear'])}"
            f"{_range(rows, left['unclear'])}."
        )
    closer = _by_side(sides, "difference")
    if closer["above"]:
        sentences.append(f"{_cap(listed(closer['above']))} {_follow(closer['above'])} severity more closely than area.")
    if closer["below"]:
        sentences.append(f"{_cap(listed(closer['below']))} {_follow(closer['below'])} area more closely than severity.")
    if closer["unclear"]:
        names = listed(closer["unclear"])
        sentences.append(f"Between following severity and following area there is no clear difference for {names}.")
    return sentences


def _by_maps_in_words(areas: Areas, unjudged: Sequence[str]) -> list[str]:
    """What it means that maps stand for masks, where they do."""
    if not areas.makers:
        return []
    where = sorted(areas.makers)
    maps = "; ".join(dict.fromkeys(areas.sources[subset] for subset in where))
    sentences = [
        f"There are no masks of {', '.join(where)}: area is {maps}, so it is what a scorer takes for the defect, "
        "not the defect; scorers that see alike agree with it for that alone."
    ]
    if unjudged:
        sentences.append(f"{_cap(listed(unjudged))} made these maps and cannot be judged by them.")
    return sentences


def _nobody(unjudged: Sequence[str]) -> str:
    if unjudged:
        return (
            f"There are no masks, and the area in the maps of {listed(unjudged)} says nothing about the scorer itself; "
            "import masks with the dataset, or choose a run of another scorer with maps kept (--maps all)."
        )
    return "No run has scores of abnormal images of two levels whose area is known; finish a run first."


def _area_in_words(alone: Mapping[str, Any]) -> str:
    value, interval = alone["c_index"], alone["interval"]
    if value is None or interval is None:
        return "What area alone does for the order of severity cannot be told from so few images."
    low, high = interval
    number = f"C-index {value:.2f}, {low:.2f} to {high:.2f}"
    if low > 0.5:
        return f"Area alone orders severity better than chance ({number})."
    if high < 0.5:
        return f"Area alone orders severity backwards ({number}): the smaller defects are the worse ones."
    return f"Between area alone and an order of severity at random there is no clear difference ({number})."


def _by_side(sides: Mapping[str, Mapping[str, int]], name: str) -> dict[str, list[str]]:
    words = {1: "above", -1: "below", 0: "unclear"}
    scorers: dict[str, list[str]] = {word: [] for word in words.values()}
    for scorer, of in sides.items():
        scorers[words[of[name]]].append(scorer)
    return scorers


def _range(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """What is left at a fixed area for each of these scorers, with the interval that decides."""
    finite = [row for row in rows if row["scorer"] in names and np.isfinite(row["partial"])]
    ranges = [
        f"{row['partial']:.2f}"
        + ("" if row["partial_low"] is None else f", {row['partial_low']:.2f} to {row['partial_high']:.2f}")
        for row in finite
    ]
    return f" (rank correlation left {'; '.join(ranges)})" if ranges else ""


def _follow(names: Sequence[str]) -> str:
    return "follows" if len(names) == 1 else "follow"


def _run(names: Sequence[str]) -> str:
    return "runs" if len(names) == 1 else "run"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
