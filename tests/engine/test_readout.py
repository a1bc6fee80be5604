"""Answers in every dress, the trie of all scores, and what a server's top tokens say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.scorers.multimodal.prompts import answer
from mad_core.scorers.multimodal.readout import (
    CUT_OFF,
    NODES,
    OUT_OF_RANGE,
    REFUSED,
    UNPARSED,
    ScoreTrie,
    expected_from_nodes,
    expected_from_top_logprobs,
    expected_score,
    or_normal,
    read_answer,
)

READ = [
    ("Anomaly Score: 72\nReason: A deep crack.", 72, "A deep crack."),
    ("**Anomaly Score:** 72\n**Reason:** A deep crack.", 72, "A deep crack."),
    ("**Anomaly Score: 72**\n\n**Reason**: A deep crack.", 72, "A deep crack."),
    ("Anomaly Score: [72]\nReason: A deep crack.", 72, "A deep crack."),
    ("Anomaly Score: **[72]**", 72, ""),
    ("anomaly score = 72", 72, ""),
    ("ANOMALY SCORE: 72.5\nREASON: x", 72.5, "x"),
    ("Anomaly Score: 72,5\nReason: x", 72.5, "x"),
    ("Anomaly Score: 72/100\nReason: x", 72, "x"),
    ("Anomaly Score: 72 / 100", 72, ""),
    ("Anomaly Score: 72 out of 100. Reason: x", 72, "x"),
    ("Anomaly Score: 72%", 72, ""),
    ("Anomaly Score - 72", 72, ""),
    ("## Anomaly Score\n72\n## Reason:\nA deep crack.", 72, "A deep crack."),
    ("- Anomaly score: `72`\n- Reason: x", 72, "x"),
    ("1. Anomaly Score: 72\n2. Reason: x", 72, "x"),
    ("| Anomaly Score | 72 |", 72, ""),
    ("Anomaly_Score: 72", 72, ""),
    ("Reason: A deep crack.\nAnomaly Score: 72", 72, "A deep crack."),
    ("Reason: one. Two.\n\n**Anomaly Score:** 0", 0, "one. Two."),
    ("The anomaly score is 72 because of the crack.", 72, ""),
    ("Score: 72\nReason: x", 72, "x"),
    ("Severity score: 72", 72, ""),
    ("72", 72, ""),
    ("[72]\nReason: x", 72, "x"),
    ("  72/100\nIt has a crack.", 72, "It has a crack."),
    ("Anomaly Score: 100", 100, ""),
    ("Anomaly Score: 0.0", 0, ""),
    ("Anomaly Score: 072", 72, ""),
    ("<think>Maybe the Anomaly Score: 30.</think>\nAnomaly Score: 72\nReason: x", 72, "x"),
    ("Anomaly Score: 30 at first</think>Anomaly Score: 72", 72, ""),
    ("<thinking>a</thinking><think>b</think>Anomaly Score: 72", 72, ""),
    ("<|channel>thought\nAnomaly Score: 30?<channel|>Anomaly Score: 72\nReason: x", 72, "x"),
    ("[THINK]Anomaly Score: 30?[/THINK]Anomaly Score: 72", 72, ""),
    ("◁think▷Anomaly Score: 30?◁/think▷Anomaly Score: 72", 72, ""),
    ("Anomaly Score: ٧٢\nReason: x", 72, "x"),
    ("Anomaly Score：７２\nReason：x", 72, "x"),
    ("Anomaly Score: ७२", 72, ""),
    ("Anomaly Score: ٧٢٫٥", 72.5, ""),
    ('{"anomaly_score": 72, "reason": "A deep crack."}', 72, "A deep crack."),
    ('```json\n{"Anomaly Score": "72/100", "Reason": "x"}\n```', 72, "x"),
    ('{"result": {"score": 72.5}}', 72.5, ""),
    ("Answer as Anomaly Score: [0-100].\nAnomaly Score: 72", 72, ""),
    ("Anomaly Score: 72\nReason: x\n\nFinal Anomaly Score: 72", 72, "x"),
    ("Initial anomaly score: 40.\nFinal Anomaly Score: 72", 72, ""),
    ("Anomaly Score: 72\nReason: an anomaly score of 30 would be too low.", 72, None),
]

NOT_READ = [
    ("", UNPARSED),
    ("The part has a crack.", UNPARSED),
    ("Anomaly Score: 70-80", UNPARSED),
    ("Anomaly Score: 70 – 80\nReason: x", UNPARSED),
    ("Anomaly Score: 70 to 80", UNPARSED),
    ("Anomaly Score: [70, 80]", UNPARSED),
    ("Anomaly Score: [0-100]", UNPARSED),
    ("Anomaly Score: 7/10", UNPARSED),
    ("Anomaly Score: 7 out of 10", UNPARSED),
    ("Anomaly Score: 72\nAnomaly Score: 30", UNPARSED),
    ("The anomaly score is 72, no, the anomaly score is 30.", UNPARSED),
    ("Anomaly Score: high", UNPARSED),
    ("Anomaly Score: 72a", UNPARSED),
    ("Anomaly Score: 1.2.3", UNPARSED),
    ("Anomaly Score: seventy-two", UNPARSED),
    ('{"anomaly_score": null}', UNPARSED),
    ('{"anomaly_score": true}', UNPARSED),
    ("It is 3 mm long and 72 px wide.", UNPARSED),
    ("Anomaly Score: 101", OUT_OF_RANGE),
    ("Anomaly Score: -5", OUT_OF_RANGE),
    ("Anomaly Score: −5", OUT_OF_RANGE),
    ("Anomaly Score: 1,000", OUT_OF_RANGE),
    ('{"score": 250}', OUT_OF_RANGE),
    ("Anomaly Score: " + "9" * 400, OUT_OF_RANGE),
    ("I'm sorry, but I can't assist with that.", REFUSED),
    ("I cannot judge medical images.", REFUSED),
    ("As an AI, I do not diagnose.", REFUSED),
    ("<think>The Anomaly Score: 30 seems", CUT_OFF),
    ("Anomaly Score:", CUT_OFF),
    ("**Anomaly Score:** [", CUT_OFF),
    ("The anomaly score is", CUT_OFF),
]


@pytest.mark.parametrize(("text", "score", "reason"), READ)
def test_a_score_is_read_in_any_dress(text, score, reason):
    written = read_answer(text)
    assert (written.score, written.problem) == (score, None)
    assert reason is None or written.reason == reason


@pytest.mark.parametrize(("text", "problem"), NOT_READ)
def test_what_is_no_score_is_a_named_problem_and_never_a_number(text, problem):
    written = read_answer(text)
    assert (written.score, written.problem) == (None, problem)


def test_how_an_answer_ended_counts():
    assert read_answer("Anomaly Score: 7", "length").problem == CUT_OFF
    assert read_answer("Anomaly Score: 72\nReason: a long", "length").score == 72
    assert read_answer("Let me look at", "length").problem == CUT_OFF
    assert read_answer("Anomaly Score: 72", "content_filter").problem == REFUSED


@given(st.integers(0, 100), st.text(st.characters(codec="ascii", categories=["L", "Zs"]), max_size=80))
def test_the_answer_that_is_asked_for_comes_back(score, reason):
    written = read_answer(answer(score, f"x{reason}x"))
    assert written.score == score and written.reason.split() == f"x{reason}x".split()


@given(
    st.floats(0, 100).map(lambda value: round(value, 2)),
    st.sampled_from(["", "**", "`", '"']),
    st.sampled_from(["", "/100", "%", " out of 100"]),
    st.sampled_from(["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９"]),
    st.sampled_from(["Anomaly Score", "anomaly score", "ANOMALY SCORE", "Anomaly-Score"]),
)
def test_digits_dress_and_scale_do_not_change_the_number(value, dress, scale, digits, label):
    number = "".join(digits[int(c)] if c.isdigit() else c for c in f"{value:.2f}")
    assert read_answer(f"{label}: {dress}{number}{dress}{scale}\nReason: x").score == value


@given(st.text(max_size=300))
def test_any_text_gives_a_score_in_range_or_a_problem(text):
    for finish in ("stop", "length"):
        written = read_answer(text, finish)
        assert (written.score is None) == (written.problem is not None)
        assert written.score is None or 0 <= written.score <= 100


# -- the expectation ----------------------------------------------------------------------------


def test_expectation_of_a_point_and_of_two():
    logs = np.full(101, -np.inf)
    logs[30] = math.log(0.5)
    one = expected_score(logs)
    assert (one.mean, one.spread, one.mass) == (30, 0, pytest.approx(0.5))
    logs[50] = math.log(0.25)
    two = expected_score(logs)
    assert two.mean == pytest.approx(30 * 2 / 3 + 50 / 3) and two.mass == pytest.approx(0.75)
    assert two.spread == pytest.approx(math.sqrt(2 / 3 * 1 / 3) * 20)
    assert two.distribution.sum() == pytest.approx(1)


def test_expectation_survives_tiny_probabilities_and_refuses_none():
    logs = np.full(101, -5000.0)
    assert expected_score(logs).mean == pytest.approx(50)
    for bad in (np.full(101, -np.inf), np.full(101, np.nan), np.zeros(100)):
        with pytest.raises(ValueError):
            expected_score(bad)


def digits_of(number: int) -> list[int]:
    return [int(c) for c in str(number)]


def whole(number: int) -> list[int]:
    return [1000 + number]


@pytest.mark.parametrize("tokens", [digits_of, whole, lambda n: [5, *whole(n)]])
def test_trie_gives_what_each_number_gives_alone(tokens):
    completions = [tokens(n) for n in range(101)]
    rng = np.random.default_rng(0)
    chance: dict[tuple[tuple[int, ...], int | None], float] = {}

    def log_p(prefix: tuple[int, ...], token: int | None) -> float:
        """Of a token, or of the number's end (None), behind ``prefix``."""
        return chance.setdefault((prefix, token), float(rng.normal()))

    trie = ScoreTrie(completions)
    paths: list[tuple[int, ...]] = []
    for token, parent in zip(trie.tokens, trie.parents, strict=True):
        paths.append((*(paths[parent] if parent >= 0 else ()), int(token)))
    edges = [log_p(paths[n] if n >= 0 else (), int(t)) for n, t in zip(trie.edge_nodes, trie.edge_tokens, strict=True)]
    ends = [log_p(path, None) for path in paths]
    alone = [sum(log_p(tuple(c[:k]), c[k]) for k in range(len(c))) for c in completions]
    alone = [p + (log_p(tuple(c), None) if tuple(c) in paths else 0) for p, c in zip(alone, completions, strict=True)]
    np.testing.assert_allclose(trie.log_probabilities(np.array(edges), np.array(ends)), alone)
    assert [len(p) for p in paths] == list(trie.depths)
    sees = trie.ancestry()
    for a, b in itertools.product(range(len(paths)), repeat=2):
        assert sees[a, b] == (paths[a][: len(paths[b])] == paths[b])


