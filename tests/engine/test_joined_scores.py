"""Score files of others: by the rules of tables, joined to a dataset where they carry no levels."""

from pathlib import Path

import pytest

from mad_core.errors import InputError
from mad_core.metrics.summary import evaluate
from mad_core.runs.imported_scores import import_results, joined_scores
from mad_core.runs.store import Store
from mad_core.scorefiles import read_scores

SCORES = [0.0173, 0.0411, 0.0165, 0.1848, 0.2953, 0.5223, 0.4732, 0.7791]
LEVELS = [0, 0, 0, 1, 1, 2, 2, 3]

FORMS = {
    "german": ("Path;Severity;Anomaly Score", lambda i, s, n: f"{i}.png;{n};{str(s).replace('.', ',')}"),
    "half levels": ("Path;Severity;Anomaly Score", lambda i, s, n: f"{i}.png;{n},0;{str(s).replace('.', ',')}"),
    "L2": ("Path,Severity,Anomaly Score", lambda i, s, n: f"{i}.png,L{n},{s}"),
    "tensor": ("Path,Severity,Anomaly Score", lambda i, s, n: f"{i}.png,{n},tensor({s})"),
    "trailing comma": ("Path,Severity,Anomaly Score", lambda i, s, n: f"{i}.png,{n},{s},"),
    "anomalib": ("image_path,gt_label,pred_label,pred_score", lambda i, s, n: f"/d/test/{i}.png,{n},1,{s}"),
    "words": ("Datei;Schweregrad;Score", lambda i, s, n: f"{i}.png;{n} - {'abcd'[n]};{s}"),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_number_is_lost(tmp_path: Path, form: str) -> None:
    header, line = FORMS[form]
    rows = [line(i, s, n) for i, (s, n) in enumerate(zip(SCORES, LEVELS, strict=True))]
    (tmp_path / "s.csv").write_text("\n".join([header, *rows]))
    table = read_scores(tmp_path / "s.csv").table
    assert (table["score"].tolist(), table["level"].tolist()) == (SCORES, LEVELS)


def test_columns_by_meaning_are_said(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("image_path,gt_label,pred_score\na,0,1\nb,1,2\n")
    assert read_scores(tmp_path / "s.csv").notes == (
        "Columns: image_path is the path, gt_label is the level, pred_score is the score.",
    )


def test_percent_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("Path,Severity,Score\na,0,1.7 %\nb,1,50%\n")
    file = read_scores(tmp_path / "s.csv")
    assert file.table["score"].tolist() == pytest.approx([0.017, 0.5])
    assert any("percent" in note for note in file.notes)


def test_a_file_in_which_no_score_is_a_number_fails(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("Path,Severity,Score\na,0,low\nb,1,high\n")
    with pytest.raises(InputError, match="none of the 2 scores is a number: 'low', 'high'"):
        read_scores(tmp_path / "s.csv")


def test_scores_that_order_backwards_say_so() -> None:
    def backwards(levels: list[int], scores: list[float]) -> bool:
        return any("backwards" in note for note in evaluate(levels, scores, draws=0)["notes"])

    assert backwards(LEVELS, [1 - s for s in SCORES])
    assert backwards([n + 1 for n in LEVELS], [-s for s in SCORES])
    assert not backwards(LEVELS, SCORES)
    assert not backwards([0, 1], [1.0, 0.0])
    assert not backwards([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5])


@pytest.fixture
def paths(store: Store, dataset_id: str) -> list[str]:
    return list(store.dataset(dataset_id).select(split="test", subset="a")["template_path"])


def scores(path: Path, names: list[str], header: str = "image,anomaly_score", subset: str = "") -> Path:
    path.write_text("\n".join([header, *(f"{name},{i / 10}{subset}" for i, name in enumerate(names))]))
    return path


def test_scores_without_levels_join_the_dataset(
    tmp_path: Path, store: Store, dataset_id: str, paths: list[str]
) -> None:
    dataset = store.dataset(dataset_id)
    with pytest.raises(InputError, match="--dataset"):
        read_scores(scores(tmp_path / "model_a.csv", paths))
    file = joined_scores(tmp_path / "model_a.csv", dataset)
    assert file.table["level"].tolist() == dataset.select(split="test", subset="a")["level"].tolist()
    (run,) = import_results(store, dataset_id, [tmp_path / "model_a.csv"])
    assert run.mismatches == () and store.scores(run.run.id)["score"].notna().all()


def test_names_without_suffix_or_in_another_case_join_too(
    tmp_path: Path, store: Store, dataset_id: str, paths: list[str]
) -> None:
    names = [p.rpartition(".")[0].upper() for p in paths]
    scores(tmp_path / "model_a.csv", names)
    (run,) = import_results(store, dataset_id, [tmp_path / "model_a.csv"])
    assert run.mismatches == ()


@pytest.mark.parametrize("cell", ["", "low"])
def test_a_run_without_a_readable_score_stores_nothing(
    tmp_path: Path, store: Store, dataset_id: str, paths: list[str], cell: str
) -> None:
    (tmp_path / "model_a.csv").write_text("\n".join(["Path,Severity,Score", *(f"{p},0,{cell}" for p in paths)]))
    with pytest.raises(InputError):
        import_results(store, dataset_id, [tmp_path / "model_a.csv"])
    assert store.runs() == []
