"""Set up a scorer that asks a multimodal model: the model, the rubric, the references, and the prompt they make."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.errors import InputError, MadError
from mad_core.runs import consent
from mad_core.runs.store import DatasetInfo
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.endpoint import address as endpoint_address
from mad_core.scorers.multimodal.prompts import Conversation, ask
from mad_core.scorers.multimodal.rubrics import Rubric, find_rubric, parse_rubric, shipped_rubrics
from pages.ui import engine, session, tiles, urls
from pages.ui.fields import field, fields, key_of, run_field
from pages.ui.gallery import Tile, gallery
from pages.ui.text import plain

OWN = "own wording"
MOST_REFERENCES = 8
PICKED_PAGE = 24
PREVIEW_HEIGHT = 260
THUMBNAIL = 88
"""Width of an image within the prompt, pixels."""
PROTOCOLS = {
    "inspector": "MAD Inspector",
    "madbench": "MAD-Bench, three references",
    "madbench-zero-shot": "MAD-Bench, zero-shot",
}
WAYS = {"first": "the first by name", "nearest": "nearest to each image", "named": "picked by hand"}
VIEWS = {"auto": "as the model recommends", "yes": "shown", "no": "not shown"}


@dataclass(frozen=True)
class Asked:
    """What was set: the parameters, and a sentence where they cannot be used yet."""

    parameters: Mapping[str, Any]
    problem: str | None = None


def asks_a_model(scorer_id: str) -> bool:
    """Whether a scorer is asked with a rubric."""
    try:
        return any(p.name == "rubric" for p in catalog.scorer(scorer_id).parameters)
    except MadError:
        return False


def asking_form(info: DatasetInfo, scorer: ScorerInfo) -> Asked:
    """The parameters of a scorer that asks a model, as a form."""
    known = {p.name: p for p in scorer.parameters}
    values = scorer.defaults()
    _model(scorer, known["model"], values)
    subset = _subset(info)
    left, right = st.columns(2)
    with left:
        values["protocol"] = _choice(scorer, known["protocol"], PROTOCOLS)
    with right:
        source = _rubric_choice(scorer)
    rubric, values["rubric"], problem = _own(scorer) if source == OWN else _rubric(info, scorer, source, subset)
    if values["protocol"] == "inspector":
        problem = _references(info, scorer, subset, known, values) or problem
        _advanced(info, scorer, known, values)
    else:
        st.caption(
            "The benchmark's protocol fixes what is shown: height 512, greedy answers of 300 tokens, "
            + ("the first three normals by name." if values["protocol"] == "madbench" else "no normals.")
        )
        rest = _others(scorer, skip=_FIXED)
        if rest:
            with st.expander("Advanced"):
                values |= fields(scorer.id, rest)
    if rubric is not None:
        _prompt(info, scorer, subset, rubric, values)
    return Asked(values, problem)


# -- the model ------------------------------------------------------------------------------------


def _model(scorer: ScorerInfo, parameter: Parameter, values: dict[str, Any]) -> None:
    """Which model, and for local ones what fits this machine."""
    key = key_of(scorer.id, "model")
    if not _is_local(scorer):
        values["model"] = field(parameter, key_of(scorer.id, "model"))
        return
    names = {models.SHIPPED: "The model that ships"} | {model.id: model.title for model in models.KNOWN.values()}
    chosen = st.selectbox(
        "Model",
        list(names),
        format_func=lambda name: names.get(name) or str(name),
        help="One of the list, or type owner/name of a model on the Hub, or the path of a folder.",
        accept_new_options=True,
        key=key,
    )
    values["model"] = str(chosen or parameter.default).strip()
    with st.expander("Models, and what fits this machine"):
        _catalogue()


def _is_local(scorer: ScorerInfo) -> bool:
    """Whether the model is one of this machine, rather than a name on a server."""
    return any(p.name == "model" and p.default == models.SHIPPED for p in scorer.parameters)


def _catalogue() -> None:
    """The catalogue of models as this machine sees it."""
    rows = [
        {
            "Model": entry["title"],
            "Name": entry["id"],
            "On disk": "yes" if entry["on_disk"] else "no",
            "Fits here": entry["fits"] or "no",
            "Needs in 4-bit, GB": entry["need_gb"]["4bit"],
            "Graphics card, GB": entry["card_gb"],
            "Licence": entry["licence"] + (", account needed" if entry["gated"] else ""),
        }
        for entry in _overview()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", alt="Models, their need of memory, and licence")
    st.caption(
        "Fits here: the best precision for which this machine has enough free memory. Fetch one on the command line: "
        f"{plain('python -m mad_core warm mllm --param model=qwen3-vl-4b')}"
    )


@st.cache_data(ttl=30, show_spinner=False)
def _overview() -> list[dict[str, Any]]:
    return models.overview()


# -- the rubric -----------------------------------------------------------------------------------


def _subset(info: DatasetInfo) -> str:
    """The subset for which rubric, references and prompt are previewed."""
    subsets = engine.store().dataset(info.id).subsets
    if len(subsets) < 2:
        return subsets[0]
    return st.selectbox(
        "Preview on subset",
        subsets,
        help="Rubric, references and prompt are shown as they are for this subset. The run asks each subset its own.",
        key=f"preview_{info.id}",
    )


def _rubric_choice(scorer: ScorerInfo) -> str:
    """``auto``, the id of a rubric that ships, or one's own wording."""
    shipped = shipped_rubrics()
    names = {"auto": "As the dataset says", OWN: "Own wording"} | {k: r.title for k, r in shipped.items()}
    return st.selectbox(
        "Rubric",
        ["auto", *shipped, OWN],
        format_func=names.__getitem__,
        help="What the scores mean. The files that ship lie in assets/rubrics.",
        key=key_of(scorer.id, "rubric"),
    )