def test_trie_takes_eleven_nodes_where_a_token_is_a_digit_and_none_where_it_is_a_number():
    assert sorted(ScoreTrie([digits_of(n) for n in range(101)]).tokens.tolist()) == sorted([*range(10), 0])
    assert len(ScoreTrie([whole(n) for n in range(101)]).tokens) == 0


def test_a_number_of_one_digit_counts_only_where_no_further_digit_comes():
    trie = ScoreTrie([digits_of(n) for n in range(101)])
    edges = np.log([0.1] * len(trie.edge_tokens))  # every digit is as likely as every other, everywhere
    nothing = np.full(11, -np.inf)
    logs = trie.log_probabilities(edges, nothing)
    assert np.isneginf(logs[:11]).all() and np.exp(logs[11:]).sum() == pytest.approx(89 * 0.01 + 0.001)


def test_trie_refuses_what_are_not_the_scores():
    for wrong in ([[1]] * 101, [[1]], [[], *(digits_of(n) for n in range(1, 101))]):
        with pytest.raises(ValueError):
            ScoreTrie(wrong)


# -- top tokens of a server ---------------------------------------------------------------------


def entry(token: str, **top: float) -> dict:
    tops = [{"token": t.replace("_", " "), "logprob": math.log(p)} for t, p in top.items()]
    return {"token": token, "logprob": 0.0, "top_logprobs": tops}


