"""Models that were fitted elsewhere as scorers: anomalib's, TorchScript files, ONNX files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mad_core as mad
from mad_core.errors import InputError, UnavailableError
from mad_core.scorers import catalog
from mad_core.scorers.function_scorer import answer
from mad_core.testing import check_scorer

if TYPE_CHECKING:
    from anomalib.models import Padim


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.scorers()
    monkeypatch.setattr(catalog, "_CATALOG", dict(catalog._CATALOG))


class Answer(NamedTuple):
    pred_score: torch.Tensor
    anomaly_map: torch.Tensor


class Dark(nn.Module):
    """How dark each pixel is, and the mean of it; ``form`` is what it comes in."""

    def __init__(self, form: str = "tuple") -> None:
        super().__init__()
        self.form = form
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> Any:
        maps = self.gain * (1 - images.mean(1, keepdim=True))
        scores = maps.mean((1, 2, 3))
        if self.form == "dict":
            return {"pred_score": scores, "anomaly_map": maps}
        if self.form == "named":
            return Answer(scores, maps)
        if self.form == "map":
            return maps
        return (scores, scores > 0.5, maps, maps > 0.5) if self.form == "four" else (scores, maps)


class Scripted(nn.Module):
    """The same without choices, as TorchScript and ONNX take it."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = 2 * (1 - images.mean(1, keepdim=True))
        return maps.mean((1, 2, 3)), maps


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (48, 96, 3), np.uint8)


def wanted(picture: np.ndarray, size: int | None = None) -> float:
    if size is not None:
        picture = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))
    return float((2 * (1 - picture / 255)).mean())


@pytest.mark.parametrize("form", ["tuple", "dict", "named", "four"])
@pytest.mark.parametrize("size", [None, 32])
def test_every_form_of_an_answer_is_read(form: str, size: int | None, picture: np.ndarray) -> None:
    score, anomaly_map = mad.from_torch(Dark(form), size=size, normalise=None)(picture)
    assert score == pytest.approx(wanted(picture, size), rel=1e-4)
    assert anomaly_map is not None and anomaly_map.shape == (128, 256) and anomaly_map.dtype == np.float32


