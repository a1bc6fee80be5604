"""Datasets and their images: the tables ``datasets`` and ``images``."""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from mad_core.datasets.dataset import COLUMNS, Card, Dataset, Imported, Problem
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import datasets, images
from mad_core.runs.store.records import DatasetInfo
from mad_core.runs.store.runs import carry_runs

INSERT_ROWS = 5_000
LONGEST_NAME = 190
MOVING = ("path", "mask_path", "mask_hash", "group")
"""Columns that say nothing of an image's content: they are renewed in the dataset that is there."""
AT_ONCE = 400
"""Values in one question to the database; SQLite takes some thousand."""


class DatasetStore:
    """Datasets in the database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._load = lru_cache(maxsize=8)(self._read)  # by id and version: datasets grow, in other processes, too
        self._renamed: dict[str, Dataset] = {}

    def add(self, imported: Imported) -> str:
        """Keep an imported dataset and return its id.

        The same source with the same content keeps its id, its name and its edited card; only the
        problems are renewed. Changed content is a dataset of its own, beside the old one.
        """
        dataset = imported.dataset
        dataset_id = hashlib.blake2b(f"{dataset.source}\0{dataset.version}".encode(), digest_size=6).hexdigest()
        problems = [p.to_json() for p in imported.problems]
        with self._database.write() as connection:
            if connection.execute(sa.select(datasets.c.id).where(datasets.c.id == dataset_id)).scalar():
                card = connection.execute(sa.select(datasets.c.card).where(datasets.c.id == dataset_id)).scalar()
                values = {"problems": problems, "card": {**(card or {}), **_plan(imported)}}
                connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(**values))
                self._update_files(connection, dataset_id, dataset)
            else:
                _insert(connection, dataset_id, dataset, problems, dataset.card.to_json() | _plan(imported))
        return dataset_id

    def _update_files(self, connection: Connection, dataset_id: str, dataset: Dataset) -> None:
        """Files may have moved (another extraction folder), masks and groups come or gone while the images stayed."""
        files = sa.select(images.c.image_id, *(images.c[name] for name in MOVING))
        stored = {row.image_id: row for row in connection.execute(files.where(images.c.dataset_id == dataset_id))}
        changed = [
            {"b_id": row["image_id"], **{name: row[name] for name in MOVING}}
            for row in _plain(dataset.table)
            if tuple(row[name] for name in MOVING) != tuple(stored[row["image_id"]])[1:]
        ]
        if changed:
            statement = images.update().where(
                images.c.dataset_id == dataset_id, images.c.image_id == sa.bindparam("b_id")
            )
            connection.execute(statement, changed)
            self._load.cache_clear()

    def all(self) -> list[DatasetInfo]:
        """Every dataset, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(datasets).order_by(datasets.c.created)).mappings().all()
        return [_dataset_info(row) for row in rows]

    def info(self, dataset_id: str) -> DatasetInfo:
        """One dataset without its images.

        Raises
        ------
        NotFoundError
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(datasets).where(datasets.c.id == dataset_id)).mappings().one_or_none()
        if row is None:
            raise NotFoundError(f"No dataset has the id '{dataset_id}'; it may have been deleted.")
        return _dataset_info(row)

    def load(self, dataset_id: str) -> Dataset:
        """One dataset with its images; its table is cached and must not be changed.

        Raises
        ------
        NotFoundError
        """
        info = self.info(dataset_id)
        loaded = self._load(dataset_id, info.version)
        if (info.name, info.card) == (loaded.name, loaded.card):
            return loaded
        renamed = self._renamed.get(dataset_id)
        if (
            renamed is None
            or renamed.table is not loaded.table
            or (renamed.name, renamed.card) != (info.name, info.card)
        ):
            renamed = replace(loaded, name=info.name, card=info.card)
            self._renamed = {dataset_id: renamed}  # the last one only: a table belongs to one dataset
        return renamed

    def _read(self, dataset_id: str, version: str) -> Dataset:
        info = self.info(dataset_id)
        columns = [images.c[name] for name in COLUMNS]
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(*columns).where(images.c.dataset_id == dataset_id).order_by(images.c.position)
            ).all()
        values = zip(*rows, strict=True) if rows else ((),) * len(columns)
        table = pd.DataFrame(
            {name: pd.Series(column, dtype=COLUMNS[name]) for name, column in zip(COLUMNS, values, strict=True)}
        )
        return Dataset(info.name, table, info.card, info.source)

    def grow(self, dataset_id: str, before: str, dataset: Dataset) -> None:
        """Keep the next version of a dataset in its place: further rows after those of the version ``before``.

        Its runs go on with it: see :func:`mad_core.runs.store.runs.carry_runs`.

        Raises
        ------
        InputError
            If it is no longer the version before.
        """
        with self._database.write() as connection:
            facts = sa.select(datasets.c.version, datasets.c.images).where(datasets.c.id == dataset_id)
            stored = connection.execute(facts).one_or_none()
            if stored is None or stored.version != before:
                raise InputError(f"Dataset '{dataset.name}' has changed meanwhile; add the images again.")
            _insert_images(connection, dataset_id, dataset.table.iloc[stored.images :], stored.images)
            tests: Any = dataset.select(split="test")
            counts = {str(name): int(n) for name, n in tests.groupby("subset").size().items()}
            carry_runs(connection, dataset_id, before, dataset.version, counts)
            values = {"version": dataset.version, "images": len(dataset.table), "card": dataset.card.to_json()}
            connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(**values))

    def image(self, dataset_id: str, image_id: str) -> Mapping[str, Any]:
        """One row of the table of images, straight from the database.

        Raises
        ------
        NotFoundError
        """
        with self._database.read() as connection:
            return image_row(connection, dataset_id, image_id)

    def update_card(self, dataset_id: str, card: Card) -> None:
        """Replace the card (level names and meanings, rubric); scores are untouched."""
        with self._database.write() as connection:
            connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(card=card.to_json()))

    def rename(self, dataset_id: str, name: str) -> None:
        """Give a dataset another name.

        Raises
        ------
        InputError
            If the name is empty, longer than 190 characters or taken.
        """
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME:
            raise InputError(f"A dataset's name has 1 to {LONGEST_NAME} characters.")
        with self._database.write() as connection:
            taken = connection.execute(
                sa.select(datasets.c.id).where(datasets.c.name == name, datasets.c.id != dataset_id)
            ).scalar()
            if taken:
                raise InputError(f"Another dataset is already called '{name}'.")
            connection.execute(datasets.update().where(datasets.c.id == dataset_id).values(name=name))

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset with every row that belongs to it: images, runs, scores, cuts, studies."""
        with self._database.write() as connection:
            connection.execute(datasets.delete().where(datasets.c.id == dataset_id))
        self._load.cache_clear()

    def places(self) -> dict[str, tuple[str, ...]]:
        """Where each dataset comes from: its source and the file of one of its images, if it has any.

        The same of each part that came later.
        """
        some_image = sa.select(images.c.path).where(images.c.dataset_id == datasets.c.id).limit(1).scalar_subquery()
        with self._database.read() as connection:
            rows = connection.execute(sa.select(datasets.c.id, datasets.c.card, datasets.c.source, some_image)).all()
        return {
            dataset_id: tuple(path for path in (*paths, *_places_of(Card.from_json(card or {}))) if path)
            for dataset_id, card, *paths in rows
        }


