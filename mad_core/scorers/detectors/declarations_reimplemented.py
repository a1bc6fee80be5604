"""Declarations of the benchmark's further baselines, all re-implemented here from their papers. No torch here."""

from __future__ import annotations

from functools import partial

from mad_core.scorers.catalog import ScorerInfo, register
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, steps, weights_file


def _side(*sides: str) -> Parameter:
    text = "Side of the square, pixels, in which a picture keeps its aspect; empty: what suits the device."
    return Parameter("size", "choice", None, text, choices=sides)


def _width() -> Parameter:
    return Parameter("width", "int", None, "Channels of the first layer; empty: what suits the device.", 4, 128)


def _working_side() -> Parameter:
    return Parameter("size", "int", 256, "Working side of a typical image, pixels; the aspect is kept.", 64, 1024)


register(
    ScorerInfo(
        id="skip-ganomaly",
        title="Skip-GANomaly",
        family="reconstruction",
        entry="mad_core.scorers.detectors.skip_ganomaly:SkipGanomaly",
        paper="Akcay et al. 2019, Skip-GANomaly (our re-implementation), https://arxiv.org/abs/1901.08954",
        summary="A U-Net redraws the image against a discriminator; what it draws otherwise stands out. "
        "Our re-implementation: pictures keep their aspect, scores are not scaled over the test set, and the "
        "reconstruction error is the map.",
        needs="Nothing: it trains on the normals alone; better on a GPU.",
        cost="Two minutes to fit on two cores; minutes on a GPU; 2 GB.",
        parameters=(_side("64", "128", "256", "512"), _width(), steps(), reduction("model", "model")),
    )
)
register(
    ScorerInfo(
        id="ocr-gan",
        title="OCR-GAN",
        family="reconstruction",
        entry="mad_core.scorers.detectors.ocr_gan:OcrGan",
        paper="Liang et al. 2022, Omni-frequency Channel-selection Representations (our re-implementation), "
        "https://arxiv.org/abs/2203.00259",
        summary="Coarse and fine frequencies of the image are redrawn by two U-Nets that choose channels together. "
        "Our re-implementation: the fine band keeps its sign, the selection is trained, pictures keep their aspect.",
        needs="Nothing: it trains on the normals alone; better on a GPU.",
        cost="Three minutes to fit on two cores; minutes on a GPU; 3 GB.",
        parameters=(_side("64", "128", "256", "512"), _width(), steps(), reduction("model", "model")),
    )
)
register(
    ScorerInfo(
        id="perturbation",
        title="Perturbation resilience",
        family="perturbation",
        entry="mad_core.scorers.detectors.perturbation:Perturbation",
        paper="Shin et al. 2023, Anomaly Detection using Score-based Perturbation Resilience (our re-implementation), "
        "ICCV 2023",
        summary="A score model learns to take noise off normals; where a slightly perturbed image does not return, "
        "something is unseen. Our re-implementation: trained at small noise only, with the same noise for all images.",
        needs="Nothing: it trains on the normals alone; better on a GPU.",
        cost="Three minutes to fit on two cores; minutes on a GPU; 2 GB.",
        parameters=(
            _side("64", "128", "192", "256"),
            _width(),
            steps(),
            Parameter(
                "noise",
                "float",
                0.032,
                "Standard deviation of the perturbation, for pixels in -1 to 1; that of the paper is 0.032.",
                0.005,
                1.0,
                advanced=True,
            ),
            reduction("max"),
        ),
    )
)
register(
    ScorerInfo(
        id="knn",
        title="Deep nearest neighbours",
        family="one-class",
        entry="mad_core.scorers.detectors.knn:Knn",
        paper="Reiss et al. 2021, PANDA, without fine-tuning (our re-implementation), https://arxiv.org/abs/2010.05903",
        summary="Distance of the whole image's deep features to those of the two nearest normals. "
        "Our re-implementation of PANDA's baseline, without its fine-tuning; it gives no anomaly map.",
        needs="Backbone weights (276 MB, once), or the backbone that ships.",
        cost="Under a minute on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            _working_side(),
            Parameter("neighbours", "int", 2, "Nearest normals whose distance counts.", 1, 50),
        ),
        why_not=missing("knn"),
        settle=partial(weights.settled, "knn"),
    )
)
register(
    ScorerInfo(
        id="simplenet",
        title="SimpleNet",
        family="feature discrimination",
        entry="mad_core.scorers.detectors.simplenet:SimpleNet",
        paper="Liu et al. 2023, SimpleNet (our re-implementation; not SuperSimpleNet), "
        "https://arxiv.org/abs/2303.15140",
        summary="A small network learns to tell adapted features of normals from the same with Gaussian noise. "
        "Our re-implementation: it learns from a sample of patches and keeps the last step.",
        needs="Backbone weights (276 MB, once), or the backbone that ships.",
        cost="Two minutes to fit on two cores; 4 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            _working_side(),
            steps(),
            Parameter("patches", "int", 100_000, "Patches of normals kept at most.", 1000, 2_000_000, advanced=True),
            Parameter(
                "noise",
                "float",
                None,
                f"Standard deviation of the noise. Empty: 0.015 as in the paper; with {weights.FORMULA}, whose "
                "features' standard deviation is the unit, what suits it.",
                1e-4,
                10.0,
                advanced=True,
            ),
            reduction("model", "model"),
        ),
        why_not=missing("simplenet"),
        settle=partial(weights.settled, "simplenet"),
    )
)
