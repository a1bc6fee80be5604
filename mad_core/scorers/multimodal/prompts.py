"""The conversation that asks a multimodal model for a severity score: what comes first, and what an image adds.

Everything that is the same for all images of a subset (system line, rubric, references, anchors) stands
first, the image to judge last: so the first part is encoded once, here and by servers that cache prefixes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SCORE_CUE = "Anomaly Score: "
REASON_CUE = "Reason: "
_FORM = (
    f"Answer in two lines: '{SCORE_CUE}' and a whole number from 0 (normal) to 100 (most severe), "
    f"then '{REASON_CUE}' and one sentence that fits the number."
)


@dataclass(frozen=True)
class Piece:
    """A text, or the place of an image (its ``text`` is then empty)."""

    kind: Literal["text", "image"]
    text: str = ""

    def to_json(self) -> dict[str, str]:
        return {"type": "text", "text": self.text} if self.kind == "text" else {"type": "image"}


@dataclass(frozen=True)
class Conversation:
    """One system line and one user turn whose last pieces differ from image to image.

    Parameters
    ----------
    system : str
    shared : tuple of Piece
        The same for every image.
    own : tuple of Piece
        What one image adds; its last image is the one to judge.
    """

    system: str
    shared: tuple[Piece, ...]
    own: tuple[Piece, ...]

    def messages(self) -> list[dict[str, Any]]:
        """The conversation in the form that chat templates take."""
        content = [piece.to_json() for piece in (*self.shared, *self.own)]
        return [
            {"role": "system", "content": [{"type": "text", "text": self.system}]},
            {"role": "user", "content": content},
        ]


def ask(
    wording: str,
    *,
    expert: str = "",
    references: int = 0,
    anchors: Sequence[str] = (),
    nearest: int = 0,
    view: bool = False,
    crop: bool = False,
    policy: str = "",
    closing: str = "",
) -> Conversation:
    """Put the question together.

    Parameters
    ----------
    wording : str
        The rubric, from :meth:`mad_core.scorers.multimodal.rubrics.Rubric.wording`.
    expert : str
        Who the model is to be.
    references : int
        Normal images shown first.
    anchors : sequence of str
        Names of the levels of which one image each is shown.
    nearest : int
        Normal images that come with each image because they are the most like it.
    view : bool
        Whether each image comes with its difference view.
    crop : bool
        Whether each image comes with a crop of where a detector found most.
    policy : str
        What is known of kinds of faults, as a table in words.
    closing : str
        What is said behind the image to judge.
    """
    table = f"\n{policy}" if policy else ""
    shared = [_text(f"{wording}{table}\n{_FORM}")]
    for number in range(references):
        shared += [_text(f"\nNormal reference {number + 1}:"), _IMAGE]
    for name in anchors:
        shared += [_text(f"\nExample of {name}:"), _IMAGE]
    own: list[Piece] = []
    for number in range(nearest):
        own += [_text(f"\nNormal reference {number + 1}, most like the image to judge:"), _IMAGE]
    if view:
        own += [_text("\nDifferences from the references, grey where there are none:"), _IMAGE]
    if crop:
        own += [_text("\nEnlarged, where a detector found most:"), _IMAGE]
    own += [_text("\nImage to judge:"), _IMAGE]
    own += [_text(f"\n{closing}")] if closing else []
    system = f"You are {expert.strip() or 'an experienced inspector'} and judge how severe an anomaly is."
    return Conversation(system, tuple(shared), tuple(own))


def repeated(wording: str) -> str:
    """The question once more, as it stands behind the image."""
    return f"That was the image to judge. {wording}\n{_FORM}"


WORDINGS = (
    f"Judge the image above. {_FORM}",
    f"How severe is what the last image shows, compared with a normal one? {_FORM}",
    f"Look closely at the last image and at what differs from normal. {_FORM}",
    f"Think of the person who has to decide about the last image: how bad is it? {_FORM}",
)
"""Ways to put the question behind the image."""
LOOK = "First say in one sentence what in the last image differs from normal, and give no number yet."
"""What is asked before the score where a model looks first."""


def looked(text: str) -> str:
    """The question behind the image, after a first look."""
    return f"A first look says: {text.strip()}\n{WORDINGS[0]}"


def doubted(score: int) -> str:
    """The question behind the image, after a first score."""
    return f"A first look judged the last image at {score}. What speaks against it? Look again and judge anew. {_FORM}"


def _text(text: str) -> Piece:
    return Piece("text", text)


_IMAGE = Piece("image")


def answer(score: int, reason: str) -> str:
    """The answer a model is asked for (and the shipped one was trained on)."""
    return f"{SCORE_CUE}{score}\n{REASON_CUE}{reason}"
