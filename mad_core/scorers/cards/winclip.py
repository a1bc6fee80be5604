"""WinCLIP."""

from mad_core.extras import lacking
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features.weights import why_not
from mad_core.scorers.parameters import reduction, tiles, weights_file

CARD = ScorerInfo(
    id="winclip",
    title="WinCLIP",
    family="vision foundation",
    entry="mad_core.scorers.detectors.winclip:WinClip",
    paper="Jeong et al. 2023, WinCLIP, https://arxiv.org/abs/2303.14814",
    summary="Compares windows of a picture with sentences about whole and damaged objects. "
    "Needs no normals; a few of them help it.",
    needs="CLIP weights (833 MB, once) and open_clip (requirements-clip.txt).",
    cost="About 2 s an image on two cores; 3 GB.",
    needs_fit=False,
    supervision="none",
    needs_weights=True,
    parameters=(
        weights_file(),
        Parameter("object", "text", "", "What the pictures show, in English; empty: as the subset's card names it."),
        Parameter("shots", "int", 0, "Normals that are shown as references; 0 for none.", 0, 16),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=lambda parameters: lacking("open_clip", "clip") or why_not("winclip", parameters),
)
