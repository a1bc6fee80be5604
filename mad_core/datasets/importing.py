"""Importing a dataset from a folder, a table, an archive, or the word ``demo``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from mad_core import remote
from mad_core.datasets import solar_cells
from mad_core.datasets.completeness import against_published, with_published_facts
from mad_core.datasets.dataset import Card, Dataset, Imported, Problem, SubsetCard
from mad_core.datasets.demo.make import demo_card, make_demo
from mad_core.datasets.depths import WindowChoice, with_windows
from mad_core.datasets.gathering import Gathered, summed
from mad_core.datasets.ignoring import lying_at, with_ignored
from mad_core.datasets.image_headers import rows_of
from mad_core.datasets.masks import attach
from mad_core.datasets.naming import SPLITS, TEMPLATES, meaning
from mad_core.datasets.own_normals import checked_way, notes_of_normals, with_own_normals, without_normals
from mad_core.datasets.pages import FIRST, with_pages
from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, read_plan
from mad_core.datasets.planning import as_planned, plan_of
from mad_core.datasets.policies import Policy, policy_in, read_policy, read_yaml
from mad_core.datasets.readers import archives
from mad_core.datasets.readers.annotations import SIDECARS
from mad_core.datasets.readers.buckets import rebuilt
from mad_core.datasets.readers.folders import gather_file, gather_folder
from mad_core.datasets.readers.shards import holds_images, shards_in, unpacked
from mad_core.datasets.readers.tables import subset_named
from mad_core.datasets.walking import Walker, is_image
from mad_core.errors import InputError
from mad_core.paths import remove_tree
from mad_core.settings import Settings
from mad_core.tables import TEXTS, is_table

TABLE_FOLDERS = frozenset(
    {
        "annotations",
        "annotation",
        "labels",
        "label",
        "meta",
        "metadata",
        "csv",
        "tables",
        "table",
        "splits",
        "split",
        "split_csv",
    }
)
"""Folders beside the images that hold tables."""
CARD_NAMES = ("mad.yaml", "mad.yml")
_NOT_THERE = "{} is not there; name a folder, a table or an archive, or the word demo."


@dataclass(frozen=True)
class _Told:
    """What a person says of a source: a severity policy and the decisions of a plan."""

    policy: Policy | None = None
    plan: ImportPlan = field(default_factory=ImportPlan)


class _Progress:
    """Passes progress on, and can say the last of it again: whoever listens may end the work by that."""

    def __init__(self, told: Callable[[int, int], None]) -> None:
        self._told, self._last = told, (0, 0)

    def __call__(self, done: int, total: int) -> None:
        self._last = done, total
        self._told(done, total)

    def again(self) -> None:
        self._told(*self._last)


def import_dataset(
    source: str | Path,
    settings: Settings,
    *,
    name: str | None = None,
    policy: Path | None = None,
    plan: Path | ImportPlan | None = None,
    windows: Iterable[str] = (),
    ignore: Iterable[str] = (),
    pages: str = "",
    unlabelled: bool = False,
    normals_from: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Import a dataset.

    Parameters
    ----------
    source : str or Path
        A folder, a table, an archive, an address of object storage (``s3://bucket/folder``), or the word ``demo`` or
        ``solar-cells``.
    settings : Settings
        Archives are extracted below ``settings.imports``, the demo is made in ``settings.home``.
    name : str, optional
        What the dataset is called; by default as its folder or file is.
    policy : Path, optional
        A severity policy: YAML, defect type to level. Without one, ``severity.yaml`` in the folder or
        the benchmark's own levels count, where no folder's name says a level.
    plan : Path or ImportPlan, optional
        What a person decided: the YAML file of a plan, or the plan. It counts before names, tables and policies.
    windows : sequence of str
        Through which pictures are seen, as :meth:`~mad_core.datasets.depths.WindowChoice.parse` reads them; by
        default those that are found, of subsets with pictures deeper than 8 bits.
    ignore : sequence of str
        Masks of what counts for nothing, as :func:`~mad_core.datasets.ignoring.with_ignored` reads them.
    pages : str
        Of files with several pages or frames the ``"first"``, ``"each"``, or one by its number. The plan's
        windows, ignored regions, pages and normals count where none are given; without either it is the first page.
    unlabelled : bool
        Whether images of which nothing says the level are tested without one, instead of asking about them.
    normals_from : str
        From which of its own images detectors learn in a subset where none is known to be normal: ``"typical"``,
        ``"all"`` or a number, as :func:`~mad_core.datasets.own_normals.with_own_normals` takes it; empty for none.
    progress : callable
        Called as ``progress(done, total)`` in the calling thread; while files are still looked for,
        ``done`` is 0 and ``total`` grows. What it raises ends the import.

    Returns
    -------
    Imported
        The dataset, empty if nothing is usable, every problem met, and the plan that repeats the import. The same
        content gives the same ids and version, wherever it lies and whether in a folder or in an archive.

    Raises
    ------
    InputError
        If the source is not there or is no dataset, or a policy, plan, card or archive cannot be used; a
        :class:`LevelsUnknownError` where nothing says a level, whose plan holds the words that are asked about.
    """
    if normals_from:
        checked_way(normals_from)
    heard = _Progress(progress)
    if str(source) == "demo":
        folder = make_demo(settings.home / "demo", heard)
        imported = _import_folder(folder, "demo", _Told(), settings, heard)
        named = replace(imported.dataset, name=name or "Demo", card=demo_card(), source="demo")
        return with_ignored(replace(imported, dataset=named), ignore)
    if str(source) == solar_cells.SOURCE:
        folder = solar_cells.make_solar_cells(settings.home / solar_cells.SOURCE, heard)
        imported = _import_folder(folder, solar_cells.SOURCE, _Told(), settings, heard)
        named = replace(imported.dataset, name=name or solar_cells.TITLE, card=solar_cells.card(), source=str(source))
        return with_ignored(replace(imported, dataset=named), ignore)
    given = Path(policy).expanduser().absolute() if policy else None
    decided = plan if isinstance(plan, ImportPlan) else read_plan(Path(plan).expanduser()) if plan else ImportPlan()
    decided = replace(
        decided,
        unlabelled=decided.unlabelled or unlabelled,
        window=tuple(windows) or decided.window,
        ignore=tuple(map(lying_at, ignore)) or decided.ignore,
        pages=pages or decided.pages,
        normals_from=normals_from or decided.normals_from,
    )
    if decided.normals_from:
        checked_way(decided.normals_from)
    told = _Told(read_policy(given) if given else None, decided)
    try:
        if remote.is_address(source):
            origin = remote.plain_address(source)
            imported = _import_bucket(origin, settings, told, heard)
        else:
            path = _one_name(source)
            origin = str(path)
            imported = _import_path(path, settings, told, heard)
    except LevelsUnknownError as error:  # what was decided before it stays decided
        asked = replace(decided, rows=error.plan.rows, unlabelled=False)
        raise LevelsUnknownError(str(error), asked, error.fact) from None
    card = replace(imported.dataset.card, policy=str(given or ""))
    dataset = replace(imported.dataset, name=name or imported.dataset.name, card=card, source=origin)
    paged = with_pages(replace(imported, dataset=dataset), decided.pages or FIRST)
    seen = with_ignored(with_windows(paged, WindowChoice.parse(decided.window), heard.again), decided.ignore)
    return _learning_from(seen, decided.normals_from) if decided.normals_from else seen


