"""What a multimodal model answered: the reason, the scores, their distribution, and the raw text.

Text from a model is shown letter by letter, never as Markdown or HTML.
"""

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import MadError
from mad_core.figures import READ_DISTRIBUTION_101, describe_distribution_101, distribution_101
from mad_core.palette import chrome
from mad_core.runs.store import DatasetInfo, Run, StoredScore
from mad_core.runs.store.latest import LatestAnswer
from mad_core.scorers.multimodal.rubrics import find_rubric
from pages.ui import charts, engine, urls
from pages.ui.reading import how_to_read
from pages.ui.text import plain, score_text

FAILURES = {
    "unparsed": "The answer holds no score",
    "refused": "The model refused to answer",
    "out-of-range": "The score lies outside 0 to 100",
    "cut-off": "The answer was cut off",
    "unreadable": "The image cannot be read",
    "changed-file": "The file is not the one that was imported",
    "timeout": "The server did not answer in time",
    "server-error": "The server failed",
    "out-of-memory": "Memory ran out",
    "not-finite": "The score is not a number",
}
_STYLE = """
.mad-answers {{ display: grid; gap: 0.5rem; margin: 0; padding: 0; }}
.mad-answers article {{ display: grid; grid-template-columns: 4.5rem 1fr; gap: 0.75rem; align-items: start; margin: 0;
  padding: 0.5rem; border: 1px solid {line}; border-radius: 0.5rem; }}
.mad-answers img {{ width: 4.5rem; height: 4.5rem; object-fit: cover; border-radius: 0.3rem; display: block; }}
.mad-answers .facts {{ display: flex; flex-wrap: wrap; gap: 0.2rem 0.6rem; align-items: center; color: {muted};
  font-size: 0.85rem; }}
.mad-answers strong {{ color: {ink}; font-size: 1rem; font-variant-numeric: tabular-nums; }}
.mad-answers p {{ margin: 0.3rem 0 0; color: {ink}; overflow-wrap: anywhere; white-space: pre-line; line-height: 1.4; }}
.mad-answers a {{ color: inherit; }}
"""


def failure(status: str, reason: str | None) -> str:
    """Why an image has no score: the scorer's sentence, else the name of the failure in words."""
    return reason or f"{FAILURES.get(status, status)}."


def reason(stored: StoredScore) -> None:
    """Why an image was scored as it was, where the scorer says so."""
    if stored.score is not None and stored.reason:
        st.markdown(plain(stored.reason))


def answer(run: Run, card: SubsetCard, stored: StoredScore, key: str) -> None:
    """The rest of an answer: expected and written score, distribution, raw text; draws what there is."""
    facts = stored.detail
    if facts.get("written") is not None or facts.get("expected") is not None:
        _two_scores(stored)
    if stored.distribution is not None:
        _distribution(run, card, stored, key)
    if raw := facts.get("raw"):
        with st.expander("Raw answer"):
            st.code(str(raw), language=None, wrap_lines=True)
    if run.parameters.get("policy"):
        _policy(run, stored.subset)
    rest = {k: v for k, v in facts.items() if k != "raw"}
    if rest:
        with st.expander("Details of the answer"):
            st.json(rest)


def _policy(run: Run, subset: str) -> None:
    """The severity policy that the model could look up, as the run recorded it."""
    recorded = (entry.facts.get("policy") for entry in engine.store().run_subsets(run.id) if entry.subset == subset)
    levels = next(recorded, None)
    if levels:
        with st.expander("Severity policy that the model was shown"):
            rows = [{"Kind of fault": kind, "Level": level} for kind, level in levels.items()]
            st.dataframe(rows, hide_index=True, width="stretch", alt="Kinds of faults and their levels")


