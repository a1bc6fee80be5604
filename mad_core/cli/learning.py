"""Commands about what was learned from grades: how much more grades would bring, and which pictures to grade."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import AsJson, RunId, Seed, open_store, print_answer, storing

Subset = Annotated[str | None, typer.Option(help="Only this subset.")]


def learning_curve(
    run: RunId,
    subset: Subset = None,
    more: Annotated[int, typer.Option(min=1, max=10_000, help="Grades beyond those at hand to forecast.")] = 20,
    draws: Annotated[int, typer.Option(min=2, max=1000, help="Random orders of grading.")] = 20,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """How well the order agrees with the grades after so many of them, and what more would likely bring."""
    store = open_store()
    subsets = []
    with storing() as progress:
        for name, pool in _learned(store, run, subset):
            curve = pool.curve(more=more, draws=draws, seed=seed, step=progress.counted(f"learning {name}"))
            subsets.append({"subset": name, "grades": len(pool.grades), **asdict(curve)})
    data = {"run": run, "draws": draws, "subsets": subsets}

    def lines() -> Iterable[str]:
        for entry in subsets:
            yield f"{entry['subset']}: {entry['grades']} grades; C-index of the detector {entry['detector']:.3f}"
            yield from (f"    {_point(point)}" for point in entry["points"])
            if entry["forecast"]:
                yield f"    likely, with {more} more: {_point(entry['forecast'])}"

    print_answer(data, as_json, lines)


def next_to_grade(
    run: RunId,
    count: Annotated[int, typer.Option(min=1, max=500, help="How many pictures.")] = 5,
    subset: Subset = None,
    as_json: AsJson = False,
) -> None:
    """The pictures whose grades would teach the run most, the first one most."""
    store = open_store()
    table = store.dataset(store.run(run).dataset_id).table.set_index("image_id")
    chosen = [
        {"subset": name, "image": image, "path": str(table.at[image, "template_path"])}
        for name, pool in _learned(store, run, subset)
        for image in pool.next(count)
    ]
    print_answer(chosen, as_json, lambda: [f"{each['subset']}  {each['path']}" for each in chosen])


def _learned(store: Any, run_id: str, subset: str | None) -> Iterable[tuple[str, Any]]:
    from mad_core.runs.learned import learned_images

    run = store.run(run_id)
    for name in [subset] if subset else run.subsets:
        yield name, learned_images(store, run, name)


def _point(point: Mapping[str, Any]) -> str:
    return f"{point['grades']} grades: C-index {point['c_index']:.3f} [{point['low']:.3f}, {point['high']:.3f}]"


COMMANDS: Mapping[str, Callable[..., None]] = {
    "learning-curve": learning_curve,
    "next-to-grade": next_to_grade,
}
"""What the command line calls these."""
