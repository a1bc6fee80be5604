"""The demo: same pixels every time, MAD-Bench's layout, masks that fit, severity that is not area."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from mad_core.datasets.dataset import Card
from mad_core.datasets.demo import make
from mad_core.datasets.demo.make import DEMO_VERSION, LEVEL_IMAGES, TRAIN_IMAGES, demo_card, draw, make_demo
from mad_core.errors import InputError, NotFoundError
from mad_core.images import read_image, read_mask

DEFECTS = [(subset, kind) for subset, module in make._SUBSETS.items() for kind in module.DEFECTS]
RECORDED = {
    ("plate", "train", 0): "9f9b9a53d5628e23",
    ("plate", "stain", 1): "f72f4519f5d36de8",
    ("plate", "crack", 2): "6e5444481bba945d",
    ("fundus", "train", 0): "f71afca771f86bde",
    ("fundus", "neovascularisation", 3): "5a2b84845da9646f",
    ("novelty", "train", 0): "ce55757f8961eb4b",
    ("novelty", "rowan_cousin", 1): "fe53b828557ed772",
    ("novelty", "gear_artefact", 2): "9c25080db1a484be",
}


def digest(subset: str, kind: str, index: int) -> str:
    image, mask = draw(subset, kind, index)
    parts = image.tobytes() + (b"" if mask is None else np.packbits(mask).tobytes())
    return hashlib.blake2b(parts, digest_size=8).hexdigest()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "TRAIN_IMAGES", 2)
    monkeypatch.setattr(make, "LEVEL_IMAGES", 4)


@pytest.mark.parametrize("what", RECORDED, ids=lambda what: "-".join(map(str, what)))
def test_pixels_are_those_recorded_with_the_version(what: tuple[str, str, int]) -> None:
    assert digest(*what) == RECORDED[what]


@pytest.mark.parametrize(("subset", "kind"), DEFECTS)
def test_every_defect_has_a_mask_and_looks_the_same_twice(subset: str, kind: str) -> None:
    for index in (0, 1):
        image, mask = draw(subset, kind, index)
        again, mask_again = draw(subset, kind, index)
        assert image.shape == (256, 256, 3) and image.dtype == np.uint8
        assert mask is not None and mask_again is not None and mask.dtype == bool
        assert 8 <= mask.sum() < 0.6 * mask.size
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(mask, mask_again)


@pytest.mark.parametrize("subset", list(make._SUBSETS))
def test_normals_differ_from_each_other_and_have_no_mask(subset: str) -> None:
    seen = {}
    for kind, index in (("train", 0), ("train", 1), ("good", 0), ("good", 1)):
        image, mask = draw(subset, kind, index)
        assert mask is None
        assert 10 < image.mean() < 245 and image.std() > 8
        seen[image.tobytes()] = kind
    assert len(seen) == 4


def test_on_the_plate_area_disagrees_with_severity() -> None:
    def median_area(kind: str) -> float:
        masks = [draw("plate", kind, i)[1] for i in range(7)]
        return float(np.median([mask.sum() for mask in masks if mask is not None]))

    stain, crack, missing = median_area("stain"), median_area("crack"), median_area("missing_bolt")
    assert make._SUBSETS["plate"].DEFECTS["stain"] < make._SUBSETS["plate"].DEFECTS["crack"]
    assert stain > 20 * crack
    assert stain > missing > crack


def test_the_mask_of_a_wrong_bolt_is_its_head() -> None:
    mask = draw("plate", "wrong_bolt", 0)[1]
    assert mask is not None
    rows, columns = np.nonzero(mask)
    assert rows.max() - rows.min() < 34 and columns.max() - columns.min() < 34
    assert not mask[100:156, 100:156].any()


def test_every_level_has_as_many_images_as_promised() -> None:
    plans = list(make._plans())
    for subset, module in make._SUBSETS.items():
        mine = [p for p in plans if p.subset == subset]
        assert sum(p.kind == "train" for p in mine) == TRAIN_IMAGES == 48
        assert sum(p.kind == "good" for p in mine) == LEVEL_IMAGES == 26
        for level in (1, 2, 3, 4):
            of_level = [p for p in mine if module.DEFECTS.get(p.kind) == level]
            assert len(of_level) == LEVEL_IMAGES
            assert all(p.mask is not None and f"_level_{level}/" in p.mask for p in of_level)
    assert len({p.image for p in plans}) == len(plans)


def test_the_card_names_every_level_and_explains_every_defect() -> None:
    card = demo_card()
    assert card.version == DEMO_VERSION and card.licence == "Apache-2.0"
    assert Card.from_json(card.to_json()) == card
    assert {s.domain for s in card.subsets.values()} == {"industrial", "medical", "novelty"}
    for name, module in make._SUBSETS.items():
        levels = card.subset(name).levels
        assert set(levels) == {"0", "1", "2", "3", "4"} and all(m.name and m.meaning for m in levels.values())
        for kind, level in module.DEFECTS.items():
            assert kind.replace("_", " ") in levels[str(level)].meaning.lower()
    assert "not medical data" in card.description


@pytest.mark.usefixtures("small")
def test_the_folder_is_mad_benchs_and_is_made_once(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    folder = make_demo(tmp_path / "demo", lambda done, total: calls.append((done, total)))
    total = 3 * (2 + 5 * 4)
    assert [done for done, _ in calls] == list(range(1, total + 1)) and {n for _, n in calls} == {total}
    assert Card.from_json(yaml.safe_load((folder / "mad.yaml").read_text())) == demo_card()
    assert not (tmp_path / "demo.part").exists()

    plate = folder / "plate"
    assert sorted(p.name for p in (plate / "train" / "good").iterdir()) == ["000.png", "001.png"]
    assert len(list((plate / "test" / "good_level_0").iterdir())) == 4
    assert not (plate / "ground_truth" / "good_level_0").exists()
    image = read_image(plate / "test" / "stain_level_1" / "001.png")
    mask = read_mask(plate / "ground_truth" / "stain_level_1" / "001_mask.png")
    drawn, drawn_mask = draw("plate", "stain", 1)
    assert drawn_mask is not None
    np.testing.assert_array_equal(image, drawn)
    np.testing.assert_array_equal(mask, drawn_mask)
    images = sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/test/*_level_[1-4]/*.png"))
    masks = sorted(p.relative_to(folder).as_posix() for p in folder.glob("*/ground_truth/*/*.png"))
    assert [m.replace("ground_truth", "test").replace("_mask", "") for m in masks] == images

    make_demo(folder, lambda done, total: pytest.fail("made again"))
    (plate / "train" / "good" / "000.png").unlink()
    make_demo(folder)
    assert (plate / "train" / "good" / "000.png").exists()


@pytest.mark.usefixtures("small")
def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        make_demo(tmp_path / "demo", stop)
    assert not (tmp_path / "demo").exists() and not (tmp_path / "demo.part").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    mine = tmp_path / "demo" / "thesis.txt"
    mine.write_text("years of work")
    with pytest.raises(InputError, match="something other"):
        make_demo(tmp_path / "demo")
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize(("subset", "kind"), [("plates", "good"), ("plate", "rust")])
def test_unknown_names_are_answered_with_the_known_ones(subset: str, kind: str) -> None:
    with pytest.raises(NotFoundError, match="it has"):
        draw(subset, kind, 0)
