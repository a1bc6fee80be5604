"""Orders of the audit queue, and what random reviews say of the share of wrong labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.audit.label_queue import label_queue
from mad_core.audit.queue import ORDERS, error_rate, ordered, reviews_needed
from mad_core.audit.useful import spread
from mad_core.errors import InputError
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.store.tags import AUDIT
from mad_core.scorers.contract import Scored


def made(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    disagreement = rng.random(n)
    disagreement[::7] = np.nan
    return pd.DataFrame(
        {
            "image_id": [f"i{number:03d}" for number in range(n)],
            "level": rng.integers(0, 5, n).astype(float),
            "suspicion": rng.random(n).round(1),
            "disagreement": disagreement,
        }
    )


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_names_every_image_once_whatever_the_table_s_order(order) -> None:
    table, reviewed = made(), ["i003", "i050"]
    found = ordered(table, order, reviewed=reviewed)
    assert sorted(found) == sorted(table["image_id"])
    assert ordered(table.sample(frac=1, random_state=1), order, reviewed=reviewed) == found
    assert ordered(table[:0], order) == []


def test_orders_sort_by_what_they_say() -> None:
    table = made().set_index("image_id")
    flat = table.reset_index()
    assert (np.diff(table.loc[ordered(flat), "suspicion"]) <= 0).all()
    by_level = table.loc[ordered(flat, "level")]
    assert (np.diff(by_level["level"]) >= 0).all()
    assert all((np.diff(rows["suspicion"]) <= 0).all() for _, rows in by_level.groupby("level"))
    scorers = table.loc[ordered(flat, "disagreement"), "disagreement"].to_numpy()
    known = np.isfinite(scorers)
    assert (np.diff(scorers[known]) <= 0).all() and not known[known.sum() :].any()
    done = {f"i{number:03d}" for number in range(50)}
    fresh = ordered(flat, "unreviewed", reviewed=done)
    assert set(fresh[150:]) == done and (np.diff(table.loc[fresh[:150], "suspicion"]) <= 0).all()


def test_what_teaches_most_or_was_sent_comes_ahead_and_the_worst_first() -> None:
    table = made().assign(rank=np.random.default_rng(4).random(200))
    table.loc[::9, "rank"] = np.nan
    ranks = table.set_index("image_id")["rank"]
    worst = ranks[ordered(table, "worst")].to_numpy()
    known = np.isfinite(worst)
    assert (np.diff(worst[known]) <= 0).all() and not known[known.sum() :].any()
    ahead = ["i040", "i007", "i123"]
    learning = ordered(table, "learning", ahead=ahead)
    assert learning[:3] == ahead and learning[3:] == [i for i in ordered(table, "random") if i not in ahead]
    sent = ordered(table, "sent", ahead=ahead)
    assert sent[:3] == sorted(ahead, key=lambda image: -np.nan_to_num(ranks[image], nan=-1.0))
    assert sent[3:] == [i for i in ordered(table, "worst") if i not in ahead]


@given(st.integers(0, 70))
def test_spread_places_cover_all_of_them_early(count: int) -> None:
    places = spread(count)
    assert sorted(places) == list(range(count))
    if count > 4:
        assert places[:3] == [0, count - 1, round((count - 1) / 2)]
        assert np.diff(sorted(places[:9])).max() <= max(1, -(-count // 4))


def test_the_queue_learns_most_from_images_spread_over_the_scores(store: Store, dataset_id: str) -> None:
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    for subset in run.subsets:
        rows = store.dataset(dataset_id).select(split="test", subset=subset)["image_id"]
        store.add_scores(run.id, subset, [(Scored(image, float(place)), None) for place, image in enumerate(rows)])
    store.update_run(run.id, status="done")
    queue = label_queue(store, dataset_id, order="learning")
    for subset in run.subsets:
        scores = queue[queue["subset"] == subset]["rank"].tolist()
        assert scores[0] == max(scores) and scores[1] == min(scores)
    first = queue["image_id"].iloc[5]
    store.tags.add(dataset_id, [first], AUDIT)
    assert label_queue(store, dataset_id, order="sent")["image_id"].iloc[0] == first


def test_random_is_seeded_uniform_and_steady_under_additions() -> None:
    table = made()
    assert ordered(table, "random", seed=1) == ordered(table, "random", seed=1) != ordered(table, "random", seed=2)
    fewer = set(table["image_id"][:150])
    assert [i for i in ordered(table, "random") if i in fewer] == ordered(table[:150], "random")
    firsts = np.array([int(image[1:]) for seed in range(400) for image in ordered(table, "random", seed=seed)[:20]])
    counts = np.histogram(firsts, bins=10, range=(0, 200))[0]
    assert ((counts - 800) ** 2 / 800).sum() < 27.9  # chi-squared of 9, 0.1 %


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="no order of the queue"):
        ordered(made(), "best")  # pyright: ignore[reportArgumentType]


def test_wilson_s_interval_of_a_published_example() -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for wrong, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = error_rate(wrong, n, 10**9)
        assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
        assert found.rate == wrong / n


@given(st.integers(1, 300), st.data())
def test_an_interval_holds_the_estimate_and_what_is_possible(population: int, data) -> None:
    reviews = data.draw(st.integers(1, population))
    wrong = data.draw(st.integers(0, reviews))
    found = error_rate(wrong, reviews, population)
    assert 0 <= found.low <= found.rate <= found.high <= 1
    assert found.low * population >= wrong - 1e-9 and (1 - found.high) * population >= reviews - wrong - 1e-9
    if reviews == population:
        assert found.low == pytest.approx(found.rate) == pytest.approx(found.high)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Coverage swings about 95 % with the numbers, since counts are whole."""
    rng = np.random.default_rng(0)
    covered = []
    for population, wrong, reviews in ((400, 20, 120), (400, 80, 60), (390, 20, 250), (1000, 60, 90), (5000, 250, 300)):
        drawn = rng.hypergeometric(wrong, population - wrong, reviews, 4000)
        found = {w: error_rate(w, reviews, population) for w in set(drawn.tolist())}
        covered.append(np.mean([found[w].low <= wrong / population <= found[w].high for w in drawn.tolist()]))
    assert min(covered) > 0.91
    assert 0.935 < np.mean(covered) < 0.975


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0.01, 0.3), st.integers(1, 400))
def test_reviews_needed_is_the_least_number_by_trying_all(rate: float, half: float, population: int) -> None:
    from mad_core.audit.queue import _wilson

    def wide(n: int) -> float:
        low, high = _wilson(rate, n, population, 0.95)
        return (high - low) / 2

    least = next(n for n in range(1, population + 1) if wide(n) <= half)
    assert reviews_needed(rate, half, population) == least


def test_reviews_needed_in_numbers_people_know() -> None:
    assert reviews_needed(0.5, 0.05, 10**9) in range(380, 386)  # the textbook's 385, less Wilson's centre
    assert reviews_needed(0.5, 0.05, 400) in range(193, 198)  # 196 with finite-population correction
    assert reviews_needed(0.05, 0.02, 390) < reviews_needed(0.05, 0.02, 4000) < reviews_needed(0.05, 0.01, 4000)
    assert reviews_needed(0.05, 0.02, 1) == 1


@pytest.mark.parametrize("arguments", [(-0.1, 0.1, 9), (0.1, 0, 9), (0.1, 0.1, 0), (np.nan, 0.1, 9)])
def test_nonsense_is_refused(arguments) -> None:
    with pytest.raises(InputError):
        reviews_needed(*arguments)
    for wrong, reviews, population in ((2, 1, 5), (0, 0, 5), (1, 6, 5), (-1, 2, 5)):
        with pytest.raises(InputError):
            error_rate(wrong, reviews, population)