def _learning_from(imported: Imported, way: str) -> Imported:
    """What was imported, with the images that detectors learn from instead of the sentence that none is normal."""
    subsets = without_normals(imported.dataset)
    dataset = with_own_normals(imported.dataset, way)
    told = [Problem("question", "", note) for note in notes_of_normals(dataset, subsets)]
    kept = [p for p in imported.problems if not (p.kind == "empty-level" and p.path in subsets)]
    return replace(imported, dataset=dataset, problems=(*kept, *told))


def check_report(imported: Imported) -> dict[str, Any]:
    """What ``check --json`` prints: the name, counts by subset, split and level, and every problem.

    Data of the benchmark has one more entry, ``published``: what is complete and what is missing.
    """
    published = against_published(imported.dataset)
    dataset = imported.dataset
    seen = {name: window_report(dataset.card.subset(name)) for name in dataset.windows}
    for name, region in dataset.ignored.items():
        seen[name] = seen.get(name, {}) | {"ignored": round(region.share, 6)}
    return {
        "name": imported.dataset.name,
        "subsets": [entry | seen.get(entry["subset"], {}) for entry in dataset.counts()],
        "problems": [p.to_json() for p in imported.problems],
    } | ({"published": [one.to_json() for one in published]} if published else {})


def window_report(card: SubsetCard) -> dict[str, Any]:
    """The entries ``window`` and ``pixels`` of a subset, as ``check --json`` gives them."""
    return {name: value for name, value in card.to_json().items() if name in ("window", "pixels")}


