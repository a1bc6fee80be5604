"""A store with a small dataset of drawn images and finished runs, and the app opened on it.

Everything is written through the store; no scorer and no worker runs.
"""

from __future__ import annotations

import functools
import runpy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from PIL import Image
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from mad_core.datasets.dataset import Card, Dataset, Imported, LevelMeaning, SubsetCard, image_id
from mad_core.images import content_hash
from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings
from pages.http import answers
from pages.ui import approach, engine, serving

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, MAP_SIDE = 48, 36, 24
TRAIN, PER_LEVEL = 3, 6
LEVELS = {"leaf": (0.0, 0.5, 2.0), "plate": (0.0, 1.0, 2.0, 3.0)}
DEFECTS = {0.5: "spot", 1.0: "scratch", 2.0: "dent", 3.0: "crack"}
CARD = Card(
    title="parts",
    subsets={
        "plate": SubsetCard(
            "industrial",
            {
                "0": LevelMeaning("intact", "Ship it."),
                "1": LevelMeaning("light", "Ship it at a discount."),
                "2": LevelMeaning("moderate", "Rework it."),
                "3": LevelMeaning("severe", "Scrap it."),
            },
        )
    },
)


KEPT = (engine.store.cache_clear, answers._evaluated.cache_clear, serving._range_of.cache_clear)
"""What the web process keeps of runs, beside Streamlit's own caches, forgotten."""


@dataclass
class Home:
    """The store the app reads, and ways to fill it further."""

    store: Store
    dataset: str

    def images(self, subset: str, split: str = "test") -> pd.DataFrame:
        """Images of a subset in table order: ``PER_LEVEL`` test images a level, least severe first."""
        return self.store.dataset(self.dataset).select(subset=subset, split=split)

    def run(self, title: str) -> Run:
        return next(run for run in self.store.runs(self.dataset) if run.title == title)

    def add_run(
        self,
        title: str,
        score: Callable[[Any], Scored | None],
        *,
        maps: str = "all",
        subsets: tuple[str, ...] = (),
        status: str = "done",
        **parameters: Any,
    ) -> Run:
        """A run with the results that ``score(row)`` gives; images for which it gives None wait."""
        given = {"title": title, **parameters}
        request = RunRequest(self.dataset, "filterbank", given, subsets, map_policy=maps, map_side=MAP_SIDE)
        run = self.store.request_run(request)
        self.store.rename_run(run.id, title)
        for subset in run.subsets:
            results = []
            for slot, row in enumerate(self.images(subset).itertuples()):
                scored = score(row)
                if scored is None:
                    continue
                kept = scored.map if maps == "all" else None
                ref = None if kept is None else self.store.maps.write(run.id, subset, slot, kept, MAP_SIDE)
                results.append((scored, ref))
            self.store.add_scores(run.id, subset, results)
            self.store.save_run_subset(run.id, RunSubset(subset, None, 1.0, 2.0, {}))
        for job in self.store.queue.active():
            self.store.queue.request_cancel(job.id)
        self.store.update_run(run.id, status=status, finished=1.0 if status == "done" else None)
        return self.store.run(run.id)


def scored(row: Any, value: float, **facts: Any) -> Scored:
    """A result whose map is bright where the drawn defect is."""
    anomaly_map = np.full((HEIGHT, WIDTH), 0.1 * value, np.float32)
    anomaly_map[9:18, 12:24] = value
    return Scored(row.image_id, value, map=anomaly_map, **facts)