def _two_scores(stored: StoredScore) -> None:
    """The expected score beside the written one, and which of them counts."""
    facts = stored.detail
    counts = facts.get("score_from")
    left, right = st.columns(2)
    for column, name, value, help_text in (
        (left, "expected", facts.get("expected"), "The mean over all scores 0 to 100 by the probability of each."),
        (right, "written", facts.get("written"), "The score that the model wrote by itself."),
    ):
        label = f"{name.capitalize()} score" + (" · counts" if name == counts else "")
        spread = facts.get("spread") if name == "expected" and value is not None else None
        column.metric(
            label,
            "none" if value is None else score_text(float(value)),
            delta=None if spread is None else f"± {float(spread):.2g}",
            delta_color="off",
            delta_arrow="off",
            help=help_text,
        )
    mass = facts.get("mass")
    if mass is not None and float(mass) < 0.5:
        st.caption(f"Only {100 * float(mass):.0f} % of the model's probability lay on whole scores 0 to 100.")


def _distribution(run: Run, card: SubsetCard, stored: StoredScore, key: str) -> None:
    facts: dict[str, Any] = {
        "expected": stored.detail.get("expected", stored.score),
        "written": stored.detail.get("written"),
        "spread": stored.detail.get("spread"),
        "bands": rubric_bands(run, stored.subset, card),
    }
    assert stored.distribution is not None
    figure = distribution_101(stored.distribution, **facts, theme=charts.theme())
    charts.show(figure, describe_distribution_101(stored.distribution, **facts), key)
    how_to_read(READ_DISTRIBUTION_101, "the answer", f"distribution_{key}")


def rubric_bands(run: Run, subset: str, card: SubsetCard) -> Sequence[tuple[int, int, str]]:
    """The bands that a run's rubric named on a subset; none where its wording is no longer to be found."""
    entries = {entry.subset: entry.facts for entry in engine.store().run_subsets(run.id)}
    sent = entries.get(subset, {}).get("rubric_text")
    try:
        rubric = find_rubric(str(run.parameters.get("rubric", "auto")), card, engine.store().settings.may_open)
    except MadError:
        return ()
    if sent is None or rubric.wording(subset, card.product) != sent:
        return ()
    return [(band.low, band.high, band.name) for band in rubric.bands]


def from_result(result: Mapping[str, Any], subset: str) -> StoredScore:
    """The result of an uploaded image, in the form of a stored one."""
    distribution = result.get("distribution")
    return StoredScore(
        "",
        subset,
        result.get("score"),
        str(result.get("status", "")),
        result.get("reason"),
        None if distribution is None else np.asarray(distribution, dtype=np.float64),
        result.get("detail") or {},
        float(result.get("seconds") or 0.0),
        None,
    )


def latest(info: DatasetInfo, answers: Sequence[LatestAnswer], levels: Mapping[str, Collection[float]]) -> None:
    """The newest answers as a list: thumbnail, level, score, reason.

    Parameters
    ----------
    answers : sequence of LatestAnswer
    levels : mapping of subset to its levels
        For the colours of the chips.
    """
    tones = chrome(charts.theme())
    style = _STYLE.format(line=tones.line, muted=tones.muted, ink=tones.ink)
    items = "".join(_item(info, one, levels[one.subset]) for one in answers)
    st.html(f'<style>{style}</style><div class="mad-answers" role="region" aria-label="Latest answers">{items}</div>')


def _item(info: DatasetInfo, one: LatestAnswer, levels: Collection[float]) -> str:
    name = one.path.replace("\\", "/").rpartition("/")[2]
    picture = html.escape(urls.picture(info.id, one.image_id, "thumbnail", one.content_hash))
    chip = charts.level_chip(one.level, levels, info.card.subset(one.subset))
    score = "failed" if one.score is None else score_text(one.score)
    text = failure(one.status, one.reason) if one.score is None else one.reason
    where = html.escape(f"{one.subset} · {name}")
    href = html.escape(urls.image_page(info.id, one.subset, one.image_id))
    return (
        f'<article><img src="{picture}" alt="{html.escape(name)}" loading="lazy"><div><div class="facts">'
        f'<strong>{score}</strong>{chip}<a href="{href}" target="_self">{where}</a></div>'
        f"<p>{html.escape(text)}</p></div></article>"
    )
