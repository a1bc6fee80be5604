"""A conversation as the text that a model reads, and whether its chat template wrote it as it was meant. No torch here.

Templates differ, and some would spoil a question without a word: they put all pictures first and the labels in a
heap, print the system line as a Python list, or open a thought in which the answer would stand. So what was rendered
is checked, put another way where that helps, and refused with a sentence where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

from mad_core.errors import InputError
from mad_core.scorers.multimodal.prompts import Conversation, Piece

_THOUGHTS = (
    ("<think>", "\n</think>\n\n"),
    ("<thinking>", "\n</thinking>\n\n"),
    ("<thought>", "\n</thought>\n\n"),
    ("<reasoning>", "\n</reasoning>\n\n"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>", "<channel|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
)
"""How models open a thought, and how it is closed."""


@dataclass(frozen=True)
class TemplateForm:
    """How a conversation is put to a template.

    Parameters
    ----------
    system : {"parts", "string", "user"}
        The system line as a list of parts, as a plain string, or at the beginning of the user's turn.
    numbered : bool
        Whether pictures are named by their number instead of by where they stand.
    """

    system: str = "parts"
    numbered: bool = False

    def messages(self, talk: Conversation) -> list[dict[str, Any]]:
        """The conversation in the form that chat templates take."""
        system, user = (_numbered(talk) if self.numbered else talk).messages()
        if self.system == "user":
            line = {"type": "text", "text": talk.system + "\n"}
            return [{"role": "user", "content": [line, *user["content"]]}]
        return [{"role": "system", "content": talk.system} if self.system == "string" else system, user]

    def changes(self) -> list[str]:
        """What was put another way, in words."""
        system = {"string": "system line as plain text", "user": "system line in the user's turn"}.get(self.system)
        return [change for change in (system, "pictures numbered in words" if self.numbered else None) if change]


_FORMS = tuple(
    TemplateForm(system, numbered) for numbered, system in product((False, True), ("parts", "string", "user"))
)


class Template:
    """The chat template of a model.

    Parameters
    ----------
    processor, tokenizer
        Of the model.

    Attributes
    ----------
    mark : str or None
        What stands for an image in a rendered text.
    changes : list of str
        What the last rendered conversation needed so that the template did not spoil it.
    """

    def __init__(self, processor: Any, tokenizer: Any) -> None:
        self._processor, self._tokenizer = processor, tokenizer
        places = (
            (processor, "image_token"),
            (tokenizer, "image_token"),
            (processor, "boi_token"),
            (tokenizer, "boi_token"),
        )
        named = [str(mark) for owner, name in places if (mark := getattr(owner, name, None))]
        self._marks = list(dict.fromkeys(named))
        self.mark = named[0] if named else None
        self.changes: list[str] = []
        self._form = TemplateForm()

    def render(self, talk: Conversation) -> str:
        """The prompt as text, with one mark an image, ready for the answer.

        Raises
        ------
        InputError
            If a text holds the model's own mark for an image, or the template spoils the conversation in every form.
        """
        texts = [talk.system, *(piece.text for piece in (*talk.shared, *talk.own))]
        smuggled = [mark for mark in self._marks if any(mark in text for text in texts)]
        if smuggled:
            raise InputError(
                f"The rubric holds '{smuggled[0]}', which this model takes for an image; word it otherwise."
            )
        faults = []
        for form in _FORMS:
            try:
                text = self._templated(form, talk)
            except Exception as error:  # a template is a program of the model's maker and may raise anything
                faults.append((str(error).strip().splitlines() or [type(error).__name__])[0][:200])
                continue
            fault = self._fault(text, form, talk)
            if fault is None:
                self._form = form
                self.changes = form.changes() + (["thought closed"] if self._closing(text) else [])
                return text + self._closing(text)
            faults.append(fault)
        raise InputError(
            f"The model's chat template cannot put the question: {faults[0].rstrip('.')}. "
            "Take another model, or mend the chat template in its folder."
        )

    def again(self, talk: Conversation) -> str:
        """Another conversation in the form of the last one, unchecked."""
        text = self._templated(self._form, talk)
        return text + self._closing(text)

    def _templated(self, form: TemplateForm, talk: Conversation) -> str:
        own = getattr(self._processor, "chat_template", None)
        template = own or getattr(self._tokenizer, "chat_template", None) or ""
        options: dict[str, Any] = {} if own else {"chat_template": template}
        if "enable_thinking" in str(template):
            options["enable_thinking"] = False
        return self._processor.apply_chat_template(
            form.messages(talk), add_generation_prompt=True, tokenize=False, **options
        )

    # -- checks ---------------------------------------------------------------------------------

    def _fault(self, text: str, form: TemplateForm, talk: Conversation) -> str | None:
        """What a template made of a conversation that cannot stay so; None where all is well."""
        place = text.find(talk.system.strip())
        if place < 0:
            return "it leaves the system line out"
        if text[place - 1 : place] in ("'", '"') and "'type'" in text.replace('"', "'"):
            return "it prints the system line as a Python list"
        pictures = sum(piece.kind == "image" for piece in (*talk.shared, *talk.own))
        self.mark = next((mark for mark in self._marks if text.count(mark) == pictures), self.mark)
        if self.mark and text.count(self.mark) != pictures:
            return f"it shows {text.count(self.mark)} of {pictures} pictures"
        if not self._labelled(text, form, talk):
            return "its pictures do not stand behind their labels"
        end = self._tokenizer.eos_token
        return "it leaves no place for the answer" if end and text.rstrip().endswith(str(end)) else None

    def _labelled(self, text: str, form: TemplateForm, talk: Conversation) -> bool:
        """Whether every picture stands behind its label; of numbered ones, whether the labels stand in order."""
        if form.numbered:
            return _in_order(text, [label for label, _ in _labels(_numbered(talk))])
        between = text.split(self.mark) if self.mark else []
        labels = [label for label, _ in _labels(talk)]
        return not between or all(label in part for label, part in zip(labels, between, strict=False))

    def _closing(self, text: str) -> str:
        """What closes the thought that a text ends in; empty where it ends in none."""
        last = text[text.rfind(self.mark) + len(self.mark) :] if self.mark and self.mark in text else text[-200:]
        tail = last[-200:]
        for opening, closing in _THOUGHTS:
            if tail.rfind(opening) > tail.rfind(closing.strip()):
                return closing
        return ""


def _labels(talk: Conversation) -> Iterator[tuple[str, int]]:
    """The text right before each picture, and the picture's number from 1."""
    pieces, number = (*talk.shared, *talk.own), 0
    for before, piece in pairwise(pieces):
        if piece.kind == "image":
            number += 1
            yield before.text.strip(), number


def _numbered(talk: Conversation) -> Conversation:
    """The conversation with pictures named by number, for templates that show them all at one place."""
    shared = _with_numbers(talk.shared, 1)
    first = replace(
        shared[0], text=f"{shared[0].text}\nThe pictures are numbered in the order in which they are shown."
    )
    own = _with_numbers(talk.own, 1 + sum(piece.kind == "image" for piece in talk.shared))
    return replace(talk, shared=(first, *shared[1:]), own=own)


def _with_numbers(pieces: tuple[Piece, ...], number: int) -> tuple[Piece, ...]:
    made = list(pieces)
    for index, piece in enumerate(pieces):
        if piece.kind == "image":
            label = pieces[index - 1].text.strip().rstrip(":")
            made[index - 1] = replace(pieces[index - 1], text=f"\nPicture {number} is: {label}.")
            number += 1
    return tuple(made)


def _in_order(text: str, labels: list[str]) -> bool:
    place = 0
    for label in labels:
        place = text.find(label, place)
        if place < 0:
            return False
    return True
