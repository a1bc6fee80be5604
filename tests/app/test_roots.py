"""What pages open lies below the allowed roots: datasets, model folders, weights and rubrics, links included."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import InputError
from mad_core.runs.import_job import import_job
from mad_core.runs.job_control import Control
from mad_core.runs.store import RunRequest
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.rubrics import find_rubric, rubric_of_card
from mad_core.scorers.named_paths import closed
from pages.data import add
from pages.score import new_run
from pages.ui import engine
from tests.app.conftest import Home
from tests.engine.pictures import tree

RUBRIC = "title: Secret\ntext: 0 is fine.\n"


@pytest.fixture
def roots(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that pages may open, beside the store's own."""
    place = tmp_path / "open"
    place.mkdir()
    monkeypatch.setenv("MAD_ALLOWED_ROOTS", str(place))
    monkeypatch.setattr(engine.store(), "settings", replace(home.store.settings, allowed_roots=(place,)))
    return place


def control(home: Home, job: int, roots: Path) -> Control:
    settings = replace(home.store.settings, allowed_roots=(roots,))
    return Control(home.store.queue.job(job), home.store, settings, "cpu")


@pytest.mark.parametrize("what", ["folder", "above", "table", "policy"])
def test_a_link_that_is_turned_after_it_was_asked_for_is_not_followed(
    home: Home, roots: Path, tmp_path: Path, what: str
) -> None:
    for name in ("good", "secret"):
        tree(tmp_path / name / "parts", [f"level_{level}/{name}{level}.png" for level in (0, 1)])
        (tmp_path / name / "parts" / "t.csv").write_text("path,level\nlevel_0/x.png,0\n")
        (tmp_path / name / "parts" / "p.yaml").write_text("scratch: 1\n")
    shown = roots / "shown"
    (tmp_path / "good").rename(roots / "good")
    shown.symlink_to(roots / "good")
    asked = {"folder": "shown/parts", "above": "shown/parts", "table": "shown/parts/t.csv", "policy": "good/parts"}
    policy = str(shown / "parts" / "p.yaml") if what == "policy" else ""
    job = add._queue_path(str(roots / asked[what]), policy)
    payload = home.store.queue.job(job).payload
    assert payload["source"] == os.path.realpath(payload["source"]) and "shown" not in str(payload)
    if what != "above":  # the link that was named is not asked again: what it led to is what was meant
        shown.unlink()
        shown.symlink_to(tmp_path / "secret")
    if what == "above":
        (roots / "good").rename(roots / "was good")
        (roots / "good").symlink_to(tmp_path / "secret")
        with pytest.raises(InputError, match="leads elsewhere"):
            import_job(control(home, job, roots))
    elif what != "table":
        made = import_job(control(home, job, roots))
        assert "good0.png" in made["plan"] and "secret" not in made["plan"]