@pytest.fixture(scope="session", autouse=True)
def components_of_packages() -> Iterator[None]:
    """Each AppTest reads the metadata of every installed package for components of theirs: once is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests)
        )
        yield


def make_scored_home(folder: Path, **environment: str) -> Path:
    """A ``MAD_HOME`` with the two runs of :func:`home`, beside its pictures; rows lie where the environment says."""
    store = Store(Settings.from_environment({"MAD_HOME": str(folder / "home"), **environment}))
    home = Home(store, store.add_dataset(Imported(_draw(folder / "images"))))
    rng = np.random.default_rng(7)
    broken = home.images("plate").query("level == 1")["image_id"].iloc[0]
    home.add_run("Alpha", lambda row: scored(row, row.level + rng.uniform(0, 0.9)))
    home.add_run(
        "Beta",
        lambda row: (
            Scored.failed(row.image_id, "unreadable", "The file is cut off.")
            if row.image_id == broken
            else scored(row, rng.uniform(100, 900))
        ),
    )
    store.close()
    return folder / "home"


@pytest.fixture(scope="session")
def scored_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every test's :func:`home` begins with, made once; tests that change pictures make one of their own."""
    return make_scored_home(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def home(scored_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The dataset with two finished runs.

    *Alpha* follows the levels (score = level + up to 0.9); *Beta*, in other units, is drawn at random
    and failed on the first L1 image of ``plate``.
    """
    shutil.copytree(scored_home, tmp_path / "home")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(approach, "WAITS", False)  # no browser tells what is near
    for forget in (*KEPT, st.cache_data.clear, st.cache_resource.clear):
        forget()  # the runs of all tests have the same ids
    store = Store(Settings.from_environment())
    before = _states(scored_home.parent / "images")
    yield Home(store, store.datasets()[0].id)
    engine.store().close()
    engine.store.cache_clear()
    store.close()
    own = scored_home.is_relative_to(tmp_path)
    assert own or _states(scored_home.parent / "images") == before, "this test changed the pictures of all"


def _states(folder: Path) -> dict[Path, tuple[int, int]]:
    """Of each file below a folder: what tells whether it was changed."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


@pytest.fixture
def open_page(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """``open_page("images", image=…)`` opens a page of the app, as a link with that query does."""
    # AppTest takes the folder pages/ for old-style pages and would run them without app.py; the server does not.
    monkeypatch.setattr(script_runner, "_mpa_v1", runpy.run_path)

    def opened(name: str, **query: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        test.query_params.update({"dataset": home.dataset, **query})
        test._page_hash = calc_hash(name)  # switch_page would take it from the file's name, which all pages share
        test.run()
        assert not test.exception, test.exception
        return test

    return opened


def marked_up(dataset: Dataset, text: str) -> Dataset:
    """The plate once more, with a text for names, levels, defects and all else that is said of it."""
    table = dataset.table[dataset.table["subset"] == "plate"].assign(subset=text)
    table["template_path"] = [f"{text}/{path}" for path in table["template_path"]]
    table["defect"] = [None if level == 0 else f"{text} {level:g}" for level in table["level"]]
    levels = {f"{k}": LevelMeaning(f"{text} {k}", text) for k in range(4)}
    card = Card(text, text, text, text, text, {text: SubsetCard("industrial", levels, product=text)})
    return Dataset(text, table, card, text)


def _draw(folder: Path) -> Dataset:
    rows = []
    for subset, levels in LEVELS.items():
        places = [("train", 0.0, i) for i in range(TRAIN)]
        places += [("test", level, i) for level in levels for i in range(PER_LEVEL)]
        rows += [_image(folder, subset, *place) for place in places]
    return Dataset.from_rows("parts", rows, CARD, str(folder))


def _image(folder: Path, subset: str, split: str, level: float, number: int) -> dict[str, Any]:
    """Draw one image (and its mask where it is abnormal) and give its row."""
    name = f"{split}/level_{level:g}/{number:02d}.png"
    path = folder / subset / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), 120 + number, np.uint8)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    if level:
        mask[9:18, 12:24] = 255
        pixels[mask > 0] = 40 * level
        Image.fromarray(mask).save(path.with_suffix(".mask.png"))
    Image.fromarray(pixels).save(path)
    return {
        "image_id": image_id(subset, name),
        "content_hash": content_hash(path),
        "path": str(path),
        "template_path": name,
        "split": split,
        "subset": subset,
        "level": level,
        "defect": DEFECTS.get(level),
        "mask_path": str(path.with_suffix(".mask.png")) if level else None,
        "width": WIDTH,
        "height": HEIGHT,
    }
