"""Third stage: real pictures in the place of ideal cells, tower fixed, projector and language model learn.

``python -m tools.mllm.joint --pictures FOLDER --tower tower.pt --reader reader.pt --tokenizer FOLDER --out joint.pt``.
What the tower says of each picture is computed once and kept beside the checkpoint.
"""

import argparse
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from transformers import PreTrainedTokenizerFast
from transformers.models.fast_vlm.modeling_fast_vlm import FastVlmMultiModalProjector

from mad_core.scorers.multimodal.prompts import ask
from tools.mllm.model import cells_of
from tools.mllm.packing import Sheet, Shown, Wording, write_sheet
from tools.mllm.pictures import CELLS, Shard, decode
from tools.mllm.reader import NOTHING, Ideal, Reading, judged_well, start
from tools.mllm.tower import Tower, labels_of, residue_of, to_pixels, varied
from tools.mllm.training import Course, say
from tools.mllm.words import make_context, make_product, make_rubric

HELD_BACK = 3
"""Shards, the last ones, that are judged and never learned from."""
SOUND_WEIGHT = 2.5
"""How much more often a sound piece is asked about than it was drawn."""
_AT_ONCE = 16
_PLAIN = 0.5
"""How often a view is shown as it is."""
_OWN = 0.4
"""How often the view comes with its own photograph and reference: what departs from normal stands in the view, and
photographs of a product that was never drawn must not be taken for evidence."""
_LOUDER = 0.4
"""Standard deviation of the logarithm of a strange channel's gain."""


@dataclass(frozen=True)
class Seen:
    """What the tower says of some products: cells of shape (n, CELLS * CELLS, C), float16.

    Photographs stand product by product, equally many each. ``varied`` are the views in another contrast,
    with grain and with edges that lie askew.
    """

    references: np.ndarray
    images: np.ndarray
    views: np.ndarray
    varied: np.ndarray
    families: np.ndarray
    extents: np.ndarray
    cells: np.ndarray

    @property
    def each(self) -> int:
        return len(self.images) // len(self.references)

    def of_product(self, product: int) -> np.ndarray:
        return np.arange(product * self.each, (product + 1) * self.each)


