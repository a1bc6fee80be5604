"""Second stage: teach the language model to read rubrics, with ideal cells in the place of pictures.

``python -m tools.mllm.reader --tokenizer FOLDER --out reader.pt --steps 4000``. What the tower would say of a
picture is made up: a grid of cells, some of which show a fault. So thousands of rubrics an hour are read
without a picture being drawn.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import FastVlmForConditionalGeneration, PreTrainedTokenizerFast

from mad_core.scorers.multimodal.prompts import ask
from tools.mllm.faults import FAMILIES
from tools.mllm.model import TOWER_WIDTH, WIDTH, make_model
from tools.mllm.packing import Answers, Packed, Sheet, Shown, Wording, write_sheet
from tools.mllm.tokens import END, IMAGE, PAD, token_id
from tools.mllm.training import Course, say
from tools.mllm.words import make_context, make_easy, make_product, make_rubric

GRID = 4
"""Cells a side of the made-up grid; a picture has twice as many."""
FEW = 4
"""Cells of the pictures in which there is nothing to see here: the reference and the image itself."""
NOTHING = len(FAMILIES)
SCORE_WEIGHT = 2.0
HINT_WEIGHT = 0.2


def start(tokenizer: PreTrainedTokenizerFast) -> FastVlmForConditionalGeneration:
    """The model with random weights, for this tokenizer."""
    image, padding, end = (token_id(tokenizer, token) for token in (IMAGE, PAD, END))
    return make_model(len(tokenizer), image, padding, end)


class Ideal:
    """What a good tower would say: a direction in its space for each family of faults."""

    def __init__(self, seed: int = 7) -> None:
        directions = np.random.default_rng(seed).standard_normal((NOTHING + 1, TOWER_WIDTH)).astype(np.float32)
        self.directions = np.abs(directions)  # features after a ReLU

    def picture(self, family: int, extent: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cells (GRID * GRID, TOWER_WIDTH) with a fault on some of them, and the share of each that it covers."""
        share = np.zeros((GRID, GRID), np.float32)
        if family < NOTHING:
            y, x = rng.integers(GRID, size=2)
            for _ in range(1 + round(extent * 5)):
                share[y, x] = 1
                step = rng.integers(-1, 2, size=2)
                y, x = np.clip([y + step[0], x + step[1]], 0, GRID - 1)
        strength = share.reshape(-1, 1) * rng.uniform(0.5, 1.0, (GRID * GRID, 1))
        cells = self.directions[NOTHING] * (1 - strength) + self.directions[min(family, NOTHING)] * strength
        if rng.random() < 0.3:  # something faint that is nothing
            k = int(rng.integers(GRID * GRID))
            cells[k] += 0.2 * self.directions[int(rng.integers(NOTHING))]
        return (cells + 0.25 * rng.standard_normal(cells.shape)).astype(np.float32), share


def draw_sheet(
    wording: Wording,
    ideal: Ideal,
    rng: np.random.Generator,
    questions: int,
    *,
    held_out: bool = False,
    easy: bool = False,
) -> Sheet:
    """A rubric and some pictures judged by it."""
    judged = make_easy(rng) if easy else make_rubric(rng, held_out=held_out)
    text = judged.rubric.wording() if easy else judged.rubric.wording("", make_product(rng)) + make_context(rng)
    talk = ask(text, expert=judged.rubric.expert, references=1, view=True)
    nothing, _ = ideal.picture(NOTHING, 0, rng)
    shown = []
    for _ in range(questions):
        family = int(rng.integers(NOTHING)) if rng.random() < 0.85 else NOTHING
        extent = float(rng.random()) if family < NOTHING else 0.0
        view, share = ideal.picture(family, extent, rng)
        shown.append(Shown(family, extent, share, np.concatenate([view, nothing[:FEW]])))
    return write_sheet(wording, judged, talk, (FEW, GRID * GRID, FEW), nothing[:FEW], shown, rng)


