"""Multimodal models: which are known to work, what they need, whether they are on disk, how to fetch one.

No torch here.

A model is a folder with ``config.json`` and safetensors files, as transformers writes it: the one that ships,
one of the catalogue, any other of the Hub, or a folder of one's own. All are loaded the same way.
"""

import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from mad_core.assets import asset
from mad_core.errors import InputError, UnavailableError
from mad_core.extras import installed
from mad_core.machine.child_environment import of_program
from mad_core.paths import folder_named

SHIPPED = "shipped"
SHIPPED_FOLDER = asset("mllm")
QUANTISATIONS = ("auto", "4bit", "8bit", "bf16", "fp32")
BEST_FIRST = ("bf16", "8bit", "4bit")
"""Precisions for a graphics card."""
CARDS = (8, 16, 24, 80)
"""Memory of common graphics cards, GB."""
PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt", "LICENSE*")
"""What is fetched of a model: weights as safetensors and plain text; never pickles, never code."""
FIRST_PATTERNS = ("*.json", "*.jinja")
"""What is fetched first, to see whether the rest can be used."""
LEFT_PATTERNS = ("consolidated*.safetensors",)
"""What is not fetched: the same weights again, under the names of other programs."""
MOST_JSON_BYTES = 8_000_000
"""Of one JSON file of a model, and of the header of a file of weights."""
_BYTES = {"4bit": 0.56, "8bit": 1.06, "bf16": 2.0, "fp32": 4.0}
"""Bytes a parameter of a quantised layer; the scales of 4-bit blocks are in it."""
_TRAINED = "trained with severity labels on generated images"

FAMILIES = frozenset(
    {
        "aya_vision",
        "cohere2_vision",
        "fast_vlm",
        "gemma3",
        "gemma4",
        "gemma4_unified",
        "glm46v",
        "glm4v",
        "idefics2",
        "idefics3",
        "internvl",
        "lfm2_vl",
        "llava",
        "llava_next",
        "llava_onevision",
        "minicpmv4_6",
        "minicpmv4_7",
        "mistral3",
        "molmo2",
        "ovis2",
        "perception_lm",
        "qwen2_5_vl",
        "qwen2_vl",
        "qwen3_5",
        "qwen3_5_moe",
        "qwen3_vl",
        "qwen3_vl_moe",
        "smolvlm",
        "video_llama_3",
        "vipllava",
    }
)
"""``model_type`` of the families that transformers loads without remote code, take images and text, and talk; a tiny
model of each is tried by the tests."""
UNTRIED = frozenset(
    {
        "aria",
        "cosmos3_edge",
        "deepseek_vl",
        "deepseek_vl_hybrid",
        "exaone4_5",
        "gemma3n",
        "granite4_vision",
        "hunyuan_vl",
        "kimi_k25",
        "lfm3_vl",
    }
)
"""Families that should run too, of which no tiny model is tried; what is asked before a run judges them."""


_BROKEN = {
    "llama4": "its weights are computed in two precisions at once in the transformers that is installed",
    "mllama": "its images do not go on with an answer in the transformers that is installed",
}
"""Families that would load and then fail, and why."""
_PACKAGES = {"smolvlm": "num2words"}
"""Packages that the processors of families need besides."""


ANYTHING, MEDICINE = "anything", "medicine: for the medical rubrics"


@dataclass(frozen=True)
class KnownModel:
    """A model of the catalogue.

    Parameters
    ----------
    id, title : str
    source : str
        Repository on the Hub.
    family : str
        ``model_type`` of its ``config.json``.
    billions : float
        Parameters, 10^9.
    kept : float
        Of these, what is never quantised: embeddings, output layer, vision tower.
    licence : str
    gated : bool
        Whether the Hub asks for an account that has accepted the licence.
    revision : str or None
        Commit to fetch; None: the newest at the first fetch, which is kept from then on.
    use : str
        What it was made for.
    checked : bool
        Whether its name and licence were seen in its maker's own words; else they are what its family has.
    """

    id: str
    title: str
    source: str
    family: str
    billions: float
    kept: float
    licence: str
    gated: bool = False
    revision: str | None = None
    use: str = ANYTHING
    checked: bool = True

    @property
    def licence_text(self) -> str:
        """The licence, and whether that is sure."""
        return self.licence if self.checked else f"{self.licence}, unverified"

    def need(self, quantisation: str) -> float:
        """Memory that loading and scoring take, GB, estimated."""
        return _need(self.billions, self.kept, quantisation)


