"""The catalogue of multimodal models: what is wrong with a choice is said before any work, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mad_core.errors import InputError, UnavailableError
from mad_core.scorers.multimodal import models


def model_folder(folder: Path, **config: Any) -> Path:
    """A folder that looks like a model of 1,000,000 16-bit parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"model_type": "llava", "text_config": {"vocab_size": 1000, "hidden_size": 100}}
    (folder / "config.json").write_text(json.dumps(facts | config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    save_file({"weight": np.zeros((1000, 1000), np.float16)}, folder / "model.safetensors")
    return folder


def why(model: str | Path, quantisation: str = "auto") -> str | None:
    return models.why_not({"model": str(model), "quantisation": quantisation})


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty Hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_good_folder_has_nothing_against_it(tmp_path):
    assert why(model_folder(tmp_path / "good")) is None


def test_models_that_are_not_here_are_named_with_the_command_that_fetches_them():
    sentence = why("qwen3-vl-4b")
    assert sentence and "Qwen/Qwen3-VL-4B-Instruct (9 GB to fetch)" in sentence
    assert "python -m mad_core warm mllm --param model=qwen3-vl-4b" in sentence
    assert "model=some/thing" in str(why("some/thing"))
    assert "gated" in str(why("gemma-3-12b")) and "accept its licence" in str(why("gemma-3-12b"))
    assert "is no model" in str(why("no such thing")) and "is no model" in str(why("/nowhere/at/all/here"))


def test_the_model_that_ships_is_named_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "SHIPPED_FOLDER", tmp_path / "none")
    assert "assets/mllm" in str(why("shipped"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "llama"}, "none that takes images"),
        ({"model_type": "mine", "auto_map": {"AutoModel": "x.Y"}}, "code of its own"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantised by 'awq'"),
    ],
)
def test_folders_that_hold_something_else_are_told_apart(config, sentence, tmp_path):
    assert sentence in str(why(model_folder(tmp_path / "m", **config)))


def test_folders_that_are_not_whole_are_told_apart(tmp_path):
    folder = model_folder(tmp_path / "m")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model.safetensors"}}))
    assert "model-1.safetensors" in str(why(folder)) and "fetch it again" in str(why(folder))
    index.unlink()
    (folder / "tokenizer_config.json").write_text("{}")
    assert "chat template" in str(why(folder))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "no safetensors files" in str(why(folder))
    (folder / "config.json").write_text("not JSON")
    assert "config.json is missing or cannot be read" in str(why(folder))


def test_what_does_not_fit_is_said_with_what_would(tmp_path, monkeypatch):
    folder = model_folder(tmp_path / "m")
    needs = {q: models.folder_need(folder, q) for q in ("4bit", "8bit", "bf16", "fp32")}
    assert needs["4bit"] < needs["8bit"] < needs["bf16"] < needs["fp32"]
    assert needs["bf16"] == pytest.approx(0.3 + 1.12 * 0.002, rel=0.01)
    free = (needs["4bit"] + needs["8bit"]) / 2
    monkeypatch.setattr(models, "memory", lambda: models.Memory(free, "this machine"))
    assert "set quantisation=4bit" in str(why(folder, "bf16")) and why(folder) is None
    monkeypatch.setattr(models, "memory", lambda: models.Memory(0.1, "the GPU"))
    assert "the GPU has 0.1 GB free; take a smaller model" in str(why(folder))


def test_needs_of_the_catalogue_are_near_what_is_known():
    known = {"qwen3-vl-4b": 3.5, "qwen3-vl-8b": 7.3, "qwen3.5-9b": 8.6}  # weights alone, 4-bit
    for model, weights in known.items():
        assert weights < models.KNOWN[model].need("4bit") < 1.35 * weights
    by_card = {card: [m.id for m in models.KNOWN.values() if m.need("4bit") <= 1.02 * card] for card in models.CARDS}
    assert all(by_card.values()) and "qwen3.6-27b" in by_card[24] and len(by_card[80]) == len(models.KNOWN)