NAMES = ["/etc", "/etc/passwd", "~root/model", "~/model", "../x", "./x", "/nowhere/at/all.yaml", "w.safetensors"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameter", ["model", "rubric", "weights"])
def test_what_a_run_names_outside_the_roots_is_refused_alike_whether_it_is_there(
    home: Home, roots: Path, name: str, parameter: str
) -> None:
    reason = closed({parameter: name}, engine.store().settings)
    assert reason == f"{name} is outside the folders that may be opened here ({roots}); see MAD_ALLOWED_ROOTS."
    request = RunRequest(home.dataset, "mllm", {**catalog.scorer("mllm").check({}), parameter: name})
    info = next(one for one in home.store.datasets() if one.id == home.dataset)
    with pytest.raises(InputError, match="is outside the folders"):
        new_run._queue(info, request, None)


def test_what_lies_below_the_roots_or_is_no_path_may_be_asked_for(home: Home, roots: Path) -> None:
    for value in (str(roots / "model"), "shipped", "Qwen/Qwen3-VL-4B-Instruct", "auto", "a: b\n/etc/passwd", 3, None):
        assert closed({"model": value}, engine.store().settings) is None


# -- rubrics that a card names --------------------------------------------------------------------


def test_a_card_cannot_name_a_file_outside_the_roots(home: Home, roots: Path, tmp_path: Path) -> None:
    for folder in (roots, tmp_path):
        (folder / "r.yaml").write_text(RUBRIC)
    assert find_rubric("auto", SubsetCard(rubric=str(roots / "r.yaml"))).title == "Secret"
    said = []
    for named in (tmp_path / "r.yaml", tmp_path / "absent.yaml"):
        with pytest.raises(InputError, match="There is no rubric") as refused:
            find_rubric("auto", SubsetCard(rubric=str(named)))
        said.append(str(refused.value).replace(named.name, ""))
    assert said[0] == said[1]
    with pytest.raises(InputError, match="There is no rubric"):
        find_rubric(str(tmp_path / "r.yaml"), SubsetCard(), engine.store().settings.may_open)


def test_a_card_that_says_auto_means_none_of_its_own() -> None:
    card = SubsetCard(rubric="auto")
    assert rubric_of_card(card) is None
    assert find_rubric("auto", card) == find_rubric("general", card)


# -- what the web process reads of models ---------------------------------------------------------

ODD = ["~nobody-of-this-name/x", "\0", "x" * 5000, "/" + "y/" * 3000, "a\x00/b", "~", "", " ", "\udcff", "http://x/y"]


@pytest.mark.parametrize("name", ODD)
def test_names_of_any_shape_are_refused_in_a_sentence(name: str) -> None:
    settings = {"model": name, "quantisation": "auto"}
    assert models.why_not(settings)
    assert weights.why_not("patchcore", {"weights": name or "x"})
    with pytest.raises(InputError, match="There is no rubric"):
        find_rubric(name, SubsetCard())


def folder_of(place: Path, config: bytes, header: Any = None) -> Path:
    place.mkdir()
    (place / "config.json").write_bytes(config)
    (place / "chat_template.jinja").write_text("x")
    text = json.dumps(header).encode()
    (place / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return place


def test_what_a_model_says_of_itself_is_bounded(tmp_path: Path) -> None:
    family = b'{"model_type": "qwen3_vl", "x": "'
    long = folder_of(tmp_path / "long", family + b"y" * models.MOST_JSON_BYTES + b'"}')
    assert "cannot be read" in str(models.why_not({"model": str(long), "quantisation": "auto"}))
    pipe = folder_of(tmp_path / "pipe", b"{}")
    (pipe / "config.json").unlink()
    os.mkfifo(pipe / "config.json")
    assert "cannot be read" in str(models.why_not({"model": str(pipe), "quantisation": "auto"}))


@pytest.mark.parametrize("header", [[], 3, None, {"a": 1}, {"a": {}}, {"a": {"dtype": [1]}}, {"a": {"dtype": "F32"}}])
@pytest.mark.parametrize("size", ["1000", '"many"', "[]", "-5", "1e400", "null", "true"])
def test_what_a_model_says_of_itself_may_be_anything(tmp_path: Path, header: Any, size: str) -> None:
    config = f'{{"model_type": "qwen3_vl", "vocab_size": {size}, "hidden_size": {size}}}'
    folder = folder_of(tmp_path / "m", config.encode(), header)
    models.why_not({"model": str(folder), "quantisation": "auto"})
    assert 0 < models.folder_need(folder, "4bit") < 10


def test_a_folder_is_chosen_by_looking_below_the_roots(home: Home, roots: Path, tmp_path: Path, open_page: Any) -> None:
    tree(roots / "parts", [f"level_{level}/{level}.png" for level in (0, 1)])
    for number in range(25):
        (roots / f"empty {number:02d}").mkdir()
    (roots / "away").symlink_to(tmp_path)
    home.store.delete_dataset(home.dataset)
    test = open_page("data", dataset="")
    assert not [b for b in test.button if (b.key or "").startswith("folder_")]
    test.toggle(key="browsing").set_value(True).run()
    names = [b.label for b in test.button if (b.key or "").startswith("folder_")]
    assert len(names) == 10 and names[0] == "empty 00" and "away" not in names
    test.text_input(key="browsed_find").set_value("part").run()
    (found,) = [b for b in test.button if (b.key or "").startswith("folder_")]
    assert any("2 pictures" in c.value for c in test.caption)
    found.click().run()
    test.button(key="browse_take").click().run()
    assert not test.exception, test.exception
    assert test.text_input(key=add.SOURCE).value == str(roots / "parts")
    test.button(key="browse_up").click().run()
    assert test.text_input(key=add.SOURCE).value == str(roots / "parts")