HEAD = [entry("An", An=1.0), entry("omaly", omaly=1.0), entry(" Score", _Score=1.0), entry(":", **{":": 1.0})]


def test_one_token_scores_are_exact():
    content = [*HEAD, entry(" ", _=1.0), entry("72", **{"72": 0.5, "80": 0.3, "5": 0.1}), entry("\n", **{"\n": 1.0})]
    found = expected_from_top_logprobs(content)
    assert found is not None and found.mass == pytest.approx(0.9)
    assert found.mean == pytest.approx((72 * 0.5 + 80 * 0.3 + 5 * 0.1) / 0.9)


def test_digits_are_followed_along_the_written_number():
    content = [
        *HEAD,
        entry(" ", _=1.0),
        entry("7", **{"7": 0.8, "3": 0.2}),
        entry("2", **{"2": 0.5, "5": 0.25, "\n": 0.25}),
        entry("\n", **{"\n": 1.0}),
    ]
    found = expected_from_top_logprobs(content)
    assert found is not None and found.mass == pytest.approx(1)
    assert found.distribution[72] == pytest.approx(0.4) and found.distribution[75] == pytest.approx(0.2)
    assert found.distribution[7] == pytest.approx(0.2) and found.distribution[3] == pytest.approx(0.05)
    np.testing.assert_allclose(found.distribution[30:40], 0.015)


