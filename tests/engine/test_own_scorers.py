"""A scorer of one's own: declared in this process, from a model, refused with a sentence where it cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mad_core as mad
from mad_core.errors import InputError, NotFoundError, WorkError
from mad_core.runs.queue import IN_PROCESS
from mad_core.runs.store import Store
from mad_core.runs.worker import Worker
from mad_core.scorers import catalog
from mad_core.scorers.catalog import build
from mad_core.scorers.object_digest import object_digest
from mad_core.settings import Settings
from mad_core.testing import check_scorer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is forgotten after it."""
    catalog.scorers()
    monkeypatch.setattr(catalog, "_CATALOG", dict(catalog._CATALOG))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Grey tiles, darker with the level, and a file that is no image."""
    rng = np.random.default_rng(0)
    for name, level, count in (("train", 0, 6), ("level_0", 0, 4), ("level_1", 1, 4), ("level_2", 2, 4)):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for i in range(count):
            grey = np.clip(rng.normal(150 - 30 * level, 3, (40, 60)), 0, 255).astype(np.uint8)
            Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "tiles" / name / f"{i}.png")
    return tmp_path / "tiles"


def darkness(factor: float = 1.0) -> Callable[..., Any]:
    """A scorer's function: how much darker than the normals."""

    def mine(normals: list[np.ndarray], **parameters: Any) -> Callable[[np.ndarray], Any]:
        mean = float(np.mean([image.mean() for image in normals]))
        return lambda image: (factor * (mean - float(image.mean())), mean - image.mean(2))

    return mine


def test_five_lines_score_a_dataset(home: Path, tiles: Path) -> None:
    calls: list[int] = []

    @mad.scorer("mine", title="My model")
    def mine(normals):
        calls.append(len(normals))
        assert all(image.dtype == np.uint8 and image.shape == (40, 60, 3) for image in normals)
        mean = np.mean([image.mean() for image in normals])
        return lambda image: (mean - image.mean(), mean - image.mean(2))

    run = mad.score(tiles, "mine")
    assert calls[0] == 6 and run.metrics()["c_index"] == 1.0
    shape = run.anomaly_map(run.table["image_id"][0])
    assert shape is not None and shape.shape == (171, 256)
    done = list(calls)
    assert mad.score(tiles, mine).id == mad.score(tiles, "mine").id == run.id and calls == done
    assert next(info for info in catalog.scorers() if info.id == "mine") is catalog.scorers()[-1]


def test_another_version_makes_its_own_run_and_the_old_one_does_not_go_on(home: Path, tiles: Path) -> None:
    mad.scorer("mine", title="First")(darkness(1.0))
    first = mad.score(tiles, "mine", limit=3)
    mad.scorer("mine", title="Second")(darkness(2.0))
    second = mad.score(tiles, "mine", limit=3)
    assert second.id != first.id
    np.testing.assert_allclose(second.table["score"], 2 * first.table["score"])
    job = first.store.resume_run(first.id)
    from mad_core.runs.in_process import do_here

    with pytest.raises(WorkError, match="made by another version of scorer 'mine'"):
        do_here(first.store, job, "cpu", lambda facts: None)