class Hints(nn.Module):
    """Asks the middle states which line a token stands in, which family it names, and what a picture shows.

    And asks two heads of attention to look where the pointers point. Without hints the model needs many
    thousand rubrics before it finds out that there is something to look up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(WIDTH, 12)
        self.named = nn.Linear(WIDTH, NOTHING)
        self.shown = nn.Linear(WIDTH, NOTHING + 1)

    def forward(self, answers: Answers, sheets: Sequence[Sheet]) -> torch.Tensor:
        line = torch.tensor([mark for sheet in sheets for mark in sheet.marks.line])
        named = torch.tensor([mark for sheet in sheets for mark in sheet.marks.family])
        family = torch.tensor([q.family for sheet in sheets for q in sheet.questions])
        loss = F.cross_entropy(self.line(answers.read), line, ignore_index=-1)
        loss = loss + F.cross_entropy(self.shown(answers.asked), family)
        if (named >= 0).any():
            loss = loss + F.cross_entropy(self.named(answers.read), named, ignore_index=-1)
        return loss - torch.log(answers.looked + 1e-4).sum() / max(1, len(answers.looked))


class Reading(nn.Module):
    """The model with its hints."""

    def __init__(self, model: FastVlmForConditionalGeneration) -> None:
        super().__init__()
        self.packed = Packed(model)
        self.hints = Hints()

    def learned(self, sheets: Sequence[Sheet], cue: int) -> torch.Tensor:
        """The loss of a step."""
        answers = self.packed(sheets)
        return loss_of(answers, cue) + HINT_WEIGHT * self.hints(answers, sheets)


def loss_of(answers: Answers, cue: int) -> torch.Tensor:
    """Mean over answer tokens; the digits of the score weigh more."""
    weight = torch.where((answers.place >= cue) & (answers.place < cue + 2), SCORE_WEIGHT, 1.0)
    weight[answers.place < cue] = 0.1
    return (answers.losses * weight).sum() / weight.sum()


@torch.no_grad()
def judged_well(packed: Packed, sheets: list[Sheet], wording: Wording) -> float:
    """Share of pairs of one rubric, ten or more apart, that the model orders rightly, by their first digits."""
    packed.eval()
    right: list[float] = []
    for sheet in sheets:
        answers = packed([sheet])
        digits = [wording.text(str(d))[0] for d in range(10)]
        first = answers.logits[answers.place == wording.cue][:, digits].softmax(1) @ torch.arange(10.0)
        truth = [int(str(wording.tokenizer.decode(q.answer)).split(":")[1].split("\n")[0]) for q in sheet.questions]
        for i in range(len(truth)):
            for j in range(i):
                if abs(truth[i] - truth[j]) >= 10 and min(truth[i], truth[j]) >= 10 and max(truth) < 100:
                    right.append(float((first[i] > first[j]) == (truth[i] > truth[j])))
    packed.train()
    return float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--sheets", type=int, default=8)
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(chosen.tokenizer)
    wording, ideal = Wording(tokenizer), Ideal()
    reading = Reading(start(tokenizer))
    packed = reading.packed
    packed.model.model.vision_tower.requires_grad_(False)
    course = Course(reading, chosen.out, chosen.steps, chosen.rate, chosen.seed)
    say(f"from step {course.step}")
    while not course.over:
        rng = course.rng()
        ease = max(0.0, 0.9 - 2.0 * course.step / chosen.steps)
        sheets = [
            draw_sheet(wording, ideal, rng, chosen.questions, easy=bool(rng.random() < ease))
            for _ in range(chosen.sheets)
        ]
        course.learn(reading.learned(sheets, wording.cue))
        if course.step % 100 == 0:
            rng = np.random.default_rng([chosen.seed, 1])
            kinds = ({"easy": True}, {}, {"held_out": True})
            trials = [[draw_sheet(wording, ideal, rng, 8, **kind) for _ in range(12)] for kind in kinds]
            right = [judged_well(packed, sheets, wording) for sheets in trials]
            say(f"step {course.step}: loss {course.loss:.3f}, pairs (easy, usual, otherwise) {np.round(right, 3)}")
        if course.step % 500 == 0:
            course.save()
    course.save()


if __name__ == "__main__":
    main()
