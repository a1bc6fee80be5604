"""OCR-GAN."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import framed_side, framed_width, reduction, steps, tiles

CARD = ScorerInfo(
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
    parameters=(framed_side("64", "128", "256", "512"), framed_width(), steps(), reduction("model", "model"), tiles()),
)