def test_what_only_this_process_knows_is_not_for_workers_and_others_say_why(home: Path, tiles: Path) -> None:
    mad.scorer("mine", title="Mine")(darkness())
    run = mad.score(tiles, "mine", limit=3)
    store = Store(Settings.from_environment())
    job = store.queue.job(store.resume_run(run.id))
    assert job.device == IN_PROCESS
    assert store.queue.claim("a worker", ("auto", "cpu", "cuda:0")) is None
    store.cancel_run(run.id)

    catalog._CATALOG.pop("mine")
    store.resume_run(run.id)
    worker = Worker(store.settings, "cpu")
    try:
        claimed = store.queue.claim(worker.id, worker.devices)
        assert claimed is not None
        worker.do(claimed)
    finally:
        worker.close()
    failed = store.run(run.id)
    assert failed.status == "failed" and "declared in a notebook or script is known to that process alone" in str(
        failed.error
    )
    store.close()
    asked = subprocess.run(
        [sys.executable, "-m", "mad_core", "resume", run.id],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 1 and "known to that process alone" in asked.stderr and "Traceback" not in asked.stderr
    with pytest.raises(Exception, match="only that process knows it"):
        build("__main__:mine", {})


def test_a_job_whose_notebook_ended_is_not_left_waiting(home: Path, tiles: Path) -> None:
    mad.scorer("mine", title="Mine")(darkness())
    run = mad.score(tiles, "mine", limit=3)
    job = run.store.resume_run(run.id)
    assert run.store.queue.claim("gone", (IN_PROCESS,), job_id=job) is not None
    assert run.store.queue.requeue_lost() == [job]
    assert run.store.queue.job(job).status == "failed" and "ended" in str(run.store.queue.job(job).error)


def test_declared_parameters_reach_the_function(home: Path, tiles: Path) -> None:
    given: list[dict[str, Any]] = []

    @mad.scorer("mine", title="Mine", parameters=[mad.Parameter("power", "float", 1.0, "Power.", 0, 4)])
    def mine(normals, power):
        given.append({"power": power})
        return lambda image: float(image.mean()) ** power

    first, second = mad.score(tiles, "mine", limit=3), mad.score(tiles, "mine", limit=3, power=2)
    assert given[0] == {"power": 1.0} and given[-1] == {"power": 2.0}
    np.testing.assert_allclose(second.table["score"], first.table["score"] ** 2)
    with pytest.raises(InputError, match=r"'power' is 9, but must lie in \[0, 4\]"):
        mad.score(tiles, "mine", power=9)


def test_a_failing_image_is_named_and_a_broken_function_fails_the_run(home: Path, tiles: Path) -> None:
    (tiles / "level_2" / "broken.png").write_bytes(b"no image")

    def picky(normals):
        def score(image):
            if image.mean() < 105:
                raise ValueError("too dark")
            return float("nan") if image.mean() < 135 else 1.0

        return score

    mad.scorer("picky")(picky)
    table = mad.score(tiles, "picky").table.set_index("level")
    assert set(table.loc[0.0, "status"]) == {"ok"} and set(table.loc[1.0, "status"]) == {"not-finite"}
    assert (
        set(table.loc[2.0, "status"]) == {"model-failed"} and "ValueError: too dark" in table.loc[2.0, "reason"].iloc[0]
    )
    assert table.loc[[1.0, 2.0], "score"].isna().all()

    mad.scorer("broken")(lambda normals: lambda image: image.nothing)
    with pytest.raises(WorkError, match=r"fails on every image.*has no attribute 'nothing'"):
        mad.score(tiles, "broken")
    mad.scorer("forgetful")(lambda normals: None)
    with pytest.raises(WorkError, match="returned a NoneType"):
        mad.score(tiles, "forgetful")
    mad.scorer("wordy")(lambda normals: lambda image: "high")
    with pytest.raises(WorkError, match="a str where a number"):
        mad.score(tiles, "wordy")


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda: mad.scorer("filterbank")(darkness()), "There is a scorer 'filterbank' already"),
        (lambda: mad.scorer("My Model")(darkness()), "is no id of a scorer"),
        (lambda: mad.scorer("mine")(lambda: None), "does not take a list of normals"),
        (lambda: mad.scorer("mine", family=3)(darkness()), "a title and a family"),
        (lambda: mad.scorer("mine", colour="red")(darkness()), "unexpected keyword argument 'colour'"),
        (lambda: mad.scorer("mine", parameters=["size"])(darkness()), "has to be a mad_core.Parameter"),
        (
            lambda: mad.scorer("mine", parameters=[mad.Parameter("code", "int", 1, "")])(darkness()),
            "none of them 'code'",
        ),
        (lambda: mad.scorer("mine", parameters=[mad.Parameter("n", "int", "x", "")])(darkness()), "an? int is needed"),
        (
            lambda: mad.scorer("mine", parameters=[mad.Parameter("n", "int", 1, "")])(lambda normals: None),
            "as declared",
        ),
        (lambda: mad.scorer("mine")(dict), "does not inherit from mad_core.Scorer"),
        (lambda: mad.scorer("mine")(3), "has to be a function"),
        (lambda: mad.score("demo", lambda normals: None), "declare it with @mad.scorer"),
    ],
)
def test_what_cannot_be_declared_says_why(declare: Callable[[], Any], sentence: str, home: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        declare()


def test_the_contract_holds_for_functions_and_classes() -> None:
    mad.scorer("mine", title="Mine")(darkness())
    check_scorer("mine")

    @mad.scorer("classy", title="Classy", needs_fit=False)
    class Classy(mad.Scorer):
        def fit(self, normals, context):
            pass

        def score(self, images, context) -> Iterator[Any]:
            from mad_core.scorers.contract import Scored
            from mad_core.scorers.image_loading import load

            for loaded in load(images, lambda image: float(image.mean())):
                context.check_cancel()
                item, value = loaded.item.image_id, loaded.value
                yield Scored(item, value) if value is not None else Scored.failed(item, "unreadable", str(loaded.error))

    check_scorer(Classy)


def _helper(image: np.ndarray) -> float:
    return float(image.mean())


def _uses_helper(normals):
    return lambda image: _helper(image)


def test_the_digest_knows_code_closure_defaults_and_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    assert object_digest(darkness(1.0)) == object_digest(darkness(1.0)) != object_digest(darkness(2.0))
    assert object_digest(lambda n, k=1: k) != object_digest(lambda n, k=2: k)
    before, code = object_digest(_uses_helper), catalog.code_digest(_uses_helper)
    monkeypatch.setitem(globals(), "_helper", lambda image: float(image.max()))
    assert object_digest(_uses_helper) != before and catalog.code_digest(_uses_helper) != code
    assert object_digest(np.arange(3)) != object_digest(np.arange(4))
    circle: list[Any] = []
    circle.append(circle)
    assert object_digest(circle)


def test_an_unknown_scorer_is_a_sentence() -> None:
    with pytest.raises(NotFoundError, match="No scorer is called 'nobody'; known are"):
        catalog.scorer("nobody")
