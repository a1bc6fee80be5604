"""The severity palette under colour vision deficiencies, contrasts, and the tones of the page's configuration."""

from __future__ import annotations

import itertools
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest

from mad_core import palette
from mad_core.palette import THEMES, Theme, chrome, contrast, severity_colours, text_on

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # colour-science warns of optional packages and of what the tritan matrix approximates
    import colour

    VISIONS = {
        "plain": np.eye(3),
        "deutan": np.asarray(colour.matrix_cvd_Machado2009("Deuteranomaly", 1.0)),
        "protan": np.asarray(colour.matrix_cvd_Machado2009("Protanomaly", 1.0)),
        "tritan": np.asarray(colour.matrix_cvd_Machado2009("Tritanomaly", 1.0)),
    }

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"
MANY_COLOURS = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in itertools.product(range(0, 256, 51), repeat=3)]


def seen_lab(colours: list[str], vision: str) -> np.ndarray:
    """CIE Lab of colours as somebody with that vision sees them, shape (n, 3)."""
    linear = colour.models.eotf_sRGB(colour.notation.HEX_to_RGB(colours))
    seen = np.clip(linear @ VISIONS[vision].T, 0, 1)
    return colour.XYZ_to_Lab(colour.RGB_to_XYZ(seen, "sRGB", apply_cctf_decoding=False))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("n_levels", range(2, 8))
def test_levels_can_be_told_apart(n_levels: int, vision: str, theme: Theme) -> None:
    lab = seen_lab(severity_colours(n_levels, theme), vision)
    differences = [float(colour.delta_E(a, b, method="CIE 2000")) for a, b in itertools.combinations(lab, 2)]
    assert min(differences) >= 10


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("n_levels", range(3, 12))
def test_lightness_falls_evenly_with_severity(n_levels: int, theme: Theme) -> None:
    steps = np.diff(seen_lab(severity_colours(n_levels, theme), "plain")[1:, 0])
    assert (steps < 0).all()
    assert steps.min() > 2 * steps.max()  # the largest step is less than twice the smallest


@pytest.mark.parametrize("theme", THEMES)
def test_text_on_chips_can_be_read(theme: Theme) -> None:
    for colours in (*(severity_colours(n, theme) for n in range(1, 12)), MANY_COLOURS):
        assert min(contrast(text_on(c), c) for c in colours) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_text_tones_and_outlines_stand_out(theme: Theme) -> None:
    tones = chrome(theme)
    for text, back in itertools.product((tones.ink, tones.muted, tones.accent), (tones.page, tones.panel)):
        assert contrast(text, back) >= 4.5
    for c in severity_colours(7, theme) + palette.scorer_colours(6, theme):
        assert contrast(palette.outline(c, theme), tones.page) >= 3


def test_contrast_is_that_of_the_guideline() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", THEMES)
def test_a_level_has_one_colour_in_its_dataset(theme: Theme) -> None:
    levels = [0.0, 0.5, 1.0, 2.0, 4.0]
    assert [palette.level_colour(level, levels[::-1], theme) for level in levels] == severity_colours(5, theme)
    assert palette.level_colour(0, [1.0, 2.0], theme) == severity_colours(1, theme)[0]
    with pytest.raises(ValueError):
        palette.level_colour(3.0, levels, theme)
    with pytest.raises(ValueError):
        severity_colours(0, theme)


@pytest.mark.parametrize("theme", THEMES)
def test_diverging_colours_pass_through_the_panel(theme: Theme) -> None:
    assert palette.diverging_colour(0.5, theme) == chrome(theme).panel
    assert palette.diverging_colour(1.0, theme) == palette.diverging_colour(2.0, theme) == chrome(theme).accent
    ends = [palette.diverging_colour(share, theme) for share in (0.0, 1.0)]
    for vision in VISIONS:
        warm, cool = seen_lab(ends, vision)
        assert float(colour.delta_E(warm, cool, method="CIE 2000")) >= 20


def test_scorers_repeat_with_another_dash() -> None:
    for theme in THEMES:
        pairs = list(zip(palette.scorer_colours(12, theme), palette.scorer_dashes(12), strict=True))
        assert len(set(pairs)) == 12
        assert len(set(palette.scorer_colours(6, theme))) == 6


@pytest.mark.parametrize("name", palette.COLOUR_MAPS)
def test_colour_maps_are_tables_of_256_colours(name: str) -> None:
    table = palette.colour_map(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert len(np.unique(table, axis=0)) > 200
    with pytest.raises(ValueError, match="viridis"):
        palette.colour_map("jet")


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_is_drawn_in_the_same_tones(theme: Theme) -> None:
    configured = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"][theme]
    tones = chrome(theme)
    expected = {
        "backgroundColor": tones.page,
        "secondaryBackgroundColor": tones.panel,
        "codeBackgroundColor": tones.panel,
        "dataframeHeaderBackgroundColor": tones.panel,
        "textColor": tones.ink,
        "codeTextColor": tones.ink,
        "dataframeHeaderTextColor": tones.muted,
        "grayColor": tones.muted,
        "borderColor": tones.line,
        "dataframeBorderColor": tones.line,
        "linkColor": tones.accent,
        "blueColor": tones.accent,
        "chartCategoricalColors": palette.scorer_colours(6, theme),
    }
    assert {key: configured[key] for key in expected} == expected
    assert contrast("#ffffff", configured["primaryColor"]) >= 4.5  # buttons carry white text