def _rubric(info: DatasetInfo, scorer: ScorerInfo, source: str, subset: str) -> tuple[Rubric | None, str, str | None]:
    """The chosen rubric as it will be sent, to be read or edited: itself, the parameter, and what is wrong with it."""
    card = info.card.subset(subset)
    try:
        rubric = find_rubric(source, card)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, source, str(error)
    parameter: str = source
    problem: str | None = None
    edited: Rubric | None = rubric
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(rubric.title)}**", width="stretch")
            edit = st.toggle("Edit", key=f"edit_{scorer.id}_{source}")
        if edit:
            edited, parameter, problem = _edited(scorer, source, rubric)
            if parameter != source and len(engine.store().dataset(info.id).subsets) > 1:
                st.caption("Edited, it is used for every subset of the run; choose below which ones it is meant for.")
        if edited is not None:
            with st.container(height=PREVIEW_HEIGHT, border=False):
                st.text(edited.wording(subset, card.product))
        if rubric.source:
            st.caption(plain(rubric.source))
    return edited, parameter, problem


def _edited(scorer: ScorerInfo, source: str, rubric: Rubric) -> tuple[Rubric | None, str, str | None]:
    original = rubric.to_yaml()
    text = st.text_area(
        "Rubric as YAML",
        original,
        height=320,
        help="Bands go from 0 to 100 without gap. The file that ships stays as it is.",
        key=f"yaml_{scorer.id}_{source}_{rubric.title}",
    )
    if text.strip() == original.strip():
        return rubric, source, None
    return _parsed(text)


def _own(scorer: ScorerInfo) -> tuple[Rubric | None, str, str | None]:
    text = st.text_area(
        "Own wording",
        height=200,
        placeholder="0: no defect. 1-30: … Or a whole rubric as YAML, with bands and products.",
        help="Sent as it stands in the place of a rubric. A text that begins with 'title:' is read as YAML.",
        key=f"own_{scorer.id}",
    ).strip()
    if not text:
        sentence = "Write or paste the wording of the rubric first."
        st.caption(sentence)
        return None, OWN, sentence
    return _parsed(text if text.startswith("title:") else Rubric("Own wording", text=text).to_yaml())


def _parsed(text: str) -> tuple[Rubric | None, str, str | None]:
    try:
        rubric = parse_rubric(text)
    except InputError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None, text, str(error)
    return rubric, text.strip() + "\n", None


# -- what is shown --------------------------------------------------------------------------------

_SEPARATE = frozenset(
    {
        "model",
        "server",
        "consent",
        "rubric",
        "protocol",
        "references",
        "choose",
        "named",
        "anchors",
        "view",
        "crop_run",
        "reasons",
    }
)
"""Parameters that have a place of their own in the form."""
_FIXED = _SEPARATE | {"height", "tokens"}


