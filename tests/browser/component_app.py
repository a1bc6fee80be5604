"""A small app around the viewer, the gallery and the plot of cuts, for the browser tests: images and maps are formulas.

Query parameters choose what is drawn: ``show`` (viewer, gallery, cuts), ``maps`` (0-4), ``missing`` (index of a
map that is not there), ``image`` (0-2), ``original`` and ``preview`` (0-2, or one that is not
there), ``tiles`` (how many), ``last`` (the higher cut).
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw, ImageFilter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit import runtime

WIDTH, HEIGHT = 384, 288
IMAGES = 3
SCORERS = ("Filter bank", "PatchCore", "Reverse Distillation", "EfficientAD")
DEFECT = (250, 110)


@cache
def plate(image: int) -> Image.Image:
    """A brushed plate with a dark scratch, uint8 grey of shape (HEIGHT, WIDTH)."""
    rng = np.random.default_rng(image)
    lines = rng.normal(0, 12, (HEIGHT, 1)) + rng.normal(0, 6, (HEIGHT, WIDTH))
    light = 150 + 35 * np.sin(np.linspace(0, 2.2, WIDTH) + image)[None, :]
    grey = Image.fromarray(np.clip(lines + light, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    ImageDraw.Draw(grey).line(_scratch(image), fill=35, width=5)
    return grey


@cache
def mask(image: int) -> Image.Image:
    empty = Image.new("L", (WIDTH, HEIGHT))
    ImageDraw.Draw(empty).line(_scratch(image), fill=255, width=11)
    return empty


def _scratch(image: int) -> list[tuple[int, int]]:
    x, y = DEFECT
    shift = 60 * image
    return [(x - 45 - shift, y - 20), (x - shift, y), (x + 30 - shift, y + 28)]


@cache
def anomaly_map(scorer: int, image: int) -> np.ndarray:
    """A smooth response around the scratch, float32 of shape (72, 96), about 0-10 times a factor."""
    rng = np.random.default_rng(100 * scorer + image)
    near = np.asarray(mask(image).resize((96, 72)).filter(ImageFilter.GaussianBlur(2 + scorer)), dtype=np.float32) / 255
    coarse = Image.fromarray(rng.normal(0, 0.4, (18, 24)).astype(np.float32))
    noise = np.asarray(coarse.resize((96, 72), Image.Resampling.BICUBIC))
    return ((12 * near + 1.2 + noise) * 10.0 ** (scorer - 1)).astype(np.float32)


def _png(picture: Image.Image) -> Response:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png")


def _image(request: Request) -> Response:
    index = request.path_params["image"]
    if index >= IMAGES:
        return PlainTextResponse("This image is gone.", 404)
    return _png((mask if request.path_params["kind"] == "mask" else plate)(index))


def _map(request: Request) -> Response:
    scorer, image = request.path_params["scorer"], request.path_params["image"]
    if scorer >= len(SCORERS):
        return PlainTextResponse("The run was stopped before this image.", 404)
    values = anomaly_map(scorer, image)
    head = np.array(values.shape, dtype="<u4").tobytes()
    return Response(head + values.astype("<f4").tobytes(), media_type="application/octet-stream")


def draw() -> None:
    from pages.studies.cut_component import CutRow, cut_plot
    from pages.ui.gallery import Tile, gallery
    from pages.ui.viewer import MapLayer, map_viewer

    st.set_page_config(layout="wide")
    asked = st.query_params
    moves = st.session_state.setdefault("moves", [])
    opened = st.session_state.setdefault("opened", [])
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    if "lose" in asked and len(moves) == 2 and "lost" not in st.session_state:  # the second of two never came
        st.session_state["lost"] = moves.pop()
        st.session_state["viewer_presses"] = {i: n - 1 for i, n in st.session_state["viewer_presses"].items()}

    def viewer() -> None:
        image = (int(asked.get("image", 0)) + moves.count("next") - moves.count("previous")) % IMAGES
        missing = int(asked.get("missing", -1))
        layers = [
            MapLayer(
                title=SCORERS[i],
                subtitle="seed 0",
                url=f"/map/{9 if i == missing else i}/{image}",
                low=0.6 * 10.0 ** (i - 1),
                high=9.5 * 10.0 ** (i - 1),
                threshold=5.0 * 10.0 ** (i - 1),
                unit="distance",
            )
            for i in range(int(asked.get("maps", 2)))
        ]
        following = (image + 1) % IMAGES
        map_viewer(
            original_url=f"/image/{asked.get('original', image)}/original",
            fallback_url=f"/image/{asked['preview']}/original" if "preview" in asked else None,
            alt=f"plate {image} with a scratch",
            maps=layers,
            mask_url=f"/image/{image}/mask",
            width=WIDTH,
            height=HEIGHT,
            prefetch=[f"/image/{following}/original", *(f"/map/{i}/{following}" for i in range(len(layers)))],
            on_move=moves.append,
            key="viewer",
        )
        st.text(f"moves: {' '.join(moves) or 'none'}")

    def tiles() -> None:
        colours = ["#c9d4dc", "#e6cf5c", "#b97752", "#842d48"]
        names = ["normal", "slight", "moderate", "severe"]
        reverse = st.toggle("Reverse")
        found = [
            Tile(
                image_id=f"id-{i}",
                url=f"/image/{7 if i == 5 else i % IMAGES}/original?n={i}",
                alt=f"plate {i}",
                level_label=f"L{i % 4} · {names[i % 4]}",
                level_colour=colours[i % 4],
                text_colour="#ffffff" if i % 4 == 3 else "#0b0d0f",
                caption="<script>document.title='owned'</script>" if i == 2 else f"plate_{i:03d}.png",
                score_label=f"{1.7 * i:.2f}",
                badge="failed" if i == 3 else None,
                href="javascript:document.title='owned'" if i == 4 else "/?show=viewer",
            )
            for i in range(int(asked.get("tiles", 24)))
        ]
        gallery(found[::-1] if reverse else found, key="gallery", selected="id-1", on_open=opened.append)
        st.text(f"opened: {' '.join(opened) or 'none'}")

    def cuts() -> None:
        now = st.session_state.setdefault("cuts", [2.0, float(asked.get("last", 6.0))])
        rng = np.random.default_rng(0)
        colours = ["#c9d4dc", "#e6cf5c", "#842d48"]
        names = ["<b>level", "<b>level", "a level that is seen from afar on every part of the line that it is made on"]
        rows = [
            CutRow(
                f"L{k} · {names[k]}", f"L{k}", colours[k], "#555555", "#0b0d0f", tuple(4 * k + rng.uniform(0, 2, 20))
            )
            for k in range(3)
        ]
        cut_plot(rows, now, key="cut_plot", on_move=lambda moved: st.session_state.update(cuts=moved))
        st.text(f"cuts: {now[0]:.3f} {now[1]:.3f}")

    st.subheader("Components")
    {"viewer": viewer, "cuts": cuts}.get(asked.get("show", "viewer"), tiles)()
    st.text_input("Note", key="note")
    st.text(f"runs: {st.session_state['runs']}")


if runtime.exists():
    draw()
else:
    app = st.App(
        __file__,
        routes=[Route("/image/{image:int}/{kind}", _image), Route("/map/{scorer:int}/{image:int}", _map)],
    )