KNOWN: Mapping[str, KnownModel] = {
    model.id: model
    for model in (
        KnownModel(
            "lfm2.5-vl-1.6b", "LFM2.5-VL 1.6B", "LiquidAI/LFM2.5-VL-1.6B", "lfm2_vl", 1.6, 0.6, "LFM Open License v1.0"
        ),
        KnownModel(
            "minicpm-v-4.7",
            "MiniCPM-V 4.7 1B",
            "openbmb/MiniCPM-V-4.7-1B",
            "minicpmv4_7",
            1.3,
            0.7,
            "Apache-2.0",
            checked=False,
        ),
        KnownModel("qwen3-vl-2b", "Qwen3-VL 2B", "Qwen/Qwen3-VL-2B-Instruct", "qwen3_vl", 2.1, 0.7, "Apache-2.0"),
        KnownModel("qwen3-vl-4b", "Qwen3-VL 4B", "Qwen/Qwen3-VL-4B-Instruct", "qwen3_vl", 4.4, 0.8, "Apache-2.0"),
        KnownModel(
            "medgemma-1.5-4b",
            "MedGemma 1.5 4B",
            "google/medgemma-1.5-4b-it",
            "gemma3",
            4.3,
            1.1,
            "Health AI Developer Foundations terms",
            gated=True,
            use=MEDICINE,
        ),
        KnownModel("qwen3.5-4b", "Qwen3.5 4B", "Qwen/Qwen3.5-4B", "qwen3_5", 4.7, 1.0, "Apache-2.0"),
        KnownModel(
            "internvl3.5-4b", "InternVL3.5 4B", "OpenGVLab/InternVL3_5-4B-HF", "internvl", 4.7, 0.7, "Apache-2.0"
        ),
        KnownModel("qwen3-vl-8b", "Qwen3-VL 8B", "Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl", 8.8, 1.8, "Apache-2.0"),
        KnownModel(
            "internvl3.5-8b", "InternVL3.5 8B", "OpenGVLab/InternVL3_5-8B-HF", "internvl", 8.5, 1.6, "Apache-2.0"
        ),
        KnownModel("molmo2-8b", "Molmo2 8B", "allenai/Molmo2-8B", "molmo2", 8.7, 1.6, "Apache-2.0"),
        KnownModel("gemma-4-e4b", "Gemma 4 E4B", "google/gemma-4-E4B-it", "gemma4", 8.0, 3.8, "Apache-2.0"),
        KnownModel("qwen3.5-9b", "Qwen3.5 9B", "Qwen/Qwen3.5-9B", "qwen3_5", 9.7, 2.5, "Apache-2.0"),
        KnownModel("glm-4.6v-flash", "GLM-4.6V Flash", "zai-org/GLM-4.6V-Flash", "glm46v", 10.3, 2.1, "MIT"),
        KnownModel("gemma-4-12b", "Gemma 4 12B", "google/gemma-4-12B-it", "gemma4_unified", 12.0, 1.1, "Apache-2.0"),
        KnownModel(
            "gemma-3-12b", "Gemma 3 12B", "google/gemma-3-12b-it", "gemma3", 12.2, 1.5, "Gemma terms", gated=True
        ),
        KnownModel(
            "medgemma-27b",
            "MedGemma 27B",
            "google/medgemma-27b-it",
            "gemma3",
            27.4,
            1.9,
            "Health AI Developer Foundations terms",
            gated=True,
            use=MEDICINE,
        ),
        KnownModel("qwen3.6-27b", "Qwen3.6 27B", "Qwen/Qwen3.6-27B", "qwen3_5", 27.8, 3.0, "Apache-2.0"),
        KnownModel("qwen3.8-27b", "Qwen3.8 27B", "Qwen/Qwen3.8-27B", "qwen3_5", 27.8, 3.0, "Apache-2.0", checked=False),
        KnownModel("gemma-4-31b", "Gemma 4 31B", "google/gemma-4-31B-it", "gemma4", 31.0, 2.0, "Apache-2.0"),
        KnownModel("qwen3-vl-32b", "Qwen3-VL 32B", "Qwen/Qwen3-VL-32B-Instruct", "qwen3_vl", 33.4, 2.2, "Apache-2.0"),
    )
}
"""Dense models: under bitsandbytes the weights of mixtures of experts stay 16-bit."""