@torch.no_grad()
def look(tower: Tower, pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Cells of pictures."""
    pictures, cells = iter(pictures), []
    while some := list(itertools.islice(pictures, _AT_ONCE)):
        cells.append(cells_of(tower.tower, to_pixels(some)).numpy())
    return np.concatenate(cells).astype(np.float16)


def see(tower: Tower, paths: list[Path]) -> Seen:
    """What the tower says of the pictures of some shards."""
    shards = [Shard.read(path) for path in paths]
    parts = {}
    for kind in ("references", "images", "views"):
        parts[kind] = look(tower, (decode(blob) for shard in shards for blob in getattr(shard, kind)))
        say(f"looked at {len(parts[kind])} {kind}")
    rng = np.random.default_rng(0)
    both = ((decode(view), decode(image)) for s in shards for view, image in zip(s.views, s.images, strict=True))
    parts["varied"] = look(tower, (varied(view, rng, residue_of(image, rng)) for view, image in both))
    facts = {kind: np.concatenate([getattr(s, kind) for s in shards]) for kind in ("families", "extents", "cells")}
    return Seen(**parts, **facts)


def seen(pictures: Path, tower: Path, kept: Path) -> tuple[Seen, Seen]:
    """What the tower says of the pictures to learn from and of those held back; kept in two files."""
    paths = sorted(pictures.glob("[0-9]*.npz"))
    groups = {"learn": paths[:-HELD_BACK], "judge": paths[-HELD_BACK:]}
    parts = []
    model = Tower()
    model.load_state_dict(torch.load(tower, map_location="cpu", weights_only=True)["model"])
    model.eval()
    for name, group in groups.items():
        path = kept.with_name(f"{kept.stem}-{name}.npz")
        if not path.exists():
            fresh = see(model, group)
            np.savez(path, **{field: getattr(fresh, field) for field in Seen.__dataclass_fields__})
        with np.load(path) as data:
            parts.append(Seen(**{field: data[field] for field in Seen.__dataclass_fields__}))
    return parts[0], parts[1]


def draw_sheet(
    wording: Wording, pictures: Seen, rng: np.random.Generator, questions: int, *, held_out: bool = False
) -> Sheet:
    """A made-up rubric for a made-up product, and some of its photographs judged by it."""
    judged = make_rubric(rng, held_out=held_out)
    text = judged.rubric.wording("", make_product(rng)) + make_context(rng)
    talk = ask(text, expert=judged.rubric.expert, references=1, view=True)
    product = int(rng.integers(len(pictures.references)))
    shown = []
    photographs = pictures.of_product(product)
    weight = np.where(pictures.families[photographs] < 0, SOUND_WEIGHT, 1.0)
    for k in rng.choice(photographs, questions, replace=False, p=weight / weight.sum()):
        family = int(pictures.families[k]) if pictures.families[k] >= 0 else NOTHING
        views = pictures.views if rng.random() < _PLAIN else pictures.varied
        photograph = pictures.images[k] if rng.random() < _OWN else strange(pictures.images, rng)
        cells = np.concatenate([views[k], photograph])
        shown.append(Shown(family, float(pictures.extents[k]), pictures.cells[k], cells))
    each = CELLS * CELLS
    reference = pictures.references[product] if rng.random() < _OWN else strange(pictures.references, rng)
    return write_sheet(wording, judged, talk, (each, each, each), reference, shown, rng)


def strange(photographs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells of some other photograph, as of a surface that nobody knows: channels louder or quieter, turned about."""
    cells = photographs[rng.integers(len(photographs))].reshape(CELLS, CELLS, -1)
    cells = np.rot90(cells, int(rng.integers(4)))
    gains = np.exp(rng.normal(0.0, _LOUDER, cells.shape[-1]))
    return (cells * gains).astype(np.float16).reshape(CELLS * CELLS, -1)


@torch.no_grad()
def align(projector: FastVlmMultiModalProjector, pictures: Seen, most: int = 3000) -> None:
    """Let the projector begin where the reader left it: turn real cells into the ideal ones it knows.

    A ridge regression from cells of difference views to the ideal direction of what they show, in which
    each family weighs as much as all that is nothing does; it goes into the projector's first layer.
    """
    ideal = torch.from_numpy(Ideal().directions)
    cells = torch.from_numpy(pictures.views[:most].astype(np.float32)).flatten(0, 1)
    marks = [labels_of(int(f), c).ravel() for f, c in zip(pictures.families[:most], pictures.cells[:most], strict=True)]
    labels = torch.from_numpy(np.concatenate(marks))
    cells, labels = cells[labels >= 0], labels[labels >= 0]
    weight = (1 / torch.bincount(labels, minlength=NOTHING + 1).clamp(1).float())[labels]
    weight[labels == NOTHING] *= NOTHING
    x = torch.cat([cells, torch.ones(len(cells), 1)], 1)
    gram = x.T @ (x * weight[:, None])
    gram.diagonal().add_(1e-3 * float(gram.diagonal().mean()))
    turn = torch.linalg.solve(gram, x.T @ (ideal[labels] * weight[:, None]))
    first = projector.linear_1
    first.bias += first.weight @ turn[-1]
    first.weight.copy_(first.weight @ turn[:-1].T)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name in ("pictures", "tower", "reader", "tokenizer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--sheets", type=int, default=6)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.manual_seed(chosen.seed)
    learn, judge = seen(chosen.pictures, chosen.tower, chosen.out)
    wording = Wording(PreTrainedTokenizerFast.from_pretrained(chosen.tokenizer))
    reading = Reading(start(wording.tokenizer))
    reading.load_state_dict(torch.load(chosen.reader, map_location="cpu", weights_only=True)["model"])
    packed = reading.packed
    packed.model.model.vision_tower.requires_grad_(False)
    align(packed.model.model.multi_modal_projector, learn)
    course = Course(reading, chosen.out, chosen.steps, chosen.rate, chosen.seed)
    say(f"{len(learn.images)} pictures, from step {course.step}")
    while not course.over:
        if course.step % 100 == 0:
            rng = np.random.default_rng([chosen.seed, 1])
            right = [
                judged_well(packed, [draw_sheet(wording, judge, rng, 8, held_out=held) for _ in range(8)], wording)
                for held in (False, True)
            ]
            say(f"step {course.step}: loss {course.loss:.3f}, pairs (usual, worded otherwise) {np.round(right, 3)}")
            course.save()
        rng = course.rng()
        sheets = [draw_sheet(wording, learn, rng, chosen.questions) for _ in range(chosen.sheets)]
        course.learn(reading.learned(sheets, wording.cue))
    course.save()


if __name__ == "__main__":
    main()
