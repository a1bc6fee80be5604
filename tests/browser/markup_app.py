"""Every way in which pages show text of others, with text that tries to be something else."""

import os

import plotly.graph_objects as go
import streamlit as st

from mad_core.figures.words import escaped
from pages.ui.text import plain

EVIL = os.environ["EVIL"]

with st.container(key="shown"):
    st.markdown(plain(EVIL))
    st.caption(plain(EVIL))
    st.subheader(plain(EVIL), anchor=False)
    st.error(plain(EVIL))
    st.radio("Run", [EVIL], format_func=plain)
    st.segmented_control("Subset", [EVIL], format_func=plain)
    st.expander(plain(EVIL))
    st.checkbox(plain(EVIL))
    st.button(plain(EVIL))
with st.container(key="drawn"):
    figure = go.Figure(go.Bar(x=[escaped(EVIL)], y=[1], name=escaped(EVIL), hovertext=escaped(EVIL)))
    figure.update_layout(title={"text": escaped(EVIL)}, showlegend=True)
    st.plotly_chart(figure, theme=None)