def test_a_map_alone_is_scored_by_its_maximum(picture: np.ndarray) -> None:
    score, anomaly_map = mad.from_torch(Dark("map"), normalise=None)(picture)
    assert anomaly_map is not None and score == pytest.approx(anomaly_map.max())


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (None, "neither a score nor an anomaly map, but nothing"),
        ({"other": 1}, "neither a score"),
        ("high", "a str where a number"),
        (np.zeros((3, 4, 5)), "two axes"),
        (True, "neither a score"),
    ],
)
def test_what_is_no_answer_is_a_sentence(output: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        answer(output, (4, 5))


def test_a_map_that_is_not_finite_is_left_out_and_the_score_stays() -> None:
    assert answer((1.5, np.full((4, 5), np.nan)), (4, 5)) == (1.5, None)


@pytest.fixture(scope="module")
def padim(tmp_path_factory: pytest.TempPathFactory) -> Padim:
    """A model of anomalib, its backbone random, fitted on a few pictures."""
    from anomalib.models import Padim  # here: it loads Lightning, which only one process needs

    torch.manual_seed(0)
    small = Padim.configure_pre_processor((64, 64))
    model = Padim("resnet18", ["layer1", "layer2"], pre_trained=False, n_features=10, pre_processor=small)
    inner = model.model
    inner.train()
    inner(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    inner.fit()
    return model.eval()


def test_a_fitted_model_of_anomalib_scores_raw(padim: Padim, picture: np.ndarray) -> None:
    score, anomaly_map = mad.from_torch(padim, size=64)(picture)
    square = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1).copy()
    with torch.inference_mode():
        batch = padim.pre_processor.transform(torch.from_numpy(square)[None].float() / 255)
        raw = padim.model(batch)
    assert score == pytest.approx(float(raw.pred_score), rel=1e-4) and score > 1
    assert anomaly_map is not None and anomaly_map.shape == (128, 256)
    check_scorer(mad.from_torch(padim.model, size=64))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    torch.jit.trace(Scripted(), torch.rand(1, 3, 32, 32)).save(str(tmp_path / "model.pt"))
    return tmp_path / "model.pt"


def test_a_torchscript_file_scores(script: Path, picture: np.ndarray) -> None:
    model = mad.from_torch(script, size=32, normalise=None)
    assert model(picture)[0] == pytest.approx(wanted(picture, 32), rel=1e-4)
    check_scorer(model)
    (script.parent / "other.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no TorchScript file"):
        mad.from_torch(script.parent / "other.pt")
    with pytest.raises(InputError, match=r"absent\.pt cannot be read"):
        mad.from_torch(script.parent / "absent.pt")
    with pytest.raises(InputError, match="not a int"):
        mad.from_torch(3)


def _onnx(path: Path, *, names: tuple[str, str] = ("pred_score", "anomaly_map")) -> Path:
    """``Scripted`` as an ONNX file of a fixed size, written node by node."""
    helper = pytest.importorskip("onnx").helper
    kind, reduce = 1, {"keepdims": 1}
    nodes = [
        helper.make_node("ReduceMean", ["image", "channel"], ["grey"], **reduce),
        helper.make_node("Sub", ["one", "grey"], ["dark"]),
        helper.make_node("Add", ["dark", "dark"], [names[1]]),
        helper.make_node("ReduceMean", [names[1], "inner"], [names[0]], keepdims=0),
    ]
    tensors = [
        helper.make_tensor("channel", 7, [1], [1]),
        helper.make_tensor("inner", 7, [3], [1, 2, 3]),
        helper.make_tensor("one", kind, [], [1.0]),
    ]
    entry = [helper.make_tensor_value_info("image", kind, [1, 3, 32, 32])]
    leaves = [
        helper.make_tensor_value_info(names[0], kind, [1]),
        helper.make_tensor_value_info(names[1], kind, [1, 1, 32, 32]),
    ]
    graph = helper.make_graph(nodes, "dark", entry, leaves, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("names", [("pred_score", "anomaly_map"), ("a", "b")])
def test_an_onnx_file_scores_at_its_own_size(names: tuple[str, str], tmp_path: Path, picture: np.ndarray) -> None:
    pytest.importorskip("onnxruntime")
    model = mad.from_onnx(_onnx(tmp_path / "model.onnx", names=names))
    score, anomaly_map = model(picture)
    assert score == pytest.approx(wanted(picture, 32), rel=1e-4)
    assert anomaly_map is not None and anomaly_map.shape == (128, 256)
    check_scorer(model)


def test_what_is_no_onnx_model_and_a_missing_library_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"absent\.onnx cannot be read"):
        mad.from_onnx(tmp_path / "absent.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnavailableError, match="needs onnxruntime"):
        mad.from_onnx(tmp_path / "model.onnx")
    monkeypatch.undo()
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match="cannot be read as an ONNX model"):
        mad.from_onnx(tmp_path / "model.onnx")


def test_a_model_scores_a_dataset_under_a_name_of_its_own(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    for name, level in (("train", 0), ("level_0", 0), ("level_1", 1)):
        (tmp_path / "tiles" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (60, 40), (150 - 60 * level + i,) * 3).save(tmp_path / "tiles" / name / f"{i}.png")
    model = mad.from_torch(script, size=32, normalise=None)
    run = mad.score(tmp_path / "tiles", model)
    assert run.metrics()["c_index"] == 1.0 and run.store.run(run.id).scorer.startswith("model-")
    assert mad.score(tmp_path / "tiles", mad.from_torch(script, size=32, normalise=None)).id == run.id
    mad.scorer("darkness", title="Darkness")(model)
    named = mad.score(tmp_path / "tiles", "darkness")
    np.testing.assert_allclose(named.table["score"], run.table["score"])
    mad.scorer("fitted", title="By a function")(lambda normals: model)
    np.testing.assert_allclose(mad.score(tmp_path / "tiles", "fitted").table["score"], run.table["score"])