def _others(scorer: ScorerInfo, *, skip: frozenset[str]) -> list[Parameter]:
    return [p for p in scorer.parameters if p.name not in skip]


def _choice(scorer: ScorerInfo, parameter: Parameter, words: Mapping[str, str]) -> str:
    index = parameter.choices.index(parameter.default)
    label = {"protocol": "Protocol", "choose": "Which references", "view": "Difference view"}[parameter.name]
    return st.selectbox(
        label,
        parameter.choices,
        index=index,
        format_func=lambda choice: words.get(choice, choice),
        help=plain(parameter.help),
        key=key_of(scorer.id, parameter.name),
    )


def _references(
    info: DatasetInfo, scorer: ScorerInfo, subset: str, known: Mapping[str, Parameter], values: dict[str, Any]
) -> str | None:
    """References, anchors, view and reasons; returns what is wrong with the choice."""
    left, right = st.columns(2)
    with left:
        values["choose"] = _choice(scorer, known["choose"], WAYS)
        values["view"] = _choice(scorer, known["view"], VIEWS)
    with right:
        if values["choose"] == "named":
            values["references"] = None
            st.caption("Each image comes after the references that are picked below, in the order of picking.")
        else:
            values["references"] = field(known["references"], key_of(scorer.id, "references"))
        values["anchors"] = field(known["anchors"], key_of(scorer.id, "anchors"))
        values["reasons"] = field(known["reasons"], key_of(scorer.id, "reasons"))
    if values["choose"] != "named":
        return None
    names = _pick(info, scorer, subset)
    values["named"] = ", ".join(names)
    return None if names else "Pick at least one reference, or choose the first or nearest ones."


