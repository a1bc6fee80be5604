"""The live sections of level mix and decisions."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from mad_core.runs.cuts import saved_cuts

from .conftest import Home


def mix(dataset: str) -> None:
    from pages.ui import engine, studying_level_mix

    store = engine.store()
    studying_level_mix.section(store.dataset_info(dataset), store.runs(dataset))


def cuts(dataset: str) -> None:
    from pages.ui import engine, studying_decisions

    store = engine.store()
    studying_decisions.section(store.dataset_info(dataset), store.runs(dataset))


def test_moving_a_share_moves_the_metrics(home: Home) -> None:
    test = AppTest.from_function(mix, args=(home.dataset,), default_timeout=60).run()
    assert not test.exception, test.exception
    before = test.dataframe[0].value
    test.slider[0].set_value(95.0).run()
    assert not test.exception, test.exception
    after = test.dataframe[0].value
    assert before["Test set"].tolist() == after["Test set"].tolist()
    assert before["This mix"].tolist() != after["This mix"].tolist()


def test_cuts_are_kept_with_the_run(home: Home) -> None:
    test = AppTest.from_function(cuts, args=(home.dataset,), default_timeout=60).run()
    assert not test.exception, test.exception
    test.button[0].click().run()
    assert not test.exception, test.exception
    assert set(saved_cuts(home.store, home.run("Alpha").id)) == {"leaf"}