def read_card(folder: Path) -> Card | None:
    """The card that lies in a dataset's folder as ``mad.yaml``; None where there is none.

    Raises
    ------
    InputError
        If it is not a card.
    """
    path = next((folder / n for n in CARD_NAMES if (folder / n).is_file()), None)
    if path is None:
        return None
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a link that leads out of the dataset's folder.")
    data = read_yaml(path)
    _check_card(data, path)
    return Card.from_json(data)


def _one_name(source: str | Path) -> Path:
    """The same path however it is written; links to folders are followed, a file keeps its own name."""
    try:
        path = Path(source).expanduser().absolute()
        return path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    except (OSError, RuntimeError, ValueError):  # too long, no such user, links in a circle, a character no path has
        raise InputError(_NOT_THERE.format(source)) from None


def _import_path(path: Path, settings: Settings, told: _Told, progress: Callable[[int, int], None]) -> Imported:
    if path.is_dir():
        shards = shards_in(path.resolve(), Walker(path.resolve(), progress))
        return _import_shards(path, shards, settings, told, progress)
    if not path.is_file():
        raise InputError(_NOT_THERE.format(path))
    if holds_images(path):
        return _import_shards(path, [path], settings, told, progress)
    if is_table(path) or path.suffix.lower() in TEXTS:
        return _import_table(path, told, settings, progress)
    if is_image(path.name):
        raise InputError(f"{path} is one image; name the folder that holds the dataset.")
    folder = archives.extract(path, settings.imports, progress)
    try:
        return _import_folder(*_top(folder, archives.name_of(path)), told, settings, progress)
    except InputError as error:  # the user knows the archive, not where it was unpacked
        raise _told_anew(error, lambda words: words.replace(str(folder.resolve()), str(path))) from None


def _import_shards(
    path: Path,
    shards: Sequence[Path],
    settings: Settings,
    told: _Told,
    progress: Callable[[int, int], None],
    name: str = "",
) -> Imported:
    """A folder, or what the shards in it hold where its images lie in shards; ``name`` is what it is called."""
    if not shards:
        return _import_folder(path, path.resolve().name, told, settings, progress)
    folder = unpacked(shards, settings.imports, progress)
    name = name or (path.stem if path.is_file() else path.resolve().name)
    beside = read_card(path.resolve()) if path.is_dir() else None
    policy = told.policy or policy_in(path.resolve() if path.is_dir() else path.parent.resolve())
    try:
        imported = _import_folder(*_top(folder, name), replace(told, policy=policy), settings, progress)
    except InputError as error:  # the user knows the shards, not where they were unpacked
        raise _told_anew(error, lambda words: words.replace(str(folder.resolve()), str(path))) from None
    return replace(imported, dataset=replace(imported.dataset, card=beside)) if beside else imported


def _told_anew(error: InputError, said: Callable[[str], str]) -> InputError:
    """An error in other words, with the plan of what is asked where it has one."""
    if isinstance(error, LevelsUnknownError):
        return LevelsUnknownError(said(str(error)), error.plan, said(error.fact))
    return InputError(said(str(error)))


def _import_bucket(address: str, settings: Settings, told: _Told, progress: Callable[[int, int], None]) -> Imported:
    """A folder on object storage; its images stay there, and their addresses stand in the table."""
    bucket, refused = rebuilt(address, settings, progress)
    root = bucket.root.resolve()
    walker = Walker(root, progress, told.plan)

    def with_address(text: str) -> str:
        return text.replace(str(root), address)

    try:
        if shards := shards_in(root, walker):
            unpacked = _import_shards(root, shards, settings, told, progress, bucket.name)
            remove_tree(root)  # what they hold is unpacked
            return replace(unpacked, problems=(*refused, *unpacked.problems))
        gathered = attach(gather_folder(root, bucket.name, walker, told.policy), walker)
        card = read_card(root)
    except InputError as error:  # the user knows the address, not the tree that stands for it
        raise _told_anew(error, with_address) from None
    there = [
        replace(f, path=bucket.address_of(f.path), masks=tuple(map(bucket.address_of, f.masks))) for f in gathered.found
    ]
    imported = _imported(
        replace(gathered, found=tuple(there)), walker, bucket.name, card, settings.masks, progress, gathered
    )
    problems = [
        replace(p, path=with_address(p.path), message=with_address(p.message)) for p in (*refused, *imported.problems)
    ]
    return replace(imported, problems=tuple(problems))


