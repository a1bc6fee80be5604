"""Separability: either sentence, another dataset beside, features that are kept, and the figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mad_core.datasets.dataset import Card, Dataset, Imported, SubsetCard
from mad_core.errors import CancelledError, InputError
from mad_core.images import content_hash
from mad_core.runs.store import Store
from mad_core.settings import Settings
from mad_core.studies.finding import Finding, finding_from_json
from mad_core.studies.record import StudyRequest, find_study, request_study
from mad_core.studies.separability.run import SubsetFeatures, run, separability
from mad_core.studies.study import Work, figures, study

from .test_cli import Mad, home, mad  # noqa: F401 - fixtures
from .test_separation import made
from .test_study_robustness import pictures


def place(gap: float, seed: int, domain: str = "other", per_level: int = 20) -> SubsetFeatures:
    return SubsetFeatures(*made(gap, seed, per_level), domain)


def found(**places: SubsetFeatures) -> Finding:
    return separability(places, draws=200)


@pytest.mark.parametrize(("a", "b", "said"), [(4, 0, "Levels of b are harder"), (0, 4, "Levels of a are harder")])
def test_the_harder_subset_is_named(a: float, b: float, said: str) -> None:
    one = found(a=place(a, 1), b=place(b, 2))
    assert one.sentence.startswith(said)
    assert "for 1 pairs" not in one.sentence and one.facts["confidence_of_pairs"] == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("medical", "others", "said"),
    [
        (0, 4, "Medical subsets separate less than the others"),
        (4, 0, "Medical subsets separate more than the others"),
        (1, 1, "No clear difference between medical subsets and the others"),
    ],
)
def test_medical_subsets_are_compared_with_the_others(medical: float, others: float, said: str) -> None:
    one = found(
        eye=place(medical, 1, "medical"),
        skin=place(medical, 2, "medical"),
        bolt=place(others, 3, "industrial"),
        dogs=place(others, 4, "novelty"),
        unknown=place(2, 5),
    )
    assert said in one.sentence and "on average, 2 against 2." in one.sentence
    low, high = one.facts["medical_less_others"]["interval"]
    assert np.sign(low) + np.sign(high) == {0: -2, 4: 2, 1: 0}[medical]
    assert one.tables["domains"].set_index("domain")["subsets"].to_dict() == {
        "industrial": 1,
        "medical": 2,
        "novelty": 1,
        "other": 1,
    }


def test_one_kind_of_subset_is_not_compared_with_none() -> None:
    assert "edical" not in found(a=place(1, 1, "medical"), b=place(1, 2)).sentence


def test_no_clear_difference_is_said() -> None:
    """Of two subsets drawn from one distribution hardly any are told apart: 20 pairs, two at most."""
    claims = [
        "No clear difference between"
        not in found(a=place(1, 2 * s, per_level=10), b=place(1, 2 * s + 1, per_level=10)).sentence
        for s in range(20)
    ]
    assert sum(claims) <= 2
    assert "better than chance" in found(a=place(4, 1)).sentence
    assert "No clear difference from chance" in found(a=place(0, 1)).sentence


def test_the_interval_that_decides_is_printed() -> None:
    one = found(a=place(4, 1), b=place(0, 2), c=place(0, 3))
    assert "a 98.3 % interval for 3 pairs of subsets" in one.sentence and "95 % intervals: " in one.sentence


def test_levels_in_perfect_order_are_still_uncertain() -> None:
    row: Any = found(a=place(30, 1)).tables["subsets"].iloc[0]
    assert row["probe_c_index"] == 1 and row["probe_c_index_low"] < 1 == row["probe_c_index_high"]


def test_every_level_and_pair_has_a_row() -> None:
    one = found(a=place(1, 1), few=SubsetFeatures(*made(1, 2, 2)))
    assert one.facts["left_out"] == ["few"] and one.tables["levels"]["level"].tolist() == [0, 1, 2]
    pairs = one.tables["pairs"]
    assert pairs[["level", "other"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 2]]
    assert (pairs["between_within_low"] <= pairs["between_within"]).all() and pairs["images"].tolist() == [40] * 3
    with pytest.raises(InputError, match="nothing to separate"):
        found(few=SubsetFeatures(*made(1, 2, 2)))


def test_the_probe_learns_from_as_many_images_everywhere() -> None:
    alone, beside = found(a=place(1, 1)), found(a=place(1, 1), small=place(1, 2, per_level=5))
    assert (alone.facts["probe_learns_from"], beside.facts["probe_learns_from"]) == (48, 12)
    first, second = (one.tables["subsets"]["probe_c_index"].iloc[0] for one in (alone, beside))
    assert second < first


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figures(theme: Any) -> None:
    one = found(eye=place(1, 1, "medical"), bolt=place(3, 2, "industrial"), other=place(2, 3))
    plots = figures(finding_from_json(one.to_json()), theme)
    whole, distances, outlines = (plot.figure for plot in plots)
    said, pairs, levels = (plot.alt for plot in plots)
    assert list(whole.layout.yaxis.ticktext) == ["eye · medical", "bolt · industrial", "other · other"]
    assert {t.marker.symbol for t in whole.data if t.mode == "markers"} == {"cross", "square", "circle"}
    assert "eye · medical" in said and "chance 0.50" in said
    heat = [trace for trace in distances.data if trace.type == "heatmap"]
    assert [np.shape(trace.z) for trace in heat] == [(2, 2)] * 3 and pairs.count("L0 and L2") == 3
    texts = [note.text for note in distances.layout.annotations]
    assert "<b>" not in "".join(texts) and "in brackets: not clearly apart" in texts
    assert sum(trace.mode == "markers" for trace in outlines.data) == 9 and "(n = 20)" in levels


def work(store: Store, dataset_id: str, **parameters: Any) -> Work:
    return Work(store, dataset_id, store.dataset(dataset_id), [], study("separability").check(parameters))


@pytest.fixture
def two(store: Store, tmp_path: Path) -> tuple[str, str]:
    """The same pictures twice, as medical and as industrial ones of another name."""
    ids = []
    for name, domain in (("squares", "medical"), ("others", "industrial")):
        dataset = pictures(tmp_path / name)
        card = Card(title=name, subsets={"a": SubsetCard(domain)})
        ids.append(store.add_dataset(Imported(replace(dataset, name=name, card=card))))
    return ids[0], ids[1]


def test_end_to_end(store: Store, two: tuple[str, str]) -> None:
    one = run(work(store, two[0]))
    assert one.sentence.startswith(("Features order", "No clear difference from chance"))
    assert len(one.tables["levels"]) == 3 and one.facts["datasets"] == {two[0]: "squares"}
    again = run(replace(work(store, two[0]), seed=1))
    assert again.tables["subsets"]["between_within"].equals(one.tables["subsets"]["between_within"])
    other = run(work(store, two[0], features="filterbank"))
    assert not other.tables["subsets"]["silhouette"].equals(one.tables["subsets"]["silhouette"])


def test_another_dataset_is_compared(store: Store, two: tuple[str, str]) -> None:
    by_name = run(work(store, two[0], against="others", features="filterbank"))
    by_id = run(work(store, two[0], against=two[1], features="filterbank"))
    assert by_name.sentence == by_id.sentence and "No clear difference between medical subsets" in by_id.sentence
    assert by_id.tables["subsets"]["subset"].tolist() == ["squares: a", "others: a"]
    assert by_id.tables["subsets"]["dataset"].tolist() == ["squares", "others"]
    with pytest.raises(InputError, match="No other imported dataset is called 'squares'; others here: others"):
        run(work(store, two[0], against="squares"))


def test_features_are_kept_and_a_stopped_study_goes_on(
    store: Store, two: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mad_core.studies.separability import features

    seen: list[list[int]] = []  # by run: threads of one that was stopped may still be at their last images
    encoders = dict(features._ENCODERS)

    def counting(work: Work) -> Any:
        encode, mine = encoders["filterbank"](work), []
        seen.append(mine)
        return lambda image: (mine.append(1), encode(image))[1]

    monkeypatch.setitem(features._ENCODERS, "filterbank", counting)

    def stop() -> None:
        if len(seen[-1]) >= 5:
            raise CancelledError("The work was cancelled; what was finished is kept.")

    asked = work(store, two[0], features="filterbank")
    with pytest.raises(CancelledError):
        run(replace(asked, check_cancel=stop))
    folder = store.settings.studies / two[0] / "separability"
    kept = len(list(folder.glob("*.npy")))
    assert kept >= 1
    first = run(asked)
    assert len(seen) == 2 and len(seen[-1]) == 12 - kept
    assert run(asked).sentence == first.sentence and len(seen) == 2
    broken = next(folder.glob("*.npy"))
    broken.write_bytes(b"no array")
    assert run(asked).sentence == first.sentence and len(seen) == 3 and len(seen[-1]) == 1
    store.delete_dataset(two[0])
    assert not folder.exists()


def test_copies_of_an_image_count_once(store: Store, tmp_path: Path) -> None:
    dataset = pictures(tmp_path / "images")
    for path in map(Path, dataset.table["path"]):
        shutil.copyfile(path.with_name("2.png") if path.name == "3.png" else path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
    table = dataset.table.assign(content_hash=[content_hash(Path(path)) for path in dataset.table["path"]])
    dataset_id = store.add_dataset(Imported(Dataset("copies", table, dataset.card, dataset.source)))
    one = run(work(store, dataset_id, features="filterbank"))
    assert one.sentence.startswith("On a sample of 9 of 12 test images: ") and one.facts["images"] == 9


def test_runs_do_not_make_it_another_request(store: Store, two: tuple[str, str]) -> None:
    asked = request_study(store, StudyRequest(two[0], "separability"))
    there = find_study(store, StudyRequest(two[0], "separability", runs=("no such run",)))
    assert there is not None and there.id == asked.id and there.runs == ()


def test_the_command_needs_no_run(mad: Mad, home: Path, tmp_path: Path) -> None:  # noqa: F811
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images")))
    store.close()
    out = tmp_path / "out"
    answer = mad("study", "separability", dataset_id, "--param", "features=filterbank", "--out", out, "--json").json
    assert answer["facts"]["request"]["runs"] == [] and answer["facts"]["features"] == "filterbank"
    assert {"separability-pairs.csv", "separability-domains.csv"} <= {path.name for path in out.iterdir()}
    assert len(list(out.glob("*.html"))) == 3