def _places_of(card: Card) -> Iterator[str]:
    for addition in card.additions:
        yield from (addition.source, addition.path)


def image_row(connection: Connection, dataset_id: str, image_id: str) -> Mapping[str, Any]:
    """One row of the table of images; the level is NaN where nobody has graded it.

    Raises
    ------
    NotFoundError
    """
    query = sa.select(images).where(images.c.dataset_id == dataset_id, images.c.image_id == image_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        name = connection.execute(sa.select(datasets.c.name).where(datasets.c.id == dataset_id)).scalar()
        raise NotFoundError(f"Image '{image_id}' is not in dataset '{name or dataset_id}'.")
    return {str(key): value for key, value in row.items()} | {"level": level_of(row["level"])}


def level_of(stored: float | None) -> float:
    """A level as it stands in memory: NaN where the database has none."""
    return math.nan if stored is None else stored


def images_where(
    connection: Connection, column: str, values: Sequence[str], dataset_id: str | None = None
) -> Iterator[RowMapping]:
    """What names the images whose ``column`` has one of the values, in one dataset or in all, in table order."""
    names = [images.c[name] for name in ("dataset_id", "image_id", "content_hash", "subset", "template_path")]
    for some in chunks(values):
        query = sa.select(*names).where(images.c[column].in_(some))
        if dataset_id is not None:
            query = query.where(images.c.dataset_id == dataset_id)
        yield from connection.execute(query.order_by(images.c.dataset_id, images.c.position)).mappings()


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values, ``AT_ONCE`` at a time."""
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def _plan(imported: Imported) -> dict[str, str]:
    """The plan that repeats the import, kept with the card; nothing where nothing was planned."""
    return {} if imported.plan.empty else {"plan": imported.plan.to_yaml()}


def _insert(
    connection: Connection, dataset_id: str, dataset: Dataset, problems: list[dict[str, Any]], card: dict[str, Any]
) -> None:
    connection.execute(
        datasets.insert().values(
            id=dataset_id,
            name=_free_name(connection, dataset.name),
            source=dataset.source,
            version=dataset.version,
            card=card,
            problems=problems,
            images=len(dataset.table),
            created=time.time(),
        )
    )
    _insert_images(connection, dataset_id, dataset.table)


def _insert_images(connection: Connection, dataset_id: str, table: pd.DataFrame, first: int = 0) -> None:
    """Write rows of a dataset's table, from the position ``first`` on."""
    rows = [row | {"dataset_id": dataset_id, "position": place} for place, row in enumerate(_plain(table), first)]
    for start in range(0, len(rows), INSERT_ROWS):
        connection.execute(images.insert(), rows[start : start + INSERT_ROWS])


def _free_name(connection: Connection, name: str) -> str:
    taken = set(connection.execute(sa.select(datasets.c.name)).scalars())
    number, free = 2, name[:LONGEST_NAME]
    while free in taken:
        free, number = f"{name[:LONGEST_NAME]} ({number})", number + 1
    return free


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain Python values, what is missing as None."""
    columns = {name: table[name].tolist() for name in COLUMNS}
    for name in ("defect", "mask_path", "mask_hash", "group"):
        columns[name] = [v if isinstance(v, str) else None for v in columns[name]]
    columns["level"] = [None if math.isnan(v) else v for v in columns["level"]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _dataset_info(row: Mapping[Any, Any]) -> DatasetInfo:
    return DatasetInfo(
        **{k: row[k] for k in ("id", "name", "source", "version", "images", "created")},
        card=Card.from_json(row["card"]),
        problems=tuple(Problem(**p) for p in row["problems"]),
    )
