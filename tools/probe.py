"""Teach the severity probe: ``python -m tools.probe --out assets/probe --products 400``.

For each made-up product some sound photographs are the normals of a filter bank; others, sound and faulty,
are described by how they depart from it, and a ridge regression learns the score that a made-up rubric of
risk in use gives them. Products, faults and rubrics are those that the multimodal model learns from. The
strength of the penalty is chosen by leaving products out.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.probe import SeverityProbe, described
from mad_core.scorers.image_scorer import single_threaded
from tools.mllm.faults import make_faulty, possible
from tools.mllm.products import Product, make_piece, photograph
from tools.mllm.training import say
from tools.mllm.words import make_rubric

NORMALS, SOUND, FAULTY = 12, 3, 12
PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
_SEED = 5150


def examples(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions (n, features) and severity 0-100 (n,) of the photographs of product ``number``."""
    rng = np.random.default_rng([_SEED, number])
    product = Product.random(rng)
    judged = make_rubric(rng, policy="works")
    probe = SeverityProbe(**catalog.scorer("probe").defaults())
    normals = [probe.prepare(photograph(make_piece(product, rng), rng)[0])[0] for _ in range(NORMALS)]
    probe.learn(torch.stack(normals), Context())
    departures, scores = [], []
    for k in range(SOUND + FAULTY):
        family = str(rng.choice(possible(product))) if k >= SOUND else None
        piece, extent = make_faulty(product, family, rng) if family else (make_piece(product, rng), 0.0)
        prepared = probe.prepare(photograph(piece, rng)[0])
        departures.append(described(prepared[0], probe.centre, probe.spread, probe.mapped([prepared])[0]).numpy())
        scores.append(judged.score(family, extent))
    return np.stack(departures), np.array(scores, float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--products", type=int, default=400)
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    with single_threaded():
        drawn = []
        for number in range(chosen.products):
            drawn.append(examples(number))
            if number % 50 == 49:
                say(f"{number + 1} products")
    x, y = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    product = np.repeat(np.arange(chosen.products), SOUND + FAULTY)
    centre, scale = x.mean(0), x.std(0) + 1e-3
    z = (x - centre) / scale
    folds = GroupKFold(5)
    search = GridSearchCV(Ridge(), {"alpha": PENALTIES}, cv=folds, scoring="neg_mean_absolute_error")
    search.fit(z, y, groups=product)
    best = search.best_estimator_
    left_out = np.asarray(cross_val_predict(best, z, y, groups=product, cv=folds))
    error = mean_absolute_error(y, left_out)
    r = pearsonr(y, left_out)[0]
    say(f"penalty {best.alpha:g}; products left out: mean error {error:.1f} of 100, r {r:.2f}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    facts = {"centre": centre, "scale": scale, "slope": best.coef_, "offset": np.array(best.intercept_)}
    save_file({k: torch.tensor(v, dtype=torch.float32) for k, v in facts.items()}, chosen.out / "probe.safetensors")


if __name__ == "__main__":
    main()
