"""Chat templates that would spoil a question: each is put right or refused with a sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

from mad_core.errors import InputError
from mad_core.scorers.multimodal.prompts import Conversation, ask
from mad_core.scorers.multimodal.templating import Template

PARTS = "{% for c in m['content'] %}{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
PLAIN = "{% if m['content'] is string %}{{ m['content'] }}{% else %}" + PARTS + "{% endif %}"
TURNS = "{% for m in messages %}{{ '<' + m['role'] + '>' }}" + PLAIN + "{{ '</s>' }}{% endfor %}"
GOOD = TURNS + "{{ '<assistant>' }}"
IMAGES_FIRST = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' }}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] }}{% endfor %}{% endfor %}"
    "{{ '<assistant>' }}"
)
SYSTEM_PRINTED = (
    "{{ '<system>' }}{{ messages[0]['content'] | trim }}{% for m in messages[1:] %}" + PLAIN + "{% endfor %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ 1 / 0 }}{% endif %}" + GOOD
SYSTEM_LEFT_OUT = "{% for m in messages if m['role'] != 'system' %}" + PLAIN + "{% endfor %}{{ '<assistant>' }}"
SWITCH = (
    GOOD
    + "{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% else %}<think>{% endif %}"
)
LAST_ONLY = TURNS.replace("{{ '<image>' if", "{{ ('<image>' if loop.last else '') if") + "{{ '<assistant>' }}"


def talk(references: int = 2) -> Conversation:
    return ask("0: normal.\n1-100: a fault.", references=references, view=True)


def template(source: str, **more: Any) -> Template:
    environment = jinja2.Environment(autoescape=False)

    def apply(messages: Any, *, add_generation_prompt: bool, tokenize: bool, **options: Any) -> str:
        used = options.pop("chat_template", source)
        return environment.from_string(used).render(messages=messages, **options)

    processor = SimpleNamespace(chat_template=source, image_token="<image>", apply_chat_template=apply)
    return Template(processor, SimpleNamespace(eos_token="</s>", **more))


def test_a_good_template_is_left_alone() -> None:
    made = template(GOOD)
    text = made.render(talk())
    assert made.changes == [] and text.endswith("Image to judge:<image></s><assistant>")
    parts = text.split("<image>")
    assert [part.rpartition("\n")[2] for part in parts[:-1]][-1] == "Image to judge:" and len(parts) == 5


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("[THINK]", "[THINK][/THINK]"),
        ("<|channel>thought\n", "<|channel>thought\n<channel|>"),
    ],
)
def test_a_thought_that_the_template_opens_is_closed(opened: str, closed: str) -> None:
    made = template(GOOD + "{{ " + repr(opened) + " }}")
    assert made.render(talk()).endswith("<assistant>" + closed) and made.changes == ["thought closed"]


def test_a_template_that_can_be_told_not_to_think_is_told() -> None:
    made = template(SWITCH)
    assert made.render(talk()).endswith("<think></think>") and made.changes == []


def test_where_all_pictures_come_first_they_are_numbered_in_words() -> None:
    made = template(IMAGES_FIRST)
    text = made.render(talk())
    assert "<image>" * 4 in text and "numbered in the order" in text
    labels = [line for line in text.splitlines() if line.startswith("Picture")]
    assert [line.partition(" is: ")[0] for line in labels] == [f"Picture {n}" for n in range(1, 5)]
    assert labels[0].endswith("Normal reference 1.") and "Image to judge." in labels[3]
    assert made.changes == ["pictures numbered in words"]


@pytest.mark.parametrize(
    ("source", "change"),
    [
        (SYSTEM_PRINTED, "system line as plain text"),
        (NO_SYSTEM, "system line in the user's turn"),
        (SYSTEM_LEFT_OUT, "system line in the user's turn"),
    ],
)
def test_the_system_line_stands_bare_once(source: str, change: str) -> None:
    made = template(source)
    text = made.render(talk())
    assert text.count(talk().system) == 1 and "'type'" not in text and made.changes == [change]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (TURNS, "leaves no place for the answer"),
        (LAST_ONLY, "of 4 pictures"),
        ("{{ nothing.at.all }}", "nothing"),
    ],
)
def test_what_cannot_be_put_right_is_refused_with_a_sentence(source: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        template(source).render(talk())
    assert "chat template" in str(caught.value) and str(caught.value).endswith(".")


def test_a_template_that_only_the_tokenizer_has_is_taken() -> None:
    made = template(GOOD, chat_template=GOOD + "{{ '!' }}")
    made._processor.chat_template = None
    assert made.render(talk()).endswith("<assistant>!")
