"""What names say of masks: folders that hold them, and files that are one."""

import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mad_core.datasets.naming import plain

PROBES = 3
"""Files of one kind that are looked into before all of them are believed."""

FOLDERS = frozenset(
    f"{word}{end}"
    for word in ("mask", "groundtruth", "gt", "segmentation", "segmentationmask", "segmentationclass", "defectmask")
    for end in ("", "s", "es")
)
"""Folders of masks, their names in lower case, letters alone: nothing in them is a picture."""
PERHAPS = frozenset(
    f"{word}{end}"
    for word in ("label", "annotation", "ann", "anno", "annot", "seg", "target", "matte", "labelmap", "lbl", "png_mask")
    for end in ("", "s")
)
"""Folders that hold masks if their pictures look like masks: a defect type can be called so, too."""

_SURE = r"masks?|gt|ground[_\-. ]?truth"
_ANY = rf"{_SURE}|labels?|lbl|seg|segm|segmentation|annotations?|anno|annot|labelmap"
_GAP = r"[_\-. ()\[\]]{1,3}"
"""What stands between a picture's name and a word, such as ``x - mask`` and ``x(mask)`` have it."""
_AFTER = re.compile(
    rf"(?P<stem>.+?){_GAP}(?P<word>{_ANY})(?:[_\-. ]?(?P<tail>\d{{1,4}}|[A-Za-z][A-Za-z0-9_\-]{{0,30}}))?[)\]]?",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"[(\[]?(?P<word>{_ANY}){_GAP}(?P<stem>.+)", re.IGNORECASE)
_BESIDE_DIGITS = re.compile(rf"(?P<stem>.*\d)(?P<word>{_SURE})|(?P<before>{_SURE})(?P<number>\d.*)", re.IGNORECASE)
"""``000mask`` and ``mask000``."""
_GRAFTED = re.compile(r"(?P<stem>.*[a-z0-9])(?P<word>Mask|GT|GroundTruth|Label)(?P<tail>\d{0,3})")
_NUMBERED = re.compile(r"(?P<stem>.+?)[_\-. ]\d{1,4}")
_FIRST_WORD = re.compile(r"(?P<word>[A-Za-z]+)[_\-. ].+")
_LAST_WORD = re.compile(r".+[_\-. ](?P<word>[A-Za-z]+)|.*[a-z](?P<grafted>Masks?|GT|GroundTruth|Labels?)")


def holds_masks(folder: str) -> bool:
    """Whether a folder of this name holds masks and nothing else."""
    return plain(folder) in FOLDERS


def may_hold_masks(folder: str) -> bool:
    """Whether a folder called so holds masks if its pictures look like it: ``labels``, ``test_masks``, ``mask_png``."""
    name = plain(folder)
    ending, begun = _LAST_WORD.fullmatch(folder.strip()), _FIRST_WORD.fullmatch(folder.strip())
    last = plain(ending["word"] or ending["grafted"]) if ending else ""
    first = plain(begun["word"]) if begun else ""
    return bool({first, last, name} & (FOLDERS | PERHAPS)) or name.endswith("groundtruth")


def masked_stem(stem: str) -> str | None:
    """The name, without suffix, of the picture that a file is named as the mask of; None where it is not.

    ``x_mask``, ``x-GT``, ``x.label``, ``xMask``, ``mask_x``, ``x_mask_1``, ``x_mask_scratch`` → ``x``.
    """
    for pattern in (_AFTER, _BEFORE, _GRAFTED):
        match = pattern.fullmatch(stem)
        if match:
            return match["stem"]
    match = _BESIDE_DIGITS.fullmatch(stem)
    return (match["stem"] or match["number"]) if match else None


def is_sure(stem: str) -> bool:
    """Whether a name says mask, and not a word that may say something else: ``x_mask``, ``x_GT``; not ``x_label``."""
    match = _AFTER.fullmatch(stem) or _BEFORE.fullmatch(stem) or _GRAFTED.fullmatch(stem)
    if not match:
        return _BESIDE_DIGITS.fullmatch(stem) is not None
    return re.fullmatch(_SURE, match["word"], re.IGNORECASE) is not None


def picture_stems(stem: str) -> list[str]:
    """Names of the picture that a mask in a folder of masks may belong to, the likeliest first."""
    named, numbered = masked_stem(stem), _NUMBERED.fullmatch(stem)
    return list(dict.fromkeys(name for name in (named, stem, numbered and numbered["stem"]) if name))


def may_belong(stem: str, picture: str) -> bool:
    """Whether a name is a picture's own with a word more, such as ``x_roi`` or ``outline-x``; no mere number."""
    for rest in (stem.removeprefix(picture), stem.removesuffix(picture)):
        word = rest.strip("_-. ()[]")
        if rest not in (stem, "") and word != rest and re.search(r"[A-Za-z]", word):
            return True
    return False


