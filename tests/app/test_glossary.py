"""Each page says what its words mean when it is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.figures import describe_c_index_example
from mad_core.figures.c_index_example import LEVELS, SCORES
from mad_core.metrics.ranking import c_index, count_pairs
from pages.ui.glossary import PAGES, WORDS
from tests.app.conftest import Home


def test_every_word_is_told_somewhere_in_whole_sentences() -> None:
    assert {word for words in PAGES.values() for word in words} == set(WORDS)
    assert all(text.endswith(".") and "  " not in text for text in WORDS.values())


def test_the_picture_of_the_c_index_is_right() -> None:
    assert describe_c_index_example().endswith(f"a C-index of {c_index(count_pairs(LEVELS, SCORES)):.2f}.")


@pytest.mark.parametrize("page", ["images", "compare"])
def test_a_page_tells_its_words(home: Home, open_page: Callable[..., AppTest], page: str) -> None:
    test = open_page(page)
    words = list(PAGES[page.capitalize()])
    assert not any(m.value.startswith(f"**{words[-1]}.**") for m in test.markdown)
    next(b for b in test.button if b.label == "What the words mean").click().run()
    assert not test.exception
    told = [m.value.replace("\\", "") for m in test.markdown]
    assert all(any(value.startswith(f"**{word}.**") for value in told) for word in words)
    assert any("**C-index.**" in value for value in told) == (page == "compare")
