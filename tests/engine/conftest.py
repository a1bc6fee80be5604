"""A store in a folder of its own, and a small dataset without image files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.images import content_hash
from mad_core.runs.store import Store
from mad_core.settings import Settings


def make_dataset(name: str = "parts", subsets: tuple[str, ...] = ("a", "b"), per_level: int = 3) -> Dataset:
    """Rows of a dataset: three training normals and ``per_level`` test images of L0, L1 and L2 a subset."""
    rows = []
    for subset in subsets:
        places = [("train", 0.0, i) for i in range(3)]
        places += [("test", float(level), i) for level in range(3) for i in range(per_level)]
        for split, level, number in places:
            path = f"{split}/level_{level:g}/{number}.png"
            rows.append(
                {
                    "image_id": image_id(subset, path),
                    "content_hash": f"{subset}{path}",
                    "path": f"/data/{subset}/{path}",
                    "template_path": path,
                    "split": split,
                    "subset": subset,
                    "level": level,
                    "defect": None if level == 0 else "scratch",
                    "mask_path": None,
                    "width": 64,
                    "height": 48,
                }
            )
    return Dataset.from_rows(name, rows, Card(title=name), source=f"/data/{name}")


def digests(paths: Iterable[str]) -> list[str]:
    """Digests of the files' bytes, as an import finds them."""
    return [content_hash(Path(path)) for path in paths]


@pytest.fixture
def narrow_efficientad(monkeypatch: pytest.MonkeyPatch) -> None:
    """EfficientAd with few channels: at its own width it takes seconds for an image of its only size."""
    from anomalib.models.image.efficient_ad import torch_model
    from torch import nn

    from mad_core.scorers.detectors import efficientad

    class Narrow(torch_model.SmallPatchDescriptionNetwork):
        def __init__(self, out_channels: int, padding: bool = False) -> None:
            super().__init__(out_channels, padding)
            for number, (taken, given) in enumerate(pairwise((3, 8, 16, 16, out_channels)), start=1):
                wide = getattr(self, f"conv{number}")
                setattr(self, f"conv{number}", nn.Conv2d(taken, given, wide.kernel_size, padding=wide.padding))

    monkeypatch.setattr(torch_model, "SmallPatchDescriptionNetwork", Narrow)
    monkeypatch.setattr(efficientad, "EfficientAdModel", partial(torch_model.EfficientAdModel, teacher_out_channels=16))


@pytest.fixture
def narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLIP and RADIO as they are, but narrow and shallow: whole ones hold gigabytes."""
    import open_clip
    from anomalib.models.image.anomalyvfm import torch_model
    from anomalib.models.image.anomalyvfm.components import radio

    from mad_core.scorers.detectors import winclip as detector

    def narrow(name: str, pretrained: object = None, **_: object) -> tuple[Any, None, None]:
        vision = open_clip.CLIPVisionCfg(layers=1, width=64, head_width=32, patch_size=16, image_size=64)
        return open_clip.CLIP(32, vision, open_clip.CLIPTextCfg(layers=1, width=32, heads=2)), None, None

    def shallow(self: Any) -> None:
        super(torch_model.BaseModel, self).__init__()
        self.net = radio.RADIOModel()
        self.net.model = radio.VisionTransformer(embed_dim=64, depth=1, num_heads=2)
        self.feature_dim, self.patch_size = 64, 16

    monkeypatch.setattr(open_clip, "create_model_and_transforms", narrow)
    monkeypatch.setattr(detector, "SIDE", 64)
    monkeypatch.setattr(radio.RADIOModel, "__init__", _without_transformer)
    monkeypatch.setattr(torch_model.BaseModel, "__init__", shallow)


def _without_transformer(self: Any) -> None:
    """What RADIO has around its transformer, which is put in later."""
    import torch
    from anomalib.models.image.anomalyvfm.components import radio

    torch.nn.Module.__init__(self)
    self.input_conditioner, self.feature_normalizer = radio.InputConditioner(), torch.nn.Identity()
    self.register_buffer("summary_idxs", torch.tensor([0, 1, 2]))


@pytest.fixture(scope="session")
def taught(shared_folder: Path) -> Path:
    """A tiny LLaVA that answers with scores, taught once for all processes; only read."""
    from . import tiny_models

    folder = shared_folder / "taught"
    with FileLock(shared_folder / "taught.lock"):
        if not folder.exists():
            tiny_models.teach(tiny_models.make("llava", shared_folder / "untaught")).rename(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"MAD_HOME": str(tmp_path / "home")})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store(settings)
    yield opened
    opened.close()


@pytest.fixture
def dataset_id(store: Store) -> str:
    return store.add_dataset(Imported(make_dataset()))