def _pick(info: DatasetInfo, scorer: ScorerInfo, subset: str) -> list[str]:
    """Thumbnails of the training normals; a click picks one or drops it again. Returns file names."""
    rows = engine.store().dataset(info.id).select(split="train", subset=subset).sort_values("path")
    if rows.empty:
        st.warning(f"Subset {plain(subset)} has no training normals to pick from.", icon=":material/info:")
        return []
    by_id = {i: Path(p).name for i, p in zip(rows["image_id"], rows["path"], strict=True)}
    key = f"picked_{scorer.id}_{info.id}_{subset}"
    picked: list[str] = [i for i in st.session_state.setdefault(key, []) if i in by_id]

    def toggle(image_id: str) -> None:
        if image_id in picked:
            st.session_state[key] = [i for i in picked if i != image_id]
        elif len(picked) < MOST_REFERENCES:
            st.session_state[key] = [*picked, image_id]

    pages = -(-len(rows) // PICKED_PAGE)
    number = st.pagination(pages, key=f"{key}_page") if pages > 1 else 1
    part = rows.iloc[(number - 1) * PICKED_PAGE : number * PICKED_PAGE]
    with st.container(height=300):
        gallery([_reference_tile(info, row, picked) for row in part.itertuples()], key=f"{key}_tiles", on_open=toggle)
    chosen = ", ".join(by_id[i] for i in picked) or "none yet"
    more = " Files of these names must exist in every subset of the run." if len(info.card.subsets) > 1 else ""
    st.caption(plain(f"Picked, at most {MOST_REFERENCES}: {chosen}.{more}"))
    return [by_id[i] for i in picked]


def _reference_tile(info: DatasetInfo, row: Any, picked: Sequence[str]) -> Tile:
    badge = f"reference {picked.index(row.image_id) + 1}" if row.image_id in picked else None
    return replace(tiles.tile(info, row, [0.0]), badge=badge, href=None)


def _advanced(info: DatasetInfo, scorer: ScorerInfo, known: Mapping[str, Parameter], values: dict[str, Any]) -> None:
    with st.expander("Advanced"):
        values["crop_run"] = _crop(info, scorer, known["crop_run"])
        values |= fields(scorer.id, _others(scorer, skip=_SEPARATE))


def _crop(info: DatasetInfo, scorer: ScorerInfo, parameter: Parameter) -> str:
    """The run at whose map's peak each image is cropped, of those that keep maps."""
    runs = [run for run in session.runs_in_view(info) if run.map_policy == "all" and not asks_a_model(run.scorer)]
    return run_field(parameter, key_of(scorer.id, "crop_run"), runs, "no crop")


# -- the prompt -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outline:
    """The conversation of a run on one subset, and the references shown to every image (rows of the dataset)."""

    conversation: Conversation
    references: tuple[Any, ...]


def outline(
    info: DatasetInfo, subset: str, rubric: Rubric, parameters: Mapping[str, Any], folder: Path | None = None
) -> Outline:
    """The question as it will be asked, without opening an image.

    What cannot be read is left out by the run itself, so a broken reference is still named here.

    Parameters
    ----------
    folder : Path or None
        The model's, where it is a local one: it may recommend what to show.
    """
    from mad_core.scorers.multimodal.showing import Recommended, level_name, settle

    wishes = settle(parameters, Recommended.of(folder) if folder else None)
    dataset, card = engine.store().dataset(info.id), info.card.subset(subset)
    normals: list[Any] = list(dataset.select(split="train", subset=subset).sort_values("path").itertuples())
    if wishes.choose == "named":
        by_name = {Path(str(row.path)).name: row for row in normals}
        shown = [by_name[name] for name in wishes.named if name in by_name][: wishes.references]
    else:
        shown = normals[: wishes.references]
    nearest = len(shown) if wishes.choose == "nearest" else 0
    levels = sorted(dataset.select(split="calibration", subset=subset)["level"].unique()) if wishes.anchors else []
    conversation = ask(
        rubric.wording(subset, card.product),
        expert=rubric.expert,
        references=0 if nearest else len(shown),
        anchors=[level_name(card, level) for level in levels if level > 0 or not wishes.references],
        nearest=nearest,
        view=wishes.view and bool(normals),
        crop=wishes.crop,
    )
    return Outline(conversation, () if nearest else tuple(shown))


def _prompt(info: DatasetInfo, scorer: ScorerInfo, subset: str, rubric: Rubric, parameters: Mapping[str, Any]) -> None:
    """The whole prompt as it will be asked, images in their places."""
    with st.expander("The whole prompt"):
        folder = models.locate(str(parameters["model"])) if _is_local(scorer) else None
        found = outline(info, subset, rubric, parameters, folder)
        st.caption("System")
        st.text(found.conversation.system)
        st.caption("For every image")
        references = iter(found.references)
        for piece in found.conversation.shared:
            if piece.kind == "text":
                st.text(piece.text.strip())
            else:
                _place(info, next(references, None))
        st.caption("For each image in turn")
        for piece in found.conversation.own:
            if piece.kind == "text":
                st.text(piece.text.strip())
            else:
                _place(info, None)


def _place(info: DatasetInfo, row: Any | None) -> None:
    """An image of the prompt, or its place where it differs from image to image."""
    if row is None:
        st.caption(r"\[image\]")
        return
    address = urls.picture(info.id, row.image_id, "thumbnail", row.content_hash)
    name = html.escape(f"Normal reference {Path(str(row.path)).name}")
    st.html(f'<img src="{html.escape(address)}" alt="{name}" width="{THUMBNAIL}" style="display:block">')


# -- leaving this machine -------------------------------------------------------------------------


def needs_consent(info: DatasetInfo, scorer: ScorerInfo, parameters: Mapping[str, Any]) -> str | None:
    """Say where images go and ask once a dataset; returns the host that still has to be agreed to by queueing.

    An empty text means that nobody agreed yet; None that nothing is to be asked.
    """
    if all(p.name != "consent" for p in scorer.parameters):
        return None
    store = engine.store()
    try:
        servers = endpoint_address.servers_of(store.settings, parameters)
    except MadError:
        return None  # why_not says it
    dataset = store.dataset(info.id)
    agreed = servers.host in consent.agreed_hosts(store.settings, dataset)
    if servers.loopback or store.settings.endpoint_consent:
        st.info(plain(endpoint_address.notice(servers)), icon=":material/info:")
        return None
    st.warning(plain(endpoint_address.notice(servers)), icon=":material/cloud_upload:")
    if agreed:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(f"Agreed for {info.name} and {servers.host}."), width="content")
            if st.button("Withdraw", type="tertiary"):
                consent.withdraw(store.settings, dataset, servers.host)
                st.rerun(scope="fragment")
        return None
    yes = st.checkbox(plain(f"Images of {info.name} may be sent to {servers.host}"), key=f"consent_{info.id}")
    return servers.host if yes else ""
