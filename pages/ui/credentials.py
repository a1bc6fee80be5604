"""Hand the endpoint's address and key, and the token of the HTTP interface, from Streamlit's secrets to the engine.

The engine knows no Streamlit: it and the workers that this process starts read the environment. So what stands
in ``.streamlit/secrets.toml`` is put there once, before the store is opened and a worker is started, and is
neither stored nor shown.
"""

import os

import streamlit as st

NAMES = ("MAD_ENDPOINT_URL", "MAD_ENDPOINT_KEY", "MAD_ENDPOINT_MODEL", "MAD_API_TOKEN")


def hand_over() -> None:
    """Set the variables that the secrets name; without a secrets file nothing changes.

    A secret stands above a variable of the same name, as Streamlit itself has it.
    """
    if not st.secrets.load_if_toml_exists():
        return
    for name in NAMES:
        value = str(st.secrets.get(name, "")).strip()
        if value:
            os.environ[name] = value