def test_hundred_and_a_blank_within_the_token():
    content = [*HEAD, entry(" 100", _100=0.6, _90=0.4), entry("\n", **{"\n": 1.0})]
    found = expected_from_top_logprobs(content)
    assert found is not None and found.mean == pytest.approx(96)


def test_no_expectation_without_alternatives_or_score():
    assert expected_from_top_logprobs([]) is None
    assert expected_from_top_logprobs([*HEAD, entry("72")]) is None
    assert expected_from_top_logprobs([entry("Sorry", Sorry=1.0)]) is None
    assert expected_from_top_logprobs([*HEAD, entry("70", **{"70": 1.0}), entry("-80", **{"-80": 1.0})]) is None


def named(shares: dict[str, float]) -> list[dict[str, object]]:
    """``logprobs.content`` of one token, with these probabilities."""
    return [{"token": "", "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in shares.items() if p > 0]}]


@pytest.mark.parametrize("seed", range(4))
def test_one_token_at_each_place_gives_the_distribution_itself(seed):
    rng = np.random.default_rng(seed)
    symbols = [*"0123456789", "\n"]
    places = {node: dict(zip(symbols, rng.dirichlet(np.full(11, 0.5)), strict=True)) for node in NODES}
    right = np.zeros(101)
    for number in range(101):
        text = str(number)
        value = float(np.prod([places[text[:k]][digit] for k, digit in enumerate(text)]))
        right[number] = value * (places[text]["\n"] if len(text) == 1 or text == "10" else 1.0)
    found = expected_from_nodes({node: named(shares) for node, shares in places.items()})
    assert found is not None and found.mass == pytest.approx(right.sum())
    np.testing.assert_allclose(found.distribution, right / right.sum(), atol=1e-12)


def test_where_a_token_holds_a_number_its_place_says_it_all():
    found = expected_from_nodes({"": named({" 7": 0.2, "72": 0.4, "100": 0.2, "none": 0.2}), "7": named({"2": 1.0})})
    assert found is not None and found.mass == pytest.approx(0.8)
    assert found.mean == pytest.approx((7 * 0.2 + 72 * 0.4 + 100 * 0.2) / 0.8)
    assert expected_from_nodes({"": named({"none": 1.0})}) is None and expected_from_nodes({"": []}) is None


def test_an_image_that_may_be_normal_scores_by_as_much_less() -> None:
    logs = np.full(101, -np.inf)
    logs[[40, 60]] = np.log([0.5, 0.25])
    expected = expected_score(logs)
    halved = or_normal(expected, 0.5)
    assert halved is not None and halved.mass == expected.mass
    assert halved.mean == pytest.approx(expected.mean / 2) and halved.distribution.sum() == pytest.approx(1)
    assert halved.distribution[0] == pytest.approx(0.5) and halved.distribution[40] == pytest.approx(1 / 3)
    assert or_normal(expected, 1.0) is expected and or_normal(None, 0.2) is None
