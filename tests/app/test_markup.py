"""Text of others is never markup, whatever page shows it; and whatever an address holds, every page opens."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Imported
from mad_core.scorers.contract import Scored
from pages.audit import review_component
from pages.ui.routes import routes
from pages.ui.text import plain
from tests.app.conftest import Home, marked_up, scored
from tests.hard.mutation import NASTY

Open = Callable[..., AppTest]
PAGES = {
    "data": "Data",
    "score": "Score",
    "images": "Images",
    "compare": "Compare",
    "audit": "Audit",
    "studies": "Studies",
}
EVIL = (
    "<img src=x onerror=alert(1)> **b** [x](javascript:alert(1)) $x$ :material/home: `c` &lt;i&gt; www.a.bc -> ~~s~~ "
    ":red[r]"
)
RAW = ("<img src=x", "**b**", "[x](javascript", "$x$", ":material/home:", "`c`", ":red[r]", "~~s~~")
"""Any of these in a text that is read as HTML or Markdown is a fault."""
LITERAL = {
    "arrow_data_frame", "selectbox", "multiselect", "text", "code", "text_input", "text_area", "json", "bidi_component",
    "file_uploader", "page_link",
}  # fmt: skip
"""Elements that show their text letter by letter, options and values included."""
NAMES = (
    "dataset", "subset", "image", "run", "runs", "against", "maps", "level", "defect", "find", "sort", "state", "split",
    "page", "size", "percentile", "apart", "within", "queue", "after", "view", "study", "rule", "pool", "a", "b",
    "guide", "audit", "agreed", "rater", "other", "cuts",
)  # fmt: skip


@pytest.fixture
def evil(home: Home) -> Home:
    """The dataset once more, with names that are markup everywhere; two runs with such titles and reasons."""
    home.dataset = home.store.add_dataset(Imported(marked_up(home.store.dataset(home.dataset), EVIL)))
    rng = random.Random(5)
    home.add_run(f"{EVIL} 1", lambda row: scored(row, row.level + rng.random(), reason=EVIL))
    broken = home.images(EVIL)["image_id"].iloc[2]
    home.add_run(
        f"{EVIL} 2",
        lambda row: (
            Scored.failed(row.image_id, "unreadable", EVIL)
            if row.image_id == broken
            else scored(row, rng.random(), reason=EVIL)
        ),
    )
    return home


@pytest.mark.parametrize("page", PAGES)
def test_no_text_of_others_is_markup(evil: Home, open_page: Open, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_REVIEW", "_PAIRS", "_NAME"):
        monkeypatch.setattr(review_component, name, lambda **given: {})
    queries: list[dict[str, Any]] = [{}]
    if page == "audit":
        queries += [{"part": part} for part in ("Agreement", "Consequence", "Export and import")]
    if page == "images":
        queries.append({"image": evil.images(EVIL)["image_id"].iloc[2]})
    for query in queries:
        test = open_page(page, **query)
        if page == "audit":
            test.text_input[0].set_value(f"{EVIL} Ada"[:120])
            test.button[0].click().run()
            assert not test.exception
        assert page == "studies" or any("onerror" in text for _, text in texts(test)), "the names are not here"
        found = [(kind, text[:200]) for kind, text in texts(test) for raw in RAW if raw in _read(kind, text)]
        assert not found, found[:3]


def texts(test: AppTest) -> Iterator[tuple[str, str]]:
    """Every text that a page sends to be read as HTML or Markdown, with the kind of element that holds it."""
    waiting: list[Any] = [test._tree]
    while waiting:
        node = waiting.pop()
        waiting += getattr(node, "children", {}).values()
        proto = getattr(node, "proto", None)
        kind = getattr(node, "type", "")
        if proto is not None and kind not in LITERAL:
            yield from ((kind, text) for text in _strings(proto))


def _strings(proto: Any) -> Iterator[str]:
    for field, value in proto.ListFields():
        if field.name in ("id", "key", "form_id", "element_id", "default", "value", "alt", "query_params"):
            continue
        many = value if not isinstance(value, str | bytes) and hasattr(value, "__iter__") else [value]
        for one in many:
            if isinstance(one, str):
                yield one
            elif hasattr(one, "ListFields"):
                yield from _strings(one)


def _read(kind: str, text: str) -> str:
    """What is markup in a text: HTML knows no Markdown, and neither do figures."""
    if kind in ("html", "plotly_chart"):
        return text if "<img src=x" in text else ""
    return text


def test_plain_parts_what_streamlit_finds_later() -> None:
    joiner = "\u2060"
    assert plain("Look at www.a.bc/x.") == r"Look at `www.a.bc/x`\."
    assert plain("(https://a.bc/d_e)") == r"\(`https://a.bc/d_e`\)"
    assert plain("`https://a.bc`") == r"\``https://a.bc`\`"
    assert plain(":material/home:") == rf"\:{joiner}material/home\:"
    assert plain("a -> b, a@b.c") == rf"a \-{joiner}\> b, a@{joiner}b\.c"
    assert plain("&lt;b&gt; 00.png") == r"\&lt;b\&gt; 00\.png"


def queries(rng: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Addresses that nobody links to."""
    values = [text[:500] for text in NASTY if text and "\0" not in text]
    for _ in range(count):
        given = rng.sample(NAMES, rng.randrange(3, len(NAMES)))
        yield {n: rng.choices(values, k=3) if rng.random() < 0.2 else rng.choice(values) for n in given}


@pytest.mark.parametrize("page", PAGES)
def test_whatever_the_address_says_the_page_opens(home: Home, open_page: Open, page: str) -> None:
    known = {"run": home.run("Alpha").id, "subset": "plate"}
    for query in queries(random.Random(page), 2):
        if query.get("dataset") and len(query) % 2:
            query = {**query, **known, "dataset": home.dataset}
        test = open_page(page, **query)
        assert [t.value for t in test.title] == [PAGES[page]], query


PLACES = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "%2e%2e",
    "-1",
    "9" * 400,
    "<img src=x>",
    "a%0d%0aX: y",
    "\u0661",
)


def test_routes_give_nothing_for_ids_that_are_none(home: Home) -> None:
    client = TestClient(Starlette(routes=routes()), raise_server_exceptions=False)
    image = home.images("plate")["image_id"].iloc[0]
    for place in PLACES:
        for path in (
            f"/image/{home.dataset}/{place}/original",
            f"/image/{place}/{image}/thumbnail",
            f"/image/{home.dataset}/{image}/{place}",
            f"/map/{place}/{image}",
            f"/map/{home.run('Alpha').id}/{place}",
            f"/single/{place}/original",
            f"/single/1/{place}",
        ):
            answer = client.get(path)
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:200])
            assert "html" not in answer.headers["content-type"]
