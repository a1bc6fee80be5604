"""Where a run sends images, and the consent that this asks for."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mad_core.errors import MadError
from mad_core.runs import consent
from mad_core.runs.store import DatasetInfo
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.multimodal.endpoint import address as endpoint_address
from pages.ui import engine
from pages.ui.text import plain


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