def _import_folder(
    folder: Path, name: str, told: _Told, settings: Settings, progress: Callable[[int, int], None]
) -> Imported:
    root = folder.resolve()
    walker = Walker(root, progress, told.plan)
    card = read_card(root)
    gathered = attach(gather_folder(root, name, walker, told.policy), walker)
    return _imported(gathered, walker, name, card, settings.masks, progress)


def _import_table(path: Path, told: _Told, settings: Settings, progress: Callable[[int, int], None]) -> Imported:
    table = path.parent.resolve() / path.name
    root = table.parent.parent if _lies_beside_images(table) else table.parent
    walker, name = Walker(root, progress, told.plan), subset_named(table)
    gathered = attach(gather_file(table, name, walker, told.policy), walker)
    return _imported(gathered, walker, name, read_card(root), settings.masks, progress)


def _lies_beside_images(table: Path) -> bool:
    """Whether a table lies in a folder of its own beside the images: a template, or annotations."""
    name = table.parent.name.lower()
    if name in TEMPLATES:
        return True
    walker = Walker(table.parent, lambda done, total: None)
    return name in TABLE_FOLDERS and next(walker.images(table.parent), None) is None


def _imported(
    gathered: Gathered,
    walker: Walker,
    name: str,
    card: Card | None,
    masks: Path,
    progress: Callable[[int, int], None],
    local: Gathered | None = None,
) -> Imported:
    """What was gathered, read; ``local`` are the same images by their paths below the walker's root."""
    gathered, local = as_planned(gathered, walker.plan), as_planned(local or gathered, walker.plan)
    rows, problems = rows_of(gathered, masks, progress)
    card = card or with_published_facts(Card(title=name), gathered.cards)
    card = replace(card, subsets={**gathered.cards, **card.subsets})
    dataset = Dataset.from_rows(name, rows, card, str(walker.root))
    plan = plan_of(local, rows, walker)
    depths, pages = ({row["path"]: row[name] for row in rows} for name in ("depth", "pages"))
    met = (*summed(walker.problems.values()), *_not_there(walker), *problems)
    return Imported(dataset, met, plan, depths, pages)


def _not_there(walker: Walker) -> Iterator[Problem]:
    """Folders and tables that the plan names and that are not there."""
    for name in (*walker.plan.folders, *walker.plan.tables):
        if not (walker.root / name).exists() and Path(name).name != SIDECARS:
            yield Problem("missing-file", name, "The plan names it, but it is not there.")


def _top(folder: Path, name: str) -> tuple[Path, str]:
    """An archive's only folder at the top, where it is not a split or a level itself; and its name."""
    walker = Walker(folder.resolve(), lambda done, total: None)
    inside = walker.folders(walker.root)
    if len(inside) == 1 and not walker.files(walker.root):
        only = inside[0]
        if only.name.lower() not in SPLITS and meaning(only.name) is None:
            return only, only.name
    return folder, name


def _check_card(data: Mapping[Any, Any], path: Path) -> None:
    """A card holds texts in known places, nothing else."""

    def inner(values: Any, under: str) -> list[Any]:
        """What stands under a key, in a mapping that otherwise holds texts."""
        if not isinstance(values, dict) or not isinstance(values.get(under, {}), dict):
            raise TypeError
        if not all(isinstance(v, str | int | float | date) for k, v in values.items() if k != under):
            raise TypeError
        return list(values.get(under, {}).values())

    try:
        for subset in inner(data, "subsets"):
            if isinstance(subset, dict) and isinstance(seen := subset.get("window"), dict):
                inner(seen, "")
                subset = {k: v for k, v in subset.items() if k != "window"}
            for level in inner(subset, "levels"):
                inner(level, "")
    except TypeError:
        raise InputError(
            f"{path} is not a dataset's card: it holds title, description, source, licence, version and subsets; "
            "each subset holds domain, rubric, product, levels and a window; each level a name and a meaning."
        ) from None
