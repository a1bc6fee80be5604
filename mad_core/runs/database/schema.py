"""Tables of the store. Times are seconds since the epoch, UTC."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _dataset_key(*, primary_key: bool = False) -> Column[str]:
    key = ForeignKey("datasets.id", ondelete="CASCADE")
    return Column("dataset_id", String(16), key, nullable=False, primary_key=primary_key)


def _run_key() -> Column[str]:
    key = ForeignKey("runs.id", ondelete="CASCADE")
    return Column("run_id", String(16), key, nullable=False, primary_key=True)


datasets = Table(
    "datasets",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("source", Text, nullable=False),
    Column("version", String(32), nullable=False),
    Column("card", JSON, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("images", Integer, nullable=False),
    Column("created", Float, nullable=False),
)

images = Table(
    "images",
    metadata,
    _dataset_key(primary_key=True),
    Column("image_id", String(32), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("template_path", Text, nullable=False),
    Column("split", String(16), nullable=False),
    Column("subset", String(200), nullable=False),
    Column("level", Float),  # None where nobody has graded it yet
    Column("defect", Text),
    Column("group", String(200)),  # what belongs together: patient, part, lot
    Column("mask_path", Text),
    Column("mask_hash", String(64)),  # digest of the mask's bytes
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Index(None, "content_hash"),
)

tags = Table(
    "tags",
    metadata,
    _dataset_key(primary_key=True),
    Column("image_id", String(32), primary_key=True),
    Column("tag", String(80), primary_key=True),
    Column("created", Float, nullable=False),
)

watches = Table(
    "watches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _dataset_key(),
    Column("path", Text, nullable=False),
    Column("subset", String(200), nullable=False),  # to which arrivals belong; empty where their names say it
    Column("runs", JSON, nullable=False),  # ids of those that score arrivals; empty = all that are finished
    Column("state", JSON, nullable=False),  # when it was looked at, what came, what is wrong
    Column("created", Float, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("person", String(320), primary_key=True),  # issuer and subject of the login; empty where there is none
    Column("until", Float, nullable=False),  # whatever ended before has been seen
    Column("seen", JSON, nullable=False),  # run id -> the end, after that, which has been seen as well
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(16), primary_key=True),
    _dataset_key(),
    Column("dataset_version", String(32), nullable=False),
    Column("title", String(200), nullable=False),
    Column("scorer", String(80), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("subsets", JSON, nullable=False),
    Column("image_limit", Integer),  # test images a subset, None = all
    Column("seed", Integer, nullable=False),
    Column("device", String(40), nullable=False),
    Column("map_policy", String(16), nullable=False),  # all | none | on demand
    Column("map_side", Integer, nullable=False),  # longest side of stored maps, pixels
    Column("request", String(40), nullable=False, unique=True),  # digest of everything above but the title
    Column("status", String(16), nullable=False),  # queued | running | done | failed | cancelled
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("error", Text),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("record", JSON, nullable=False),  # versions, digests, device: what repeats the run
    Index(None, "dataset_id"),
    Column("note", Text),  # what people note of it
)

run_subsets = Table(
    "run_subsets",
    metadata,
    _run_key(),
    Column("subset", String(200), primary_key=True),
    Column("fit", String(40)),  # digest of the fitted state
    Column("seconds_fit", Float, nullable=False),
    Column("seconds_score", Float, nullable=False),
    Column("facts", JSON, nullable=False),
)

scores = Table(
    "scores",
    metadata,
    _run_key(),
    Column("image_id", String(32), primary_key=True),
    Column("subset", String(200), nullable=False),
    Column("score", Float(53)),  # None unless status is ok
    Column("status", String(40), nullable=False),
    Column("reason", Text),
    Column("distribution", LargeBinary),  # 101 float64, little-endian
    Column("detail", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("map_row", Integer),  # None where no map is stored
    Column("map_height", Integer),
    Column("map_width", Integer),
    Column("map_scale", Float(53)),
    Column("created", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("key", String(80), nullable=False),  # one active job a key
    Column("device", String(40), nullable=False),
    Column("quick", Integer, nullable=False),  # 1 = served between the batches of a long job
    Column("status", String(16), nullable=False),  # queued | running | done | failed | cancelled
    Column("cancel", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", String(40)),
    Column("progress", JSON, nullable=False),
    Column("result", JSON),
    Column("error", Text),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("heartbeat", Float),
    Column("finished", Float),
    Index(None, "status"),
    Index(None, "key"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", String(40), nullable=False),
    Column("facts", JSON, nullable=False),  # device name, memory, free memory, versions
    Column("job", Integer),
    Column("started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
    Column("machine", String(200)),  # boot and name space of process numbers
    Column("ticks", BigInteger),  # from boot to the start of the process
)

reviewers = Table(
    "reviewers",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("role", String(16), nullable=False),  # viewer | reviewer | adjudicator
    Column("login", String(320), unique=True),  # issuer and subject; None = only a name
    Column("created", Float, nullable=False),
    Column("address", String(320)),  # that the login vouches for, for display
)

# The record of audits: rows are added and never changed. No foreign keys, so it outlives a deleted dataset.
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("dataset_id", String(16), nullable=False),
    Column("image_id", String(32), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("subset", String(200), nullable=False),
    Column("path", Text, nullable=False),
    Column("dataset_version", String(32), nullable=False),
    Column("reviewer", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("before", Float(53)),
    Column("after", Float(53)),
    Column("reason", Text, nullable=False),
    Column("region", JSON(none_as_null=True)),
    Column("other", String(32)),
    Column("other_hash", String(64), nullable=False),
    Column("other_path", Text, nullable=False),
    Column("scores_visible", Boolean, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("time", Float(53), nullable=False),
    Column("undoes", String(32)),
    Index(None, "reviewer", "time"),
)

# Where each event's images are in the datasets of this database; made anew from the record at any time.
audit_places = Table(
    "audit_places",
    metadata,
    Column("event_id", String(32), ForeignKey("audit_events.id"), primary_key=True),
    _dataset_key(primary_key=True),
    Column("image_id", String(32), nullable=False),
    Column("other", String(32)),
    Index(None, "dataset_id", "image_id"),
)

studies = Table(
    "studies",
    metadata,
    Column("id", String(16), primary_key=True),
    _dataset_key(),
    Column("dataset_version", String(32), nullable=False),
    Column("study", String(40), nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("runs", JSON, nullable=False),  # ids of the runs it is made of
    Column("quick", Boolean, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("request", String(40), nullable=False, unique=True),  # digest of the above and of the runs' state
    Column("status", String(16), nullable=False),  # queued | running | done | failed | cancelled
    Column("error", Text),
    Column("finding", JSON(none_as_null=True)),  # None until it is done
    Column("created", Float, nullable=False),
    Column("finished", Float),
    Index(None, "dataset_id"),
)

cuts = Table(
    "cuts",
    metadata,
    _run_key(),
    Column("subset", String(200), primary_key=True),
    Column("levels", JSON, nullable=False),  # ascending
    Column("cuts", JSON, nullable=False),  # one less than levels, raw units of the score
    Column("way", String(16), nullable=False),  # hand | cost | isotonic
    Column("created", Float, nullable=False),
)
