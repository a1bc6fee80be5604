"""Greedy selection of a coreset: anomalib's ``KCenterGreedy``, and the loop here.

    python -m tests.benchmarks.coreset [--patches 40000] [--share 0.01] [--rounds 5]

Both get the same features (clusters with noise, 384 channels, as of the backbone that ships) and select the same
number of rows. Both project at random first, so they select different rows; what a selection is for is that no
feature is far from it. Before anything is timed the covering radius (the largest distance of a feature to the
nearest selected one, in full width) is compared, and must be no more than 10 % above anomalib's; and with the
projection left out (32 channels, the same first row) both must select the same rows.

Expected: anomalib makes a difference of all features to the newest row at every step, of about 265 columns (the
number that the Johnson-Lindenstrauss lemma asks for at 0.9), and writes it to memory; here a step is one product of a
matrix of 128 columns and a vector, and reads it once. That is about four times less to move through memory.
Came on a machine busy with other work, one thread, by processor time: 6 times for 80 of 8,000 patches, 16 times for 400
of 40,000. Why it grows so was not looked into.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import torch
from anomalib.models.components import KCenterGreedy

from mad_core.scorers.contract import Context
from mad_core.scorers.features.coreset import greedy_coreset
from tests.benchmarks.pairs import arguments, hand_over, paired

CHANNELS, NARROW, CLUSTERS, SLACK = 384, 32, 200, 1.1


def features(count: int, channels: int) -> torch.Tensor:
    """Clusters of unequal width, float32 of shape (count, channels)."""
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(CLUSTERS, channels, generator=generator)
    of = torch.randint(CLUSTERS, (count,), generator=generator)
    width = 0.2 + torch.rand(CLUSTERS, 1, generator=generator)
    return centres[of] + width[of] * torch.randn(count, channels, generator=generator)


def ours(given: torch.Tensor, count: int) -> list[int]:
    return greedy_coreset(given, count, Context(), 0, count).tolist()


def theirs(given: torch.Tensor, count: int) -> list[int]:
    torch.manual_seed(0)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        return KCenterGreedy(given, (count + 0.5) / len(given)).select_coreset_idxs()


def unprojected(given: torch.Tensor, count: int) -> list[int]:
    """anomalib's selection in full width, from the row that the loop here starts with."""
    first = ours(given, 1)[0]
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        mock.patch("torch.randint", lambda **_: torch.tensor([first])),
    ):
        return KCenterGreedy(given[:, :, None], (count + 0.5) / len(given)).select_coreset_idxs()


def radius(given: torch.Tensor, selected: Sequence[int]) -> float:
    """The largest distance of a row to the nearest selected one."""
    bank = given[list(selected)]
    return max(float(torch.cdist(part, bank).amin(1).max()) for part in given.split(4096))


def check(given: torch.Tensor, count: int) -> str:
    """How far both agree.

    Raises
    ------
    SystemExit
        If they do not.
    """
    narrow = features(4000, NARROW)
    if ours(narrow, 200) != unprojected(narrow, 200):
        raise SystemExit("Without the projection the selections differ; no speed is compared.")
    ratio = radius(given, ours(given, count)) / radius(given, theirs(given, count))
    if ratio > SLACK:
        raise SystemExit(f"The coreset here covers worse: its radius is {ratio:.2f} of anomalib's.")
    return f"unprojected: the same rows; radius {ratio:.2f} of theirs"


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--patches", type=int, default=40_000)
    parser.add_argument("--share", type=float, default=0.01)
    wanted = parser.parse_args()
    given, count = features(wanted.patches, CHANNELS), round(wanted.patches * wanted.share)
    same = check(given, count)
    row = paired(
        f"coreset of {count:,} among {wanted.patches:,} patches",
        "anomalib KCenterGreedy",
        same,
        lambda: theirs(given, count),
        lambda: ours(given, count),
        wanted.rounds,
    )
    hand_over([row], wanted.rows)


if __name__ == "__main__":
    main()