def test_families_are_known_to_transformers():
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

    assert set(NAMES) >= models.FAMILIES
    assert {m.family for m in models.KNOWN.values()} <= models.FAMILIES


def test_overview_says_what_fits_and_what_is_here(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "memory", lambda: models.Memory(10.0, "the GPU"))
    monkeypatch.setattr(models, "SHIPPED_FOLDER", model_folder(tmp_path / "shipped"))
    entries = {entry["id"]: entry for entry in models.overview()}
    assert next(iter(entries)) == "shipped" and entries["shipped"]["on_disk"]
    assert "severity labels on generated images" in entries["shipped"]["supervision"]
    assert entries["qwen3-vl-4b"]["fits"] == "8bit" and entries["qwen3.6-27b"]["fits"] is None
    assert entries["qwen3-vl-4b"]["card_gb"] == 8 and not entries["qwen3-vl-4b"]["on_disk"]
    json.dumps(list(entries.values()))


# -- fetching -----------------------------------------------------------------------------------


def fake_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def snapshot_download(repo_id: str, **options: Any) -> str:
        calls.append({"repo_id": repo_id, **options})
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return calls


def test_fetching_takes_safetensors_and_text_and_nothing_that_runs(monkeypatch, tmp_path):
    calls = fake_hub(monkeypatch, model_folder(tmp_path / "m"))
    steps: list[tuple[int, int]] = []
    assert models.fetch("qwen3-vl-4b", lambda done, total: steps.append((done, total))) == tmp_path / "m"
    assert calls[0]["repo_id"] == "Qwen/Qwen3-VL-4B-Instruct" and steps == [(0, 9), (9, 9)]
    assert calls[0]["allow_patterns"] == ["*.json", "*.jinja"]  # text first
    patterns = calls[1]["allow_patterns"]
    assert "*.safetensors" in patterns and not any(
        p.endswith((".bin", ".py", ".pt", "*")) for p in patterns if p != "LICENSE*"
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised by 'gptq'"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised by 'fp8'"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "quantised by 'MLX'"),
        ({"model_type": "llama4"}, "'llama4' and cannot run"),
        ({"model_type": "mllama"}, "'mllama' and cannot run"),
    ],
)
def test_what_config_json_says_against_a_model_spares_its_weights(monkeypatch, tmp_path, config, words):
    folder = model_folder(tmp_path / "snapshots" / "0123abcd", **config)
    calls = fake_hub(monkeypatch, folder)
    with pytest.raises(UnavailableError, match=words):
        models.fetch("some/model", lambda done, total: None)
    assert len(calls) == 1 and "*.safetensors" not in calls[0]["allow_patterns"]


def test_text_and_weights_of_a_fetched_model_are_of_one_commit_and_weights_come_once(monkeypatch, tmp_path):
    folder = model_folder(tmp_path / "snapshots" / "0123abcd")
    calls = fake_hub(monkeypatch, folder)
    models.fetch("some/model", lambda done, total: None)
    assert [call["revision"] for call in calls] == [None, "0123abcd"]
    assert calls[1]["ignore_patterns"] == ["consolidated*.safetensors"]
    (folder / "consolidated.safetensors").write_bytes(b"")
    assert "consolidated.safetensors" not in {file.name for file in models.weight_files(folder)}


def test_a_family_whose_processor_needs_a_package_says_which(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "installed", lambda name: name != "num2words")
    assert "pip install num2words" in str(why(model_folder(tmp_path / "m", model_type="smolvlm")))


