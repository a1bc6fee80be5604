"""Colours: severity levels, scorers, the page's own few tones, and colour maps for anomaly maps.

Severity runs from a cool grey (normal) over pale yellow to dark plum, lightness falling evenly: the
family of Tol's YlOrBr and Crameri's lajolla. The anchors were searched so that for up to seven levels
all pairs differ by ΔE2000 ≥ 10 in plain, deutan, protan and tritan vision (Machado et al. 2009); a
test computes it. Plain numpy, so that everything may import it.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Chrome:
    """The tones everything except data is drawn in; ``.streamlit/config.toml`` uses the same."""

    page: str
    panel: str
    ink: str
    muted: str
    line: str
    accent: str


_CHROME: Mapping[Theme, Chrome] = {
    "light": Chrome("#ffffff", "#f3f5f6", "#171c20", "#59646b", "#d9dfe3", "#17607f"),
    "dark": Chrome("#12171b", "#1c2328", "#e8edf0", "#9da9b1", "#303a41", "#6fb7d4"),
}

_NORMAL: Mapping[Theme, str] = {"light": "#c9d4dc", "dark": "#8996a0"}
_SEVERE: Mapping[Theme, tuple[str, ...]] = {
    "light": ("#e6cf5c", "#d1a05c", "#b97752", "#a3524a", "#842d48", "#57194b"),
    "dark": ("#f7f0b5", "#f2d066", "#e5a073", "#c07b72", "#a35b6d", "#7b496e"),
}
_REVERSED: Mapping[Theme, str] = {"light": "#ad5a2a", "dark": "#dd9663"}
_SINGLE_SEVERE = 0.6  # where on the ramp the only abnormal level of a two-level dataset stands

_SCORERS: Mapping[Theme, tuple[str, ...]] = {
    "light": ("#2a5dbd", "#029f82", "#544e6d", "#9880e8", "#0c3c30", "#877497"),
    "dark": ("#65f7f8", "#c79dfd", "#4fbd78", "#c2e6ca", "#8f73aa", "#4d896b"),
}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

_BLACK, _WHITE = "#000000", "#ffffff"  # pure: the better of the two then always has a contrast of 4.58 or more
_MARK_CONTRAST = 3.0  # WCAG 2.2, 1.4.11: graphical objects


def chrome(theme: Theme) -> Chrome:
    """Page, panel, text, muted text, line and accent tone of a theme."""
    return _CHROME[theme]


def severity_colours(n_levels: int, theme: Theme) -> list[str]:
    """Colours of ``n_levels`` levels, the normal one first, as ``#rrggbb``.

    Up to seven levels all pairs differ by ΔE2000 ≥ 10 for every colour vision; beyond that the same
    ramp is divided more finely.

    Raises
    ------
    ValueError
        If ``n_levels`` is below 1.
    """
    if n_levels < 1:
        raise ValueError("at least one level is needed")
    return [_NORMAL[theme], *_severe(n_levels - 1, theme)]


def level_colour(level: float, levels: Collection[float], theme: Theme) -> str:
    """Colour of one level among the levels of its dataset (half levels count as levels).

    Level 0 is the cool grey; the others share the ramp in order, whatever their distances.

    Raises
    ------
    ValueError
        If ``level`` is not among ``levels``.
    """
    severe = sorted({x for x in levels if x > 0})
    return _NORMAL[theme] if level == 0 else _severe(len(severe), theme)[severe.index(level)]


@cache
def _severe(count: int, theme: Theme) -> tuple[str, ...]:
    """``count`` colours along the ramp of abnormal levels, interpolated in CIE Lab."""
    places = np.linspace(0, 1, count) if count != 1 else [_SINGLE_SEVERE]
    return tuple(_between(_SEVERE[theme], float(place)) for place in places)


def diverging_colour(share: float, theme: Theme) -> str:
    """Colour of a share around one half: warm at 0, the panel's tone at 0.5, the accent at 1.

    Shares outside 0-1 take the colour of the nearer end.
    """
    tones = _CHROME[theme]
    return _between((_REVERSED[theme], tones.panel, tones.accent), share)


@lru_cache(maxsize=1024)
def text_on(colour: str) -> str:
    """Black or white text, whichever has more contrast on ``colour``: at least 4.5:1."""
    return max((_BLACK, _WHITE), key=lambda text: contrast(text, colour))


@lru_cache(maxsize=1024)
def outline(colour: str, theme: Theme) -> str:
    """``colour`` moved away from the page until it has the contrast of a graphical object (3:1).

    Pale fills keep their colour and stay visible by this outline.
    """
    lightness, a, b = _lab(_linear(colour))
    step = -2.0 if theme == "light" else 2.0
    moved = colour
    while contrast(moved, _CHROME[theme].page) < _MARK_CONTRAST:
        lightness += step
        moved = _hex(_from_lab(np.array([lightness, a, b])))
    return moved


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, 1-21 (WCAG 2.2, relative luminance)."""
    dark, light = sorted(float(_linear(colour) @ _TO_XYZ[1]) for colour in (first, second))
    return (light + 0.05) / (dark + 0.05)