def _need(billions: float, kept: float, quantisation: str) -> float:
    chosen = "4bit" if quantisation == "auto" else quantisation
    kept_bytes = max(2.0, _BYTES[chosen])
    weights = _BYTES[chosen] * (billions - kept) + kept_bytes * kept
    return weights + 0.3 + 0.12 * weights


# -- on disk ------------------------------------------------------------------------------------


def locate(model: str) -> Path | None:
    """The folder of a model on this machine; None where it was never fetched.

    Parameters
    ----------
    model : str
        ``shipped``, an id of the catalogue, a folder, or ``owner/name`` on the Hub.
    """
    if model == SHIPPED:
        return SHIPPED_FOLDER if (SHIPPED_FOLDER / "config.json").is_file() else None
    if model not in KNOWN:
        folder = folder_named(model)
        if folder is not None:
            return folder
        if not _is_hub_id(model):
            return None
    if not installed("huggingface_hub"):
        return None
    from huggingface_hub import try_to_load_from_cache

    pinned = KNOWN[model].revision if model in KNOWN else None
    cached = try_to_load_from_cache(_source(model), "config.json", revision=pinned)
    return Path(cached).parent if isinstance(cached, str) else None


def _is_hub_id(model: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", model))


def _source(model: str) -> str:
    return KNOWN[model].source if model in KNOWN else model


def _revision(model: str) -> str | None:
    """The commit that is used of a model, None where it was never fetched: the one of the catalogue, else the first."""
    if model in KNOWN and KNOWN[model].revision:
        return KNOWN[model].revision
    folder = locate(model)
    return _commit(folder) if folder else None


def why_not(parameters: Mapping[str, Any]) -> str | None:
    """What is wrong with the chosen model on this machine, and what to do; None if it can run.

    Nothing is loaded: the folder's JSON files and the sizes of its weights say enough.
    """
    model = str(parameters["model"])
    if parameters.get("engine") == "vllm" and not installed("vllm"):
        return "engine=vllm needs vLLM: pip install -r requirements-vllm.txt, best in an environment of its own."
    folder = locate(model)
    if folder is None:
        return _missing(model)
    return _unusable(folder) or _too_big(folder, str(parameters["quantisation"]))


def _missing(model: str) -> str:
    if model == SHIPPED:
        return (
            "The model that ships is not in assets/mllm of this copy. Fetch the copy again, or choose another: "
            "python -m mad_core warm mllm --param model=qwen3-vl-4b."
        )
    if model not in KNOWN and not _is_hub_id(model):
        return (
            f"'{model[:200]}' is no model: give a folder with config.json and safetensors files, "
            "owner/name on the Hub, "
            f"or one of {', '.join((SHIPPED, *KNOWN))}."
        )
    entry = KNOWN.get(model)
    size = f" ({2 * entry.billions:.0f} GB to fetch)" if entry else ""
    account = (
        f" It is gated: accept its licence at https://huggingface.co/{entry.source}, then log in with 'hf auth login'."
        if entry and entry.gated
        else ""
    )
    return (
        f"The model {_source(model)}{size} is not on this machine. "
        f"With network: python -m mad_core warm mllm --param model={model}.{account}"
    )


def _unusable(folder: Path) -> str | None:
    """Why a folder holds no model that can be used; None if it does."""
    return _wrong_kind(folder) or _lacking(folder) or _speechless(folder)


def _wrong_kind(folder: Path) -> str | None:
    """What a model's text files say against it; its weights need not be there."""
    config = _json(folder / "config.json")
    if not config:
        return (
            f"{folder} holds no model: its config.json is missing or cannot be read. "
            "GGUF files are for other programs; take the model as transformers writes it."
        )
    return _wrong_family(folder, config) or _wrong_format(folder, config)


def _wrong_family(folder: Path, config: Mapping[str, Any]) -> str | None:
    family = str(config.get("model_type", ""))
    if family in _BROKEN:
        return f"The model in {folder} is of the type '{family}' and cannot run: {_BROKEN[family]}; take another model."
    if family in _PACKAGES and not installed(_PACKAGES[family]):
        return f"The model in {folder} needs the package {_PACKAGES[family]}: pip install {_PACKAGES[family]}."
    if family in FAMILIES | UNTRIED:
        return None
    if config.get("auto_map"):
        return f"The model in {folder} runs only with code of its own, which is never executed; take another model."
    return (
        f"The model in {folder} is of the type '{family}', which is none that takes images and text and answers; "
        "take an image-text-to-text model such as qwen3-vl-4b."
    )


def _wrong_format(folder: Path, config: Mapping[str, Any]) -> str | None:
    kernel = _hub_kernel(config)
    if kernel:
        return f"The model in {folder} wants code of the Hub, '{kernel[:80]}', which is never run; take another model."
    quantised = config.get("quantization_config")
    method = quantised.get("quant_method", "bitsandbytes") if isinstance(quantised, dict) else "bitsandbytes"
    if not quantised and isinstance(config.get("quantization"), dict):
        method = "MLX"  # which writes its own word
    if method != "bitsandbytes":
        return (
            f"The model in {folder} is quantised by '{method}'; take the unquantised one, it is made 4-bit when loaded."
        )
    return None


def _speechless(folder: Path) -> str | None:
    if _has_chat_template(folder):
        return None
    return f"The model in {folder} has no chat template, so it cannot be asked; take an instruct model."


def _lacking(folder: Path) -> str | None:
    """Which weights of a model are missing."""
    files = weight_files(folder)
    if not files:
        return (
            f"The model in {folder} has no safetensors files; other formats can run code and are never opened. "
            "Convert it with save_pretrained, or take another model."
        )
    there = {path.name for path in folder.iterdir() if path.is_file()}  # an index can name what can be no file at all
    absent = [file.name for file in files if file.name not in there]
    if absent:
        return f"{absent[0][:80]} of the model in {folder} is missing: the fetch was cut off; fetch it again."
    return None


def _hub_kernel(config: Mapping[str, Any]) -> str | None:
    """Code of the Hub that a model's configuration, or a part of it, names as an implementation."""
    waiting: list[Mapping[str, Any]] = [config]
    for part in waiting:  # grows meanwhile
        for name, value in part.items():
            named = list(value.values()) if isinstance(value, dict) else [value]
            if name.endswith("_implementation") and (kernels := [n for n in named if isinstance(n, str) and "/" in n]):
                return kernels[0]
            waiting += [value] if isinstance(value, dict) else []
    return None


def is_quantised(folder: Path) -> bool:
    """Whether the weights on disk are quantised already."""
    return bool(_json(folder / "config.json").get("quantization_config"))


def _has_chat_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    files = ("processor_config.json", "tokenizer_config.json")
    return any("chat_template" in _json(folder / name) for name in files)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, those of its index whether they are there or not."""
    shards = _json(folder / "model.safetensors.index.json").get("weight_map")
    if isinstance(shards, dict) and shards:
        return [folder / name for name in sorted(set(map(str, shards.values()))) if "/" not in name]
    return sorted(file for file in folder.glob("*.safetensors") if not fnmatch(file.name, LEFT_PATTERNS[0]))


def _json(path: Path) -> dict[str, Any]:
    """What a JSON file of a model says; nothing where it cannot be read or is longer than any such file is."""
    try:
        if not path.is_file():  # a pipe would never end
            return {}
        with path.open("rb") as file:
            return _mapping(file.read(MOST_JSON_BYTES + 1))
    except OSError:
        return {}


def _mapping(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_JSON_BYTES:
        return {}
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e12 else 0.0


# -- memory -------------------------------------------------------------------------------------


def _too_big(folder: Path, quantisation: str) -> str | None:
    need, free = folder_need(folder, quantisation), memory()
    if need <= free.gigabytes:
        return None
    smaller = next((q for q in BEST_FIRST if folder_need(folder, q) <= free.gigabytes), None)
    cure = (
        f"set quantisation={smaller}" if smaller else "take a smaller model (python -m mad_core doctor lists what fits)"
    )
    return (
        f"The model in {folder} needs about {need:.1f} GB in {'4bit' if quantisation == 'auto' else quantisation}, "
        f"and {free.where} has {free.gigabytes:.1f} GB free; {cure}."
    )


def chosen_quantisation(folder: Path, device: str) -> str:
    """What ``auto`` is: the best precision that fits a graphics card; 4-bit on the CPU, which waits for memory."""
    if not device.startswith("cuda"):
        return "4bit"
    free = memory(device).gigabytes
    return next((q for q in BEST_FIRST if folder_need(folder, q) <= free), "4bit")


def folder_need(folder: Path, quantisation: str) -> float:
    """Memory that a model on disk takes, GB, estimated from the sizes of its files and its vocabulary."""
    config = _json(folder / "config.json")
    inner = config.get("text_config")
    text: dict[str, Any] = inner if isinstance(inner, dict) else config
    total = sum(file.stat().st_size for file in weight_files(folder) if file.is_file()) / 1e9
    if is_quantised(folder):
        return 0.3 + 1.12 * total
    width = _stored_width(folder)
    billions = total / width
    copies = 1 if config.get("tie_word_embeddings", text.get("tie_word_embeddings", True)) else 2
    embeddings = copies * _number(text.get("vocab_size")) * _number(text.get("hidden_size")) / 1e9
    return _need(billions, min(billions, embeddings + 0.06 * billions), quantisation)


def _stored_width(folder: Path) -> float:
    """Bytes a parameter on disk, from the header of the first file of weights."""
    widths = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1}
    try:
        with weight_files(folder)[0].open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = _mapping(file.read(min(length, MOST_JSON_BYTES + 1)))
    except (OSError, IndexError, struct.error):
        return 2.0
    kinds = [str(entry.get("dtype")) for entry in header.values() if isinstance(entry, dict) and "dtype" in entry]
    return float(max((widths.get(kind, 2) for kind in kinds), default=2))


@dataclass(frozen=True)
class Memory:
    """Free memory of the device that models run on, GB, and what it is called."""

    gigabytes: float
    where: str


def memory(device: str = "") -> Memory:
    """The free memory of a device, or of the one that work runs on; a GPU is asked through its driver, not by torch."""
    from mad_core.settings import Settings

    device = device or Settings.from_environment().device
    free = None if device == "cpu" else _gpu_memory(device)
    if free is not None:
        return Memory(free, "the GPU")
    import psutil

    return Memory(psutil.virtual_memory().available / 1e9, "this machine")


def _gpu_memory(device: str) -> float | None:
    """GB of the first GPU, or of the one named: free as torch sees it, or in all as the driver says."""
    index = int(device.partition(":")[2] or 0) if device.startswith("cuda") else 0
    torch = sys.modules.get("torch")
    if torch is not None:  # a worker: what it holds itself counts as taken
        if not torch.cuda.is_available() or index >= torch.cuda.device_count():
            return None
        return torch.cuda.mem_get_info(index)[0] / 1e9
    cards = _driver_memory()
    return cards[index] if index < len(cards) else None


@lru_cache(maxsize=1)
def _driver_memory() -> tuple[float, ...]:
    """Memory of each GPU in all, GB; empty where there is no driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    try:
        query = [command, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True, env=of_program())
        return tuple(float(line) * 2**20 / 1e9 for line in done.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()


# -- what people see ----------------------------------------------------------------------------


def overview() -> list[dict[str, Any]]:
    """The catalogue as this machine sees it, JSON-able; the model that ships comes first.

    Returns
    -------
    list of dict
        ``id``, ``title``, ``source``, ``licence``, ``use``, ``gated``, ``need_gb`` (by quantisation), ``card_gb``
        (the smallest common card that holds it in 4-bit, or None), ``fits`` (the best quantisation that
        fits this machine, or None), ``on_disk``, ``supervision``.
    """
    free = memory().gigabytes
    entries = [_entry(model, free) for model in KNOWN.values()]
    folder = locate(SHIPPED)
    if folder is None:
        return entries
    needs = {q: round(folder_need(folder, q), 2) for q in _BYTES}
    shipped = {
        "id": SHIPPED,
        "title": "The model that ships",
        "source": "assets/mllm",
        "licence": "Apache-2.0",
        "use": "the first look, on any machine",
        "gated": False,
        "on_disk": True,
        "supervision": _TRAINED,
    }
    return [shipped | _fit(needs, free), *entries]


def _entry(model: KnownModel, free: float) -> dict[str, Any]:
    facts = {
        "id": model.id,
        "title": model.title,
        "source": model.source,
        "licence": model.licence_text,
        "use": model.use,
        "gated": model.gated,
        "on_disk": locate(model.id) is not None,
        "supervision": supervision(model.id),
    }
    return facts | _fit({q: round(model.need(q), 1) for q in _BYTES}, free)


def _fit(needs: Mapping[str, float], free: float) -> dict[str, Any]:
    return {
        "need_gb": dict(needs),
        "card_gb": next((card for card in CARDS if needs["4bit"] <= 1.02 * card), None),
        "fits": next((q for q in BEST_FIRST if needs[q] <= free), None),
    }


def supervision(model: str) -> str:
    """What a model has learned severity from, in words; a folder may say so in its ``inspector.json``."""
    if model == SHIPPED:
        return _TRAINED
    folder = locate(model)
    stated = _json(folder / "inspector.json").get("supervision") if folder else None
    return str(stated) if stated else "general model: no severity labels of this dataset"


def identity(folder: Path) -> dict[str, str]:
    """Which version of a model a folder holds: the commit of a fetched one, else a digest of its files."""
    if folder.parent.name == "snapshots":
        return {
            "revision": folder.name,
            "repository": folder.parents[1].name.removeprefix("models--").replace("--", "/"),
        }
    digest = hashlib.sha256()
    for path in sorted(file for file in folder.iterdir() if file.suffix in (".json", ".jinja", ".safetensors")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return {"digest": digest.hexdigest()}


def _commit(folder: Path) -> str | None:
    """The commit of a fetched model."""
    return folder.name if folder.parent.name == "snapshots" else None


# -- fetching -----------------------------------------------------------------------------------


def needed(scorer_id: str, parameters: Mapping[str, Any]) -> list[str]:
    """Models that a scorer with these parameters takes from the Hub."""
    model = str(parameters.get("model", SHIPPED))
    if scorer_id != "mllm" or model == SHIPPED or (model not in KNOWN and folder_named(model)):
        return []
    return [model]


def fetch(model: str, progress: Callable[[int, int], None]) -> Path:
    """Fetch a model into the Hub's cache; returns its folder.

    Only safetensors and text files are fetched: no pickles, no code. The text files come first, and what they say
    against the model spares the rest; both are of one commit.

    Raises
    ------
    InputError
        If it is neither in the catalogue nor ``owner/name``.
    UnavailableError
        If it is gated, does not exist, cannot be used, or the network does not give it.
    """
    if model not in KNOWN and not _is_hub_id(model):
        raise InputError(_missing(model))
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
    from huggingface_hub.utils import httpx

    source, revision = _source(model), _revision(model)
    gigabytes = round(2 * KNOWN[model].billions) if model in KNOWN else 1
    progress(0, gigabytes)
    try:
        first = huggingface_hub.snapshot_download(source, revision=revision, allow_patterns=list(FIRST_PATTERNS))
        wrong = _wrong_kind(Path(first)) or _speechless(Path(first))
        path = (
            first
            if wrong
            else huggingface_hub.snapshot_download(
                source,
                revision=_commit(Path(first)) or revision,
                allow_patterns=list(PATTERNS),
                ignore_patterns=list(LEFT_PATTERNS),
            )
        )
    except GatedRepoError:
        raise UnavailableError(
            f"{source} is gated: accept its licence at https://huggingface.co/{source}, log in with 'hf auth login', "
            "and run this command again."
        ) from None
    except RepositoryNotFoundError:
        raise UnavailableError(f"The Hub has no model '{source}', or not for you; look its name up.") from None
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"{source} could not be fetched: {_first_line(error)}. What came is kept; run the command again, "
            "or copy the model's folder from another machine and give its path."
        ) from error
    if wrong:
        raise UnavailableError(wrong)
    progress(gigabytes, gigabytes)
    lacking = _lacking(Path(path))
    if lacking:
        raise UnavailableError(lacking)
    return Path(path)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