def test_what_cannot_be_fetched_is_a_sentence(monkeypatch, tmp_path):
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.utils import httpx

    response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co/x"))
    for error, words in (
        (GatedRepoError("gated", response=response), "accept its licence"),
        (RepositoryNotFoundError("no", response=response), "has no model"),
        (OSError("No route to host\nmore"), "No route to host. What came is kept"),
        (httpx.ReadTimeout("The read timed out"), "timed out. What came is kept"),
    ):
        fake_hub(monkeypatch, error)
        with pytest.raises(UnavailableError, match=words):
            models.fetch("some/model", lambda done, total: None)
    fake_hub(monkeypatch, model_folder(tmp_path / "text", model_type="llama"))
    with pytest.raises(UnavailableError, match="none that takes images"):
        models.fetch("some/model", lambda done, total: None)
    with pytest.raises(InputError, match="is no model"):
        models.fetch("not a model", lambda done, total: None)


def test_warm_fetches_a_model_and_doctor_lists_what_fits(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from mad_core.cli.main import app

    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    folder = model_folder(tmp_path / "m")
    fake_hub(monkeypatch, folder)
    done = CliRunner().invoke(app, ["warm", "mllm", "--param", "model=qwen3-vl-4b", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [{"scorer": "mllm", "weights": "qwen3-vl-4b", "path": str(folder)}]
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert {entry["id"] for entry in report["models"]} >= set(models.KNOWN)
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert "qwen3-vl-4b" in text and "to be fetched" in text and "Apache-2.0" in text


@pytest.mark.parametrize(("gigabytes", "chosen"), [(80.0, "bf16"), (0.0, "8bit"), (0.001, "4bit")])
def test_auto_is_the_best_precision_that_fits_a_card_and_4bit_without_one(tmp_path, monkeypatch, gigabytes, chosen):
    folder = model_folder(tmp_path / "m", text_config={"vocab_size": 10, "hidden_size": 10})
    needs = {q: models.folder_need(folder, q) for q in models.BEST_FIRST}
    if chosen == "8bit":
        gigabytes = (needs["bf16"] + needs["8bit"]) / 2
    monkeypatch.setattr(models, "memory", lambda device="": models.Memory(gigabytes, "the GPU"))
    assert models.chosen_quantisation(folder, "cuda:0") == chosen
    assert models.chosen_quantisation(folder, "cpu") == "4bit"


def test_the_commit_of_the_first_fetch_is_kept(tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--some--model"
    folder = model_folder(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    calls = fake_hub(monkeypatch, folder)
    models.fetch("some/model", lambda done, total: None)
    assert [call["revision"] for call in calls] == [commit, commit]


def test_the_catalogue_says_what_a_model_was_made_for_and_what_is_not_sure_of_its_licence():
    entries = {entry["id"]: entry for entry in models.overview()}
    medical = {name for name, entry in entries.items() if entry["use"].startswith("medicine")}
    assert medical == {"medgemma-1.5-4b", "medgemma-27b"} and entries["medgemma-27b"]["gated"]
    unverified = {name for name, entry in entries.items() if entry["licence"].endswith("unverified")}
    assert unverified == {name for name, model in models.KNOWN.items() if not model.checked}
    assert {model.family for model in models.KNOWN.values()} <= models.FAMILIES


def test_only_models_of_the_hub_are_fetched(tmp_path):
    assert models.needed("mllm", {"model": "shipped"}) == []
    assert models.needed("mllm", {"model": str(tmp_path)}) == []
    assert models.needed("mllm", {"model": "qwen3-vl-4b"}) == ["qwen3-vl-4b"]
    assert models.needed("patchcore", {"backbone": "x"}) == []


def test_a_fetched_model_is_found_and_its_commit_is_recorded(tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--some--model"
    folder = model_folder(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert models.locate("some/model") == folder and why("some/model") is None
    assert models.identity(folder) == {"revision": commit, "repository": "some/model"}
    own = model_folder(tmp_path / "own")
    first = models.identity(own)["digest"]
    (own / "config.json").write_text("{}")
    assert models.identity(own)["digest"] != first


def test_neither_catalogue_nor_declaration_loads_torch():
    code = (
        "import sys; from mad_core.scorers import catalog; from mad_core.scorers.multimodal import models; "
        "models.overview(); catalog.scorer('mllm').to_json(); print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "set()"
