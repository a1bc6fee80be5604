"""Every family of multimodal models, tiny: it loads, reads as its whole prompt alone would, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.extras import installed
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.asking import Asker
from mad_core.scorers.multimodal.loading import load
from mad_core.scorers.multimodal.readout import expected_score
from mad_core.scorers.multimodal.showing import Question

from . import tiny_families
from .tiny_families import questions

NUMBERS = (0, 7, 42, 100)
"""Compared with the plain way, one by one; each way to write a number is among them."""
VARIANTS = {"gemma4_bidirectional": "gemma4"}


@pytest.fixture(autouse=True)
def one_thread():
    """As it is meant to be fast: tiny models lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tiny_families.make(family, tmp_path_factory.mktemp(family))
        return made[family]

    return folder


def alone(asker: Asker, question: Question, numbers: Sequence[int]) -> np.ndarray:
    """Log-probabilities of numbers, each by running prompt, cue and number without any cache or batch."""
    pictures = [[Image.fromarray(image) for image in (*question.shared, *question.own)]]
    text = asker.render(question.conversation)
    bos = asker.tokenizer.bos_token
    special = not (bos and text.startswith(bos))
    made = asker.processor(text=[text], images=pictures, return_tensors="pt", add_special_tokens=special)
    found = []
    for number in numbers:
        digits = asker.cues.completions[number][:-1]
        inputs = {k: v for k, v in made.items() if isinstance(v, torch.Tensor) and k != "attention_mask"}
        ends = torch.tensor([[*asker.cues.score, *digits]])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ends], dim=1)
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in inputs:
                inputs[name] = torch.cat([inputs[name], torch.zeros_like(ends, dtype=inputs[name].dtype)], dim=1)
        with torch.inference_mode():
            logits = asker.model(**inputs, use_cache=False).logits[0].double().log_softmax(-1)
        places = range(len(logits) - len(digits) - 1, len(logits) - 1)
        value = sum(float(logits[p, t]) for p, t in zip(places, digits, strict=True))
        longer = any(c[: len(digits)] == digits for n, c in enumerate(asker.cues.completions) if n != number)
        if longer or (number == 0 and len(digits) == 1 and len(asker.trie.tokens)):
            value += float(torch.log1p(-logits[-1, asker.digits].exp().sum()))
        found.append(value)
    return np.array(found)


def ready(family: str) -> None:
    package = models._PACKAGES.get(VARIANTS.get(family, family))
    if package and not installed(package):
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("family", tiny_families.FAMILIES)
def test_a_family_reads_two_pictures_as_each_alone_and_says_why(family, folders):
    ready(family)
    folder = folders(family)
    assert models.why_not({"model": str(folder), "quantisation": "fp32"}) is None
    asker = Asker(load(str(folder), "fp32", "cpu"))
    asked = questions()
    read: list[np.ndarray] = []
    for _, state in asker.begin(asked, asker.cues.score):
        read += list(asker.score_log_probabilities(state))
        reasons = asker.reasons(state, [7, 100][: state.rows], 4)
        assert all(0 < reason.tokens <= 4 or reason.finish == "stop" for reason in reasons)
    right = [alone(asker, question, NUMBERS) for question in asked]
    assert np.abs(right[0] - right[1]).max() > 1e-3, "another picture changes nothing"
    np.testing.assert_allclose(np.array(read)[:, NUMBERS], right, atol=3e-3)


@pytest.mark.parametrize("family", tiny_families.FAMILIES)
def test_a_family_in_four_bits_reads_two_pictures_as_each_alone(family, folders):
    ready(family)
    asker = Asker(load(str(folders(family)), "4bit", "cpu"))
    asked = questions()
    together = [
        row for _, state in asker.begin(asked, asker.cues.score) for row in asker.score_log_probabilities(state)
    ]
    for question, row in zip(asked, together, strict=True):
        ((_, state),) = asker.begin([question], asker.cues.score)
        one = expected_score(asker.score_log_probabilities(state)[0])
        assert expected_score(row).mean == pytest.approx(one.mean, abs=0.5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_every_family_that_is_said_to_run_is_tried_here():
    tried = {VARIANTS.get(family, family) for family in tiny_families.FAMILIES}
    assert tried == models.FAMILIES
