"""Teach the backbone to tell blemishes by the distance to the nearest normal patch, as PatchCore uses it.

``python -m tools.backbone.train --out backbone.pt --steps 3000 [--tiles FOLDER]``. An episode is a surface or a
board made by formulas: a few normal pieces, and pieces to judge by them under another light. The loss asks
that the distance of a blemished patch to its nearest normal patch exceed that of any sound one, by ratio.
Stopped, it goes on where it was. ``--tiles`` prints, beside the loss, the AUROC on every other test image of a
folder laid out as the benchmark lays one out; the rest stays unseen.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import nn

from mad_core.scorers.features.formula_net import FormulaNet
from tools.backbone.episodes import NORMALS, Episode, draw_episode, sheets
from tools.mllm.training import Course, say

SHEETS, JUDGED = 900, 60
"""Sheets drawn; the last ``JUDGED`` of them are for judging alone."""
STEEP = 5.0
_COVERED, _TOUCHED = 0.03, 0.004


def patches(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Patch features as PatchCore makes them from the second and third layer: (N, C, H / 8, W / 8)."""
    second, third = (F.avg_pool2d(f.float(), 3, 1, 1) for f in net(images)[-2:])
    return torch.cat([second, F.interpolate(third, second.shape[2:], mode="bilinear")], 1)


def distances(query: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Distance of each row of ``query`` (n, C) to the nearest row of ``bank`` (m, C)."""
    squared = (query * query).sum(1)[:, None] + (bank * bank).sum(1)[None] - 2 * query @ bank.T
    return squared.amin(1).clamp_min(1e-6).sqrt()


def marks_of(shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which patches of (N, H, W) are blemished, and which are surely sound: two masks (N, H / 8 * W / 8)."""
    covered = F.avg_pool2d(shares[:, None], 8)
    widest = covered.flatten(1).amax(1).view(-1, 1, 1, 1)
    blemished = covered > torch.minimum(torch.full_like(widest, _COVERED), 0.4 * widest).clamp_min(_TOUCHED)
    sound = F.max_pool2d(covered, 3, 1, 1) < _TOUCHED
    return blemished.flatten(1), sound.flatten(1)


def loss_of(net: nn.Module, episodes: list[Episode]) -> torch.Tensor:
    """Pairs of a blemished and a sound patch, and of the highest of each of two images, by the ratio of distances."""
    images = np.concatenate([part for e in episodes for part in (e.normals, e.tests)])
    with torch.autocast("cpu", torch.bfloat16):
        features_of_all = patches(net, torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1)
    each = len(images) // len(episodes)
    losses = []
    for episode, features in zip(episodes, features_of_all.flatten(2).transpose(1, 2).split(each), strict=True):
        bank, query = features[:NORMALS].flatten(0, 1), features[NORMALS:]
        far = distances(query.flatten(0, 1), bank).log().view(query.shape[:2])
        blemished, sound = marks_of(torch.from_numpy(episode.shares))
        if not blemished.any() or not sound.any():
            continue
        high, low = far[blemished], far[sound]
        losses.append(F.softplus(STEEP * (low[None, ::4] - high[:, None])).mean())
        highest = torch.where(blemished, far, -torch.inf).amax(1)[blemished.any(1)]
        lowest = torch.where(sound, far, -torch.inf).amax(1)[sound.any(1)]
        losses.append(F.softplus(STEEP * (lowest[None] - highest[:, None])).mean())
    return torch.stack(losses).mean()


@torch.no_grad()
def judged(net: nn.Module, pool: np.ndarray, count: int = 40) -> float:
    """AUROC of the highest distance, blemished pieces against sound ones within an episode; mean over unseen sheets."""
    net.eval()
    rng = np.random.default_rng(1)
    aurocs = []
    for _ in range(count):
        episode = draw_episode(pool, rng)
        images = torch.from_numpy(np.concatenate([episode.normals, episode.tests])).permute(0, 3, 1, 2) * 2 - 1
        features = patches(net, images).flatten(2).transpose(1, 2)
        query = features[NORMALS:]
        far = distances(query.flatten(0, 1), features[:NORMALS].flatten(0, 1)).view(query.shape[:2]).amax(1)
        aurocs.append(float(roc_auc_score(episode.shares.any((1, 2)), far)))
    net.train()
    return float(np.mean(aurocs))


@torch.no_grad()
def judged_on(net: nn.Module, folder: Path, side: int = 256, bank: int = 8000) -> float:
    """AUROC on every other test image of a folder of photographs."""
    net.eval()

    def seen(path: Path) -> torch.Tensor:
        image = Image.open(path).convert("RGB")
        scale = side / (image.width * image.height) ** 0.5
        image = image.resize((max(32, round(image.width * scale)), max(32, round(image.height * scale))))
        pixels = torch.from_numpy(np.asarray(image, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        return patches(net, pixels)[0].flatten(1).T

    normal = torch.cat([seen(path) for path in sorted((folder / "train" / "good").iterdir())])
    normal = normal[torch.randperm(len(normal), generator=torch.Generator().manual_seed(0))[:bank]]
    tests = sorted(path for path in (folder / "test").glob("*/*") if path.is_file())[::2]
    far = [float(distances(seen(path), normal).max()) for path in tests]
    net.train()
    return float(roc_auc_score(["level_0" not in path.parent.name for path in tests], far))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheets", type=int, default=SHEETS)
    parser.add_argument("--tiles", type=Path)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    torch.manual_seed(chosen.seed)
    pool = sheets(chosen.out.with_name("sheets.npy"), chosen.sheets)
    learn, judge = pool[:-JUDGED], pool[-JUDGED:]
    net = FormulaNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    course = Course(net, chosen.out, chosen.steps, chosen.rate, chosen.seed)
    say(f"from step {course.step}")
    while not course.over:
        rng = course.rng()
        course.learn(loss_of(net, [draw_episode(learn, rng) for _ in range(chosen.episodes)]))
        if course.step % 250 == 0:
            sentence = f"step {course.step}: loss {course.loss:.3f}, unseen sheets {judged(net, judge):.3f}"
            say(sentence + (f", photographs {judged_on(net, chosen.tiles):.3f}" if chosen.tiles else ""))
            course.save()
    course.save()


if __name__ == "__main__":
    main()
