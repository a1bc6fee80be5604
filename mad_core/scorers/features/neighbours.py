"""Distances to the nearest normal features, over nearby positions or over all of them. Always float32."""

import torch

_AT_ONCE = {"cpu": 1 << 18}
"""Distances computed at once: on a CPU few enough that they stay near the processor."""
_AT_ONCE_ELSEWHERE = 1 << 26


def shifted(grid: int, down: int, right: int) -> torch.Tensor:
    """Flat indices of the cells ``down`` and ``right`` of every cell of a square grid, borders repeated."""
    rows = (torch.arange(grid) + down).clamp(0, grid - 1)
    columns = (torch.arange(grid) + right).clamp(0, grid - 1)
    return (rows[:, None] * grid + columns[None, :]).flatten()


class NearbyBank:
    """Normal features by position: a cell is compared with the same and the adjacent cells of every normal image.

    Distances are weighted per position and channel, and computed as ``sum w q^2 - 2 sum (w q) b + sum w b^2``, so
    that one product a position does the work: the normals there, times the cells of all images that look there.

    Parameters
    ----------
    bank : tensor of shape (P, M, C), float32
        Features of M normal images at P = grid x grid positions.
    weight : tensor of shape (P, C), float32
        Inverse squared scale of each channel at each position.
    reach : int
        Cells to each side that count as nearby.
    """

    def __init__(self, bank: torch.Tensor, weight: torch.Tensor, reach: int) -> None:
        self.weight = weight
        self.columns = bank.transpose(1, 2).contiguous()
        positions, device = torch.arange(len(bank)), bank.device
        grid, span = round(len(bank) ** 0.5), range(-reach, reach + 1)
        seen = torch.stack([shifted(grid, down, right) for down in span for right in span], 1)
        self.asking = torch.stack([shifted(grid, -down, -right) for down in span for right in span], 1).to(device)
        # Beyond the border a cell sees nothing new: it looks at its own position once more.
        inside = self.asking.cpu().gather(0, seen) == positions[:, None]
        self.seen = torch.where(inside, seen, positions[:, None]).to(device)
        self.place = torch.where(inside, torch.arange(seen.shape[1]), seen.shape[1] // 2).to(device)
        squares = bank * bank
        self.constant = torch.stack(
            [torch.einsum("pmc,pc->pm", squares, weight[cells]) for cells in self.asking.unbind(1)], 1
        )

    @property
    def bank(self) -> torch.Tensor:
        """The features it was made of, (P, M, C)."""
        return self.columns.transpose(1, 2).contiguous()

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Root mean squared weighted distance of features (N, P, C) to their nearest neighbour: (N, P)."""
        query = features.transpose(0, 1).contiguous()  # P, N, C
        weighted = query * self.weight[:, None]
        own = (weighted * query).sum(2)  # P, N
        weighted = -2 * weighted
        places, normals = self.asking.shape[1], self.columns.shape[2]
        products = _AT_ONCE.get(features.device.type, _AT_ONCE_ELSEWHERE)
        at_once = max(1, products // (places * len(features) * normals))
        best = torch.cat(
            [
                torch.bmm(weighted[asking].flatten(1, 2), columns)
                .view(len(asking), places, len(features), normals)
                .add_(constant[:, :, None])
                .amin(3)
                for asking, columns, constant in zip(
                    self.asking.split(at_once), self.columns.split(at_once), self.constant.split(at_once), strict=True
                )
            ]
        )  # P, S, N: by the position of the normals and from where it is looked at
        nearest = best[self.seen, self.place].amin(1)
        return ((own + nearest).clamp_min(0) / features.shape[2]).sqrt().T


def nearest_anywhere(features: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """Root mean squared distance of features (N, C) to the nearest row of ``bank`` (M, C): (N,)."""
    return RowBank(bank).nearest(features) / max(1, features.shape[1]) ** 0.5


class RowBank:
    """Rows that many others are compared with: distances to the nearest one, exact, without a matrix of all of them.

    The squared norms of the rows are one more column, so that a single product gives what has to be least; it is made
    block by block, small enough to stay near the processor. Where rows are many and wide, most of them are passed over:
    the distance in a few principal directions, and of what lies beside them, is a lower bound of the whole.

    Parameters
    ----------
    rows : tensor of shape (M, C), float32
    bounded : bool
        Whether most rows may be passed over, which takes decisions that a traced graph cannot take.
    """

    def __init__(self, rows: torch.Tensor, *, bounded: bool = True) -> None:
        self.rows = rows
        self.centre = rows.mean(0)  # products of what is centred lose fewer digits
        self.bound = bounded and len(rows) >= MANY_ROWS and rows.shape[1] >= WIDE
        self._bounded = _Bounded(rows - self.centre) if self.bound else None
        self._beside_norms = None if self.bound else with_squares(rows - self.centre)

    def nearest(self, features: torch.Tensor) -> torch.Tensor:
        """Distance (N,) of features (N, C) to their nearest row; infinite where there is no row."""
        distances = [self._nearest(part - self.centre) for part in features.split(QUERIES)]
        return torch.cat(distances) if distances else features.new_zeros(0)

    def _nearest(self, queries: torch.Tensor) -> torch.Tensor:
        squares = (queries * queries).sum(1)
        if self._bounded is not None:
            return (squares + self._bounded.least(queries)).clamp_min(0).sqrt()
        assert self._beside_norms is not None
        asked = torch.cat([-2 * queries, queries.new_ones(len(queries), 1)], 1)
        best = queries.new_full((len(queries),), torch.inf)
        for block in self._beside_norms.split(_block_of(queries)):
            best = torch.minimum(best, (asked @ block.T).amin(1))
        return (squares + best).clamp_min(0).sqrt()


QUERIES, BLOCK = 1024, 512
"""Rows that are looked up, and rows of the bank, that one product compares on a CPU."""
MANY_ROWS, WIDE = 20_000, 256
"""Rows and channels of a bank from which lower bounds save more than they cost."""
DIRECTIONS = 64
_SAMPLE = 8192
_SLACK = 1e-5
"""Of the squared norms: what rounding may add to a lower bound."""
_PAIRS = 16_384


def with_squares(rows: torch.Tensor) -> torch.Tensor:
    """Rows (M, C) with their squared norm as a last column, (M, C + 1)."""
    return torch.cat([rows, (rows * rows).sum(1, keepdim=True)], 1).contiguous()


def _block_of(queries: torch.Tensor) -> int:
    return BLOCK if queries.device.type == "cpu" else max(BLOCK, _AT_ONCE_ELSEWHERE // max(1, len(queries)))


class _Bounded:
    """Exact search through lower bounds; ``rows`` are centred."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows, self.squares = rows, (rows * rows).sum(1)
        some = rows[:: max(1, len(rows) // _SAMPLE)]
        self.directions = torch.linalg.eigh((some.T @ some).double())[1][:, -DIRECTIONS:].to(rows.dtype).contiguous()
        along = rows @ self.directions
        beside = (self.squares - (along * along).sum(1)).clamp_min(0).sqrt()
        self.short = torch.cat([along, beside[:, None], self.squares[:, None]], 1).contiguous()
        self.slack = _SLACK * float(self.squares.max())

    def least(self, queries: torch.Tensor) -> torch.Tensor:
        """Least squared distance (N,) to any row, less the queries' own squared norms."""
        along = queries @ self.directions
        squares = (queries * queries).sum(1)
        beside = (squares - (along * along).sum(1)).clamp_min(0).sqrt()
        asked = torch.cat([-2 * along, -2 * beside[:, None], queries.new_ones(len(queries), 1)], 1)
        slack = self.slack + _SLACK * squares
        first = self.rows[:BLOCK]
        best = (self.squares[:BLOCK] - 2 * queries @ first.T).amin(1)
        for start in range(BLOCK, len(self.rows), BLOCK):
            bounds = asked @ self.short[start : start + BLOCK].T
            least, place = bounds.min(1)
            open_ = torch.nonzero(least < best + slack).flatten()
            if not len(open_):
                continue
            best[open_] = torch.minimum(best[open_], self._exact(queries, open_, place[open_] + start))
            rows, columns = torch.nonzero(bounds[open_] < (best + slack)[open_, None], as_tuple=True)
            for part in torch.arange(len(rows)).split(_PAIRS):
                asking = open_[rows[part]]
                best.scatter_reduce_(0, asking, self._exact(queries, asking, columns[part] + start), "amin")
        return best

    def _exact(self, queries: torch.Tensor, asking: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Squared distances of pairs of a query and a row, less the query's squared norm."""
        return self.squares[rows] - 2 * (queries[asking] * self.rows[rows]).sum(1)