@dataclass(frozen=True)
class Sorted:
    """The image files of one folder that are no pictures, by what their names and pixels say.

    Parameters
    ----------
    masks : mapping of file name to the picture's name without suffix
    same_stem : tuple of str
        Those of the masks that are called as their picture is, with another suffix.
    asked : tuple of str
        Of two values alone, and called as a picture with a word more: a mask or a picture, nobody knows.
    """

    masks: Mapping[str, str] = field(default_factory=dict)
    same_stem: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def sort_out(names: Sequence[str], looks_like_mask: Callable[[str], bool]) -> Sorted:
    """Which image files of one folder are masks.

    Parameters
    ----------
    names : sequence of str
        Every image file of the folder.
    looks_like_mask : callable
        Whether the pixels of one of them could be a mask's; asked seldom, since it decodes the file.
    """
    stems = {name: posixpath.splitext(name)[0] for name in names}
    plain_stems = Counter(same(stem) for stem in stems.values())
    masks = _by_affix(stems, plain_stems, looks_like_mask)
    rest = [name for name in names if name not in masks]
    same_stem = _by_same_stem(rest, stems, looks_like_mask)
    rest = [name for name in rest if name not in same_stem]
    kinds = _with_a_word_more(rest, stems)
    asked = [name for alike in kinds.values() if all(map(looks_like_mask, alike[:PROBES])) for name in alike]
    asked = [] if _all_alike(rest, asked, looks_like_mask) else asked
    return Sorted(masks | {name: stems[name] for name in same_stem}, tuple(same_stem), tuple(asked))


def _by_affix(
    stems: Mapping[str, str], there: Mapping[str, int], looks_like_mask: Callable[[str], bool]
) -> dict[str, str]:
    """Files named as masks: of a picture that is there, or looking like one; a few of a kind stand for all."""
    kinds: dict[tuple[str, bool], list[str]] = {}
    named = {name: of for name, stem in stems.items() if (of := masked_stem(stem))}
    for name, of in named.items():
        paired = same(of) in there
        if not (paired and is_sure(stems[name])):
            kinds.setdefault((stems[name].replace(of, "", 1).rstrip("0123456789"), paired), []).append(name)
    refused = {name for alike in kinds.values() if not all(map(looks_like_mask, alike[:PROBES])) for name in alike}
    return {name: of for name, of in named.items() if name not in refused}


def _by_same_stem(names: Sequence[str], stems: Mapping[str, str], looks_like_mask: Callable[[str], bool]) -> list[str]:
    """Files that are called as another one but for the suffix, and alone of both look like a mask."""
    called: dict[str, list[str]] = {}
    for name in names:
        called.setdefault(same(stems[name]), []).append(name)
    pairs: dict[tuple[str, ...], list[list[str]]] = {}
    for together in called.values():
        if len(together) > 1:
            pairs.setdefault(tuple(posixpath.splitext(n)[1].lower() for n in together), []).append(together)
    masks = []
    for suffixes, alike in pairs.items():
        probed = [[looks_like_mask(n) for n in together] for together in alike[:PROBES]]
        where = [place for place in range(len(suffixes)) if all(answers[place] for answers in probed)]
        if (
            where
            and len(where) < len(suffixes)
            and not any(a for p in probed for i, a in enumerate(p) if i not in where)
        ):
            masks += [together[place] for together in alike for place in where]
    return masks


def _with_a_word_more(names: Sequence[str], stems: Mapping[str, str]) -> dict[str, list[str]]:
    """Files called as another one with a word before or after it, by that word."""
    there = {stems[name] for name in names}
    by_stem: dict[str, list[str]] = {}
    for name in names:
        parts = re.split(r"([_\-. ()\[\]]+)", stems[name])
        shorter = ["".join(parts[:end]) for end in range(1, len(parts), 2)]
        shorter += ["".join(parts[start:]) for start in range(2, len(parts), 2)]
        picture = next((s for s in shorter if s in there and may_belong(stems[name], s)), None)
        if picture is not None:
            by_stem.setdefault(stems[name].replace(picture, "", 1), []).append(name)
    return by_stem


def _all_alike(names: Sequence[str], asked: Sequence[str], looks_like_mask: Callable[[str], bool]) -> bool:
    """Whether the pictures that nobody asks about look like masks, too: then that says nothing."""
    others = [name for name in names if name not in set(asked)][:PROBES]
    return bool(others) and all(map(looks_like_mask, others))


def same(name: str) -> str:
    """A name without regard to case and to the Unicode form in which an accent is written."""
    return unicodedata.normalize("NFC", name).casefold()