def scorer_colours(count: int, theme: Theme) -> list[str]:
    """Colours for ``count`` scorers: cool tones, apart from severity; they repeat after six."""
    return [_SCORERS[theme][i % len(_SCORERS[theme])] for i in range(count)]


def scorer_dashes(count: int) -> list[str]:
    """Line dashes that go with :func:`scorer_colours`, so that no line is told by colour alone."""
    return [_DASHES[(i + i // len(_DASHES)) % len(_DASHES)] for i in range(count)]


def translucent(colour: str, opacity: float) -> str:
    """``rgba(…)`` of a ``#rrggbb`` colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def colour_map(name: str) -> np.ndarray:
    """A colour map for anomaly maps as uint8 of shape (256, 3), RGB, low to high.

    Raises
    ------
    ValueError
        If there is no map of that name; ``COLOUR_MAPS`` lists them.
    """
    return np.frombuffer(base64.b64decode(colour_map_base64(name)), dtype=np.uint8).reshape(256, 3)


def colour_map_base64(name: str) -> str:
    """The same 768 bytes in base64, for a viewer in the browser."""
    if name not in _TABLES:
        raise ValueError(f"no colour map is called '{name}'; known are {', '.join(COLOUR_MAPS)}")
    return _TABLES[name]


# --- sRGB and CIE Lab (IEC 61966-2-1, D65) ---

_TO_XYZ = np.array(
    [
        [0.41239080, 0.35758434, 0.18048079],
        [0.21263901, 0.71516868, 0.07219232],
        [0.01933082, 0.11919478, 0.95053215],
    ]
)
_FROM_XYZ = np.linalg.inv(_TO_XYZ)
_WHITE_POINT = _TO_XYZ.sum(axis=1)
_KNEE = 6 / 29


def _linear(colour: str) -> np.ndarray:
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _hex(linear: np.ndarray) -> str:
    clipped = np.clip(linear, 0, 1)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(channel)):02x}" for channel in encoded)


def _lab(linear: np.ndarray) -> np.ndarray:
    t = (_TO_XYZ @ linear) / _WHITE_POINT
    x, y, z = np.where(t > _KNEE**3, np.cbrt(t), t / (3 * _KNEE**2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _from_lab(lab: np.ndarray) -> np.ndarray:
    y = (lab[0] + 16) / 116
    f = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = np.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29)) * _WHITE_POINT
    return _FROM_XYZ @ xyz


def _between(anchors: Sequence[str], place: float) -> str:
    """The colour at ``place`` (0-1) of a ramp of evenly spaced anchors, interpolated in CIE Lab."""
    lab = np.array([_lab(_linear(colour)) for colour in anchors])
    where = np.linspace(0, 1, len(lab))
    return _hex(_from_lab(np.array([np.interp(place, where, channel) for channel in lab.T])))


# --- colour maps: 256 RGB triples each, base64 ---
# viridis, inferno: van der Walt and Smith (CC0); cividis: Nuñez, Anderton and Renslow 2018 (CC0);
# turbo: Mikhailov, Google 2019 (Apache-2.0).

_TABLES: Mapping[str, str] = {
    "viridis": (
        "RAFURAJWRQRXRQVZRgdaRghcRgpdRgteRw1gRw5hRxBjRxFkRxNlSBRnSBZoSBdpSBhqSBpsSBttSBxuSB1vSB9wSCBxSCFzSCN0SCR1SCV2"
        "SCZ3SCh4SCl5Ryp6Ryx6Ry17Ry58Ry99RjB+RjJ+RjN/RjSARTWBRTeBRTiCRDmDRDqDRDuEQz2EQz6FQj+FQkCGQkGGQUKHQUSHQEWIQEaI"
        "P0eIP0iJPkmJPkqJPkyKPU2KPU6KPE+KPFCLO1GLO1KLOlOLOlSMOVWMOVaMOFiMOFmMN1qMN1uNNlyNNl2NNV6NNV+NNGCNNGGNM2KNM2ON"
        "MmSOMmWOMWaOMWeOMWiOMGmOMGqOL2uOL2yOLm2OLm6OLm+OLXCOLXGOLHGOLHKOLHOOK3SOK3WOKnaOKneOKniOKXmOKXqOKXuOKHyOKH2O"
        "J36OJ3+OJ4COJoGOJoKOJoKOJYOOJYSOJYWOJIaOJIeOI4iOI4mOI4qNIouNIoyNIo2NIY6NIY+NIZCNIZGMIJKMIJKMIJOMH5SMH5WLH5aL"
        "H5eLH5iLH5mKH5qKHpuKHpyJHp2JH56JH5+IH6CIH6GIH6GHH6KHIKOGIKSGIaWFIaaFIqeFIqiEI6mDJKqDJauCJayCJq2BJ62BKK6AKa9/"
        "KrB/LLF+LbJ9LrN8L7R8MbV7MrZ6NLZ5Nbd5N7h4OLl3Orp2O7t1Pbx0P7xzQL1yQr5xRL9wRsBvSMFuSsFtTMJsTsNrUMRqUsVpVMVoVsZn"
        "WMdlWshkXMhjXsliYMpgY8tfZcteZ8xcac1bbM1abs5YcM9Xc9BWddBUd9FTetFRfNJQf9NOgdNNhNRLhtVJidVIi9ZGjtZFkNdDk9dBldhA"
        "mNg+m9k8ndk7oNo5oto3pds2qNs0qtwyrdwwsN0vst0ttd4ruN4put4ovd8mwN8lwt8jxeAhyOAgyuEfzeEd0OEc0uIb1eIa2OIZ2uMZ3eMY"
        "3+MY4uQY5eQZ5+QZ6uUa7OUb7+Uc8eUd9OYe9uYg+OYh++cj/ecl"
    ),
    "cividis": (
        "ACJOACNPACRRACVTACVUACZWACdYAChZAChbACldACpfACphACtiACxkACxmAC1oAC5qAC5sAC9tADBvADBwADFwADFxATJxBTNxCDNwDDRw"
        "DzVwEjVwFDZwFjdwGDdvGjhvHDlvHjpvIDpvITtuIzxuJDxuJj1uJz5uKT9uKj9tK0BtLUFtLkFtL0JtMUNtMkNtM0RtNEVsNUVsNkZsOEds"
        "OUhsOkhsO0lsPEpsPUpsPktsP0xsQExsQU1sQk5sQ05sRE9sRVBsRlFsR1FsSFJsSVNsSlNsS1RsTFVsTVVsTlZsT1dsUFdsUVhtUlltU1pt"
        "VFptVVttVVxtVlxtV11tWF5tWV5uWl9uW2BuXGFuXWFuXmJuXmNvX2NvYGRvYWVvYmVvY2ZwZGdwZWhwZWhwZmlwZ2pxaGpxaWtxamxxa21y"
        "bG1ybG5ybW9ybm9zb3BzcHFzcXJ0cnJ0cnN0c3R1dHR1dXV1dnZ2d3d2d3d3eHh3eXl3enp4e3p4fHt4fXx4fnx4fn14f354gH94gX94goB5"
        "g4F5hIJ5hYJ5hoN5h4R4iIV4iYV4ioZ4i4d4jIh4jYh4jol4j4p4kIt4kYt4kox4ko14k454lI53lY93lpB3l5F3mJJ3mZJ3mpN2m5R2nJV2"
        "nZV2npZ2n5d1oJh1oZl1opl1o5p0pJt0pZx0ppx0p51zqJ5zqZ9zqqBzq6ByrKFyraJyrqNxr6RxsKVxsaVws6ZwtKdvtahvtqlvt6luuKpu"
        "uattuqxtu61tvK5sva5svq9rv7BrwLFqwbJqwrNpw7NpxLRoxbVoxrZnx7dnyLhmyblly7llzLpkzbtjzrxjz71i0L5i0b9h0sBg08Bf1MFf"
        "1cJe1sNd18Rc2cVc2sZb28da3MhZ3chY3slY38pX4MtW4cxV4s1U5M5T5c9S5tBR59FQ6NJP6dNO6tNM69RL7dVK7tZJ79dI8NhG8dlF8tpE"
        "89tC9dxB9t0/994++N88+eA6++E4/OI2/eM0/uQ0/uU1/uY2/ug4"
    ),
    "inferno": (
        "AAAEAQAFAQEGAQEIAgEKAgIMAgIOAwIQBAMSBAMUBQQXBgQZBwUbCAUdCQYfCgciCwckDAgmDQgpDgkrEAktEQowEgoyFAs0FQs3Fgs5GAw8"
        "GQw+GwxBHAxDHgxFHwxIIQxKIwxMJAxPJgxRKAtTKQtVKwtXLQtZLwpbMQpcMgpeNApfNglhOAliOQljOwlkPQllPglmQApnQgpoRApoRQpp"
        "RwtqSQtqSgxrTAxrTQ1sTw1sUQ5sUg5tVA9tVQ9tVxBuWRBuWhFuXBJuXRJuXxNuYRNuYhRuZBVuZRVuZxZuaRZuahdubBhubRhubxlucRlu"
        "chpudBpudRtudxxteBxteh1tfB1tfR5tfx5sgB9sgiBshCBrhSFrhyFriCJqiiJqjCNpjSNpjyRpkCVokiVokyZnlSZnlydmmCdmmihlmylk"
        "nSlknypjoCpjoitioyxhpSxgpi1gqC5fqS5eqy9erTBdrjBcsDFbsTJaszJatDNZtjRYtzVXuTVWujZVvDdUvThTvzlSwDpRwTpQwztPxDxO"
        "xj1Nxz5MyD9LykBKy0FJzEJIzkNHz0RG0EVF0kZE00dD1EhC1UpB10s/2Ew+2U092k4821A73VE63lI431M34FU24VY14lc041kz5Fox5Vww"
        "5l0v514u6GAt6WEr6mMq62Qp62Yo7Gcm7Wkl7mok72wj724h8G8g8XEf8XMd8nQc83Yb83gZ9HkY9XsX9X0V9n4U9oAT94IS94QQ+IUP+IcO"
        "+IkM+YsL+YwK+Y4J+pAI+pIH+pQH+5YG+5cG+5kG+5sG+50H/J8H/KEI/KMJ/KUK/KYM/KgN/KoP/KwR/K4S/LAU/LIW/LQY+7Ya+7gd+7of"
        "+7wh+74j+sAm+sIo+sQq+sYt+ccv+cky+cs1+M03+M8699E999NA9tVD9tdG9dlJ9dtM9N1P9N9T9OFW8+Na8+Vd8uZh8uhl8upp8ext8e1x"
        "8e918fF58vJ98vSC8/WG8/aK9PiO9fmS9vqW+Pua+fyd+v2h/P+k"
    ),
    "turbo": (
        "MBI7MhVDMxhKNBtRNR5YNiFfNyRmOCdtOSpzOi15Oy+APDKGPTWLPjiRPzuXPz6cQECiQUOnQUasQkmxQku1Q066RFG/RFTDRFbHRVnLRVzP"
        "RV7TRmHWRmTaRmbdRmngRmvjR27mR3HpR3PrR3buR3jwR3vyRn30RoD2RoL4RoX6Rof7RYr8RYz9RI/+Q5H+QpT/QZb/QJn/Ppv+PZ7+O6D9"
        "OqP8OKX7N6j6Nav4M633Ma/1L7L0LrTyLLfwKrnuKLzrJ77pJcDnI8PkIsXiIMffH8ndHsvaHM3YG9DVGtLSGtTQGdXNGNfKGNnIGNvFGN3C"
        "GN7AGOC9GeK7GeO5GuS2HOa0HeeyH+mvIOqsIuuqJeynJ+6kKu+hLPCeL/GbMvKYNfOUOPSRPPWOP/aKQ/eHRviESviATvl9Uvp6Vfp2Wftz"
        "XfxvYfxsZf1paf1mbf5icf5fdf5cef5Zff9WgP9ThP9RiP9Oi/9Lj/9Jkv9Hlv5Emf5CnP5An/0/of09pPw8p/w6qfs5rPs4r/o3sfk2tPg2"
        "t/c1ufY1vPU0vvQ0wfM0w/E0xvA0yO80y+00zew00Oo00uk11Oc11+U12eQ22+I23eA339834d0349s45dk459c56dU569M57NE67s867806"
        "8cs68sk69Mc69cU69sM698E6+L45+bw5+ro5+7g4+7Y3/LM2/LE2/a41/aw0/qkz/qcy/qQx/qEw/p4v/pst/pks/pYr/pMq/pAp/Y0n/Yom"
        "/Icl/IQj+4Ei+34h+nsf+Xge+XUd+HIc928a9mwZ9WkY9GYX82MV8mAU8V0T8FsS71gR7VUQ7FMP61AO6k4N6EsM50kM5UcL5EUK4kMK4UEJ"
        "3z8I3T0I3DsH2jkH2DcG1jUG1DMF0jEF0C8Fzi0EzCsEyioEyCgDxSYDwyUDwSMCviECvCACuR4Ctx0CtBsBshoBrxgBrBcBqRYBpxQBpBMB"
        "oRIBnhABmw8BmA4BlQ0BkgsBjgoBiwkCiAgChQcCgQYCfgUCegQD"
    ),
}

COLOUR_MAPS: tuple[str, ...] = tuple(_TABLES)
"""Names of the colour maps, the default first."""
