"""The store: datasets, runs and scores. Everything people see is read back from here.

A module a concern owns its tables: ``datasets``, ``runs``, ``scores``, ``cuts``, ``studies``; ``lifecycle`` moves a run
from its request to its end, ``retention`` deletes, ``usage`` and ``latest`` sum and watch. SQL of these tables stands
nowhere else.
"""

from mad_core.map_files import MapStore
from mad_core.runs.database.engine import Database
from mad_core.runs.queue import Queue
from mad_core.runs.store.cuts import CutStore
from mad_core.runs.store.datasets import DatasetStore
from mad_core.runs.store.latest import LatestAnswer, latest_answers
from mad_core.runs.store.lifecycle import Lifecycle
from mad_core.runs.store.notices import NoticeStore
from mad_core.runs.store.records import (
    EVEN,
    EXTERNAL,
    FAILED_SUBSETS,
    SAMPLING,
    DatasetInfo,
    Run,
    RunRequest,
    RunSubset,
    StoredScore,
)
from mad_core.runs.store.retention import Retention
from mad_core.runs.store.runs import RunStore
from mad_core.runs.store.sampling import sample_test_images
from mad_core.runs.store.scores import ScoreStore
from mad_core.runs.store.studies import StudyStore
from mad_core.runs.store.tags import TagStore
from mad_core.runs.store.usage import Usage, run_usage
from mad_core.runs.store.watches import WatchStore
from mad_core.settings import Settings

__all__ = [
    "EVEN",
    "EXTERNAL",
    "FAILED_SUBSETS",
    "SAMPLING",
    "DatasetInfo",
    "Run",
    "RunRequest",
    "RunSubset",
    "Store",
    "StoredScore",
]


class Store:
    """Datasets, runs and scores in the database; anomaly maps beside it.

    Each name below is that of a part, where its text stands.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.close = self.database.close
        self.queue = Queue(self.database)
        self.maps = MapStore(settings.maps)
        self.studies = StudyStore(self.database)
        self.tags = TagStore(self.database)
        self.watches = WatchStore(self.database)
        self.notices = NoticeStore(self.database)

        datasets = DatasetStore(self.database)
        self.add_dataset = datasets.add
        self.grow_dataset = datasets.grow
        self.datasets = datasets.all
        self.dataset = datasets.load
        self.dataset_info = datasets.info
        self.image = datasets.image
        self.update_card = datasets.update_card
        self.rename_dataset = datasets.rename

        runs = RunStore(self.database)
        self.runs = runs.all
        self.run = runs.get
        self.update_run = runs.update
        self.rename_run = runs.rename
        self.note_run = runs.note
        self.run_subsets = runs.subsets
        self.subset_facts = runs.subset_facts
        self.save_run_subset = runs.save_subset
        self.cuts = CutStore(self.database, runs)

        scores = ScoreStore(self.database, self.maps)
        self.add_scores = scores.add
        self.scores = scores.table
        self.score = scores.get
        self.details = scores.details
        self.scored_ids = scores.scored_ids
        self.count_done = scores.count_done
        self.set_map = scores.set_map
        self.set_reason = scores.set_reason
        self.read_map = scores.read_map
        self.map_refs = scores.map_refs
        self.test_images = sample_test_images

        retention = Retention(settings, self.database, self.queue, self.maps, datasets, runs, self.studies)
        self.delete_dataset = retention.delete_dataset
        self.delete_run = retention.delete_run
        self.drop_scores = retention.drop_scores
        self.disk_use = retention.disk_use

        lifecycle = Lifecycle(self.database, self.queue, datasets, runs, scores, retention)
        self.request_run = lifecycle.request
        self.keep_results = lifecycle.keep_results
        self.resume_run = lifecycle.resume
        self.cancel_run = lifecycle.cancel

    def usage(self, run_id: str) -> Usage | None:
        """What a run has used in all its sessions; None where no server counted anything.

        Raises
        ------
        NotFoundError
        """
        return run_usage(self.database, self.run(run_id))

    def latest_answers(self, run_id: str, count: int) -> list[LatestAnswer]:
        """The last ``count`` images of a run that came with a reason, newest first.

        Raises
        ------
        NotFoundError
        """
        return latest_answers(self.database, self.run(run_id), count)
