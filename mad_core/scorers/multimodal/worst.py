"""Which images are among the worst of those that came so far. No torch here."""

import heapq


class Worst:
    """The highest scores so far.

    An image that is among the worst in the end was so when it came; so whoever does something for these, image by
    image, has done it for all of the worst ones.

    Parameters
    ----------
    count : int
        How many are the worst.
    """

    def __init__(self, count: int) -> None:
        self._count, self._heap = count, list[float]()

    def takes(self, score: float) -> bool:
        """Whether this score is one of the highest so far; it counts from then on."""
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, score)
            return True
        return bool(self._heap) and heapq.heappushpop(self._heap, score) < score
