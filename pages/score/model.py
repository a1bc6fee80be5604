"""Which multimodal model a run asks, and for local ones what fits this machine."""

from typing import Any

import pandas as pd
import streamlit as st

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal import models
from pages.ui.fields import field, key_of
from pages.ui.text import plain


def chosen_model(scorer: ScorerInfo, parameter: Parameter, values: dict[str, Any]) -> None:
    """Which model, and for local ones what fits this machine."""
    key = key_of(scorer.id, "model")
    if not is_local(scorer):
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


def is_local(scorer: ScorerInfo) -> bool:
    """Whether the model is one of this machine, rather than a name on a server."""
    return any(p.name == "model" and p.default == models.SHIPPED for p in scorer.parameters)


def _catalogue() -> None:
    """The catalogue of models as this machine sees it."""
    rows = [
        {
            "Model": entry["title"],
            "Name": entry["id"],
            "Made for": entry["use"],
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
