"""Fetching the benchmark from a hub on this machine: whole, in parts, cut off, damaged, and with evil paths."""

from __future__ import annotations

import errno
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.datasets import fetching
from mad_core.datasets import hub as hubs
from mad_core.datasets.completeness import against_published
from mad_core.datasets.fetching import Fetched, fetch_benchmark, locate, parse_selection, safe_relative
from mad_core.datasets.hub import Hub, HubFile
from mad_core.datasets.importing import import_dataset
from mad_core.errors import CancelledError, InputError, UnavailableError, WorkError
from mad_core.runs.fetch_job import queue_fetch
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Store
from mad_core.settings import Settings

from .fake_hub import FakeHub, picture, pictures, shard

BOTTLE = [
    "Industry/mvtec/bottle/train/good/000.png",
    "Industry/mvtec/bottle/test/good_level_0/014.png",
    "Industry/mvtec/bottle/test/broken_large_level_3/000.png",
]
CABLE = ["Industry/mvtec/cable/train/good/000.png", "Industry/mvtec/cable/test/bent_wire_level_1/000.png"]
PCB = ["Industry/visa/pcb1/train/good/0001.JPG", "Industry/visa/pcb1/test/melt,scratch_level_2/080.JPG"]
COVID = ["Medical/covid19/level_0_train/a.png", "Medical/covid19/level_1.0/COVID-19 (64).png"]
DOGS = [
    "OneClassNovelty/multidog/level_0_train/teddy/n1.jpg",
    "OneClassNovelty/multidog/level_0_test/teddy/n2.jpeg",
    "OneClassNovelty/multidog/level_0_test/bichon_frise/n3.jpg",
    "OneClassNovelty/multidog/level_2/cats/n4.jpg",
    "OneClassNovelty/multidog/level_0_train/bichon_frise/n5.jpg",
]
SHARDS = ["data/train-00000-of-00003.parquet", "data/train-00001-of-00003.parquet", "data/train-00002-of-00003.parquet"]
LIST = b"Path,Severity\ngood_level_0/014.png,0.0\nbroken_large_level_3/000.png,3.0\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(hubs, "TIMEOUT_SECONDS", 10.0)
    monkeypatch.setattr(fetching, "SPARE_BYTES", 0)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {
        ".gitattributes": b"*.parquet filter=lfs\n",
        "README.md": b"# MAD-Bench\n",
        SHARDS[0]: pictures(*BOTTLE, *CABLE),
        SHARDS[1]: pictures(*PCB, *COVID),
        SHARDS[2]: pictures(*DOGS),
        "template/mvtec_bottle_template.csv": LIST,
    }
    with FakeHub(files) as running:
        yield running


def fetch(hub: FakeHub, folder: Path, *only: str, progress: Callable[[int, int], None] | None = None) -> Fetched:
    return fetch_benchmark(folder, parse_selection(only), Hub(hub.address), progress or (lambda done, total: None))


def written(folder: Path) -> list[str]:
    """Everything below a folder but the fetch's own notes."""
    paths = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(p for p in paths if not p.startswith(fetching.STATE))


def test_images_are_on_the_disk_before_a_note_says_so(hub: FakeHub, tmp_path: Path, monkeypatch) -> None:
    seen: list[tuple[Path, int]] = []
    notes = tmp_path / "data" / fetching.STATE
    monkeypatch.setattr(fetching, "sync", lambda folder: seen.append((folder, len(list(notes.glob("*.json"))))))
    fetch(hub, tmp_path / "data")
    assert seen == [(tmp_path / "data", count) for count in range(3)]


def test_the_whole_benchmark_is_written_byte_for_byte(hub: FakeHub, tmp_path: Path, settings: Settings) -> None:
    seen: list[tuple[int, int]] = []
    fetched = fetch(hub, tmp_path / "data", progress=lambda done, total: seen.append((done, total)))
    every = [*BOTTLE, *CABLE, *PCB, *COVID, *DOGS]
    assert (fetched.images, fetched.kept, fetched.shards, fetched.refused) == (len(every), 0, 3, ())
    assert written(tmp_path / "data") == sorted([*every, "template/mvtec_bottle_template.csv"])
    assert all((tmp_path / "data" / name).read_bytes() == picture(name) for name in every)
    total = sum(len(content) for path, content in hub.files.items() if path in SHARDS or "template" in path)
    assert seen[-1] == (total, total) and [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert not list((tmp_path / "data" / fetching.STATE).glob("*.parquet*"))  # shards do not stay on the disk
    imported = import_dataset(tmp_path / "data", settings)
    assert imported.problems == ()
    assert [e.subset for e in against_published(imported.dataset) if e.present] == [
        "mvtec_bottle",
        "mvtec_cable",
        "visa_pcb1",
        "covid19",
        "multidog_bichon_frise",
        "multidog_teddy",
    ]


def test_a_second_fetch_downloads_nothing(hub: FakeHub, tmp_path: Path) -> None:
    first = fetch(hub, tmp_path / "data")
    hub.requests.clear()
    again = fetch(hub, tmp_path / "data")
    assert (again.images, again.kept, again.bytes) == (0, first.images, 0)
    assert hub.downloads() == []


def test_an_image_that_was_deleted_or_cut_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path / "data")
    (tmp_path / "data" / PCB[1]).unlink()
    (tmp_path / "data" / COVID[1]).write_bytes(b"cut")
    hub.requests.clear()
    again = fetch(hub, tmp_path / "data")
    assert (again.images, again.shards) == (2, 1)
    assert hub.downloads() == [SHARDS[1]]
    assert (tmp_path / "data" / COVID[1]).read_bytes() == picture(COVID[1])


# -- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "names", "shards"),
    [
        (["mvtec"], [*BOTTLE, *CABLE], 1),
        (["mvtec/bottle"], BOTTLE, 1),
        (["mvtec_bottle,covid19"], [*BOTTLE, *COVID], 2),
        (["VisA-MAD", "covid19/"], [*PCB, *COVID], 1),
        (["multidog/teddy"], [DOGS[0], DOGS[1], DOGS[3]], 1),
        (["skin-lesion"], [], 0),
    ],
)
def test_only_what_is_wanted_is_written_and_only_its_shards_are_downloaded(
    hub: FakeHub, tmp_path: Path, only: list[str], names: list[str], shards: int
) -> None:
    fetched = fetch(hub, tmp_path / "data", *only)
    template = ["template/mvtec_bottle_template.csv"] if BOTTLE[0] in names else []
    assert written(tmp_path / "data") == sorted([*names, *template])
    assert fetched.shards == shards
    whole = [path for path, asked in hub.requests if asked is None and path in SHARDS]
    assert len(whole) == shards


def test_what_a_shard_holds_is_read_from_afar_with_few_bytes(hub: FakeHub, tmp_path: Path) -> None:
    hub.files = {
        SHARDS[0]: shard([(f"Medical/covid19/level_1.0/{i}.png", picture(f"{i}.png", 300)) for i in range(12)])
    }
    assert len(hub.files[SHARDS[0]]) > 3_000_000
    assert fetch(hub, tmp_path / "data", "visa").images == 0
    assert 0 < hub.sent[SHARDS[0]] < 700_000


def test_further_parts_are_added_later(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path / "data", "visa")
    later = fetch(hub, tmp_path / "data", "covid19", "mvtec")
    assert later.images == len([*COVID, *BOTTLE, *CABLE])
    everything = fetch(hub, tmp_path / "data")
    assert (everything.images, everything.shards) == (len(DOGS), 1)


def test_a_server_without_ranges_gives_parts_too(hub: FakeHub, tmp_path: Path) -> None:
    hub.ranges = False
    fetched = fetch(hub, tmp_path / "data", "visa")
    assert written(tmp_path / "data") == sorted(PCB)
    assert fetched.shards == 3  # nothing tells which shard holds them


@pytest.mark.parametrize("only", ["imagenet", "mvtec/toothbrush", "visa/candle", "mvtec,../etc"])
def test_what_is_not_published_is_refused_with_the_names_that_are(only: str) -> None:
    with pytest.raises(InputError, match=r"none of the benchmark's .*mvtec \(bottle, .*covid19"):
        parse_selection([only])


@pytest.mark.parametrize(
    ("path", "key", "part"),
    [
        ("data/Industry/mvtec/metal_nut/test/bent_level_3/001.png", "mvtec", "metal_nut"),
        ("NoveltyClass/multidog/level_0_train/teddy/n.jpg", "multidog", "teddy"),
        ("OneClassNovelty/multidog/level_4/flowers/n.jpg", "multidog", ""),
        ("Medical/diabetic-retinopathy/level_2/1.jpeg", "diabetic-retinopathy", ""),
        ("template/visa_pcb1_template.csv", "visa", "pcb1"),
    ],
)
def test_a_path_tells_its_subset(path: str, key: str, part: str) -> None:
    place = locate(path)
    assert place is not None
    assert (place.benchmark.key, place.part) == (key, part)


# -- a bad network ------------------------------------------------------------------------------


def test_cut_connections_and_busy_servers_are_gone_on_from(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut, hub.broken = 4, 2
    fetched = fetch(hub, tmp_path / "data")
    assert fetched.images == len([*BOTTLE, *CABLE, *PCB, *COVID, *DOGS])
    assert any(d.startswith(f"{SHARDS[0]}@1000") for d in hub.downloads())
    assert hub.sent[SHARDS[0]] == len(hub.files[SHARDS[0]])  # no byte came twice


def test_a_server_that_ignores_ranges_sends_everything_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut, hub.ranges = 1, False
    assert fetch(hub, tmp_path / "data").images
    assert (tmp_path / "data" / BOTTLE[0]).read_bytes() == picture(BOTTLE[0])


def test_files_that_lie_elsewhere_are_followed(hub: FakeHub, tmp_path: Path) -> None:
    hub.elsewhere, hub.cut = True, 2
    assert fetch(hub, tmp_path / "data").images
    assert hub.sent[SHARDS[0]] == len(hub.files[SHARDS[0]])  # ranges are asked for there as well


def test_a_fetch_that_waits_for_a_busy_server_can_be_stopped(hub: FakeHub, tmp_path: Path) -> None:
    asked: list[int] = []

    def stop(done: int, total: int) -> None:
        asked.append(done)
        if len(asked) == 3:
            raise CancelledError("enough")

    hub.broken = 99
    with pytest.raises(CancelledError):
        fetch(hub, tmp_path / "data", progress=stop)
    assert hub.broken == 97


def test_what_came_is_kept_for_the_next_fetch(hub: FakeHub, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > len(hub.files[SHARDS[0]]) + 600:
            raise CancelledError("enough")

    hub.files = {s: hub.files[s] for s in SHARDS}
    hub.cut, hub.cut_after = 99, 700
    with pytest.raises(CancelledError):
        fetch(hub, tmp_path / "data", progress=stop)
    (part,) = (tmp_path / "data" / fetching.STATE).glob("*.part")
    there = part.stat().st_size
    assert 0 < there < len(hub.files[SHARDS[1]])
    hub.cut = 0
    hub.requests.clear()
    again = fetch(hub, tmp_path / "data")
    assert hub.downloads() == [f"{SHARDS[1]}@{there}", SHARDS[2]]
    assert again.kept == len([*BOTTLE, *CABLE])
    assert again.images == len([*PCB, *COVID, *DOGS])
    assert again.bytes == len(hub.files[SHARDS[1]]) - there + len(hub.files[SHARDS[2]])


def test_a_dead_connection_ends_in_a_sentence(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut, hub.cut_after = 99, 0
    with pytest.raises(UnavailableError, match="What came is kept"):
        fetch(hub, tmp_path / "data")


def test_a_damaged_beginning_is_thrown_away_and_fetched_anew(hub: FakeHub, tmp_path: Path) -> None:
    name = next(e["lfs"]["oid"] for e in hub.tree() if e["path"] == SHARDS[0])
    (tmp_path / fetching.STATE).mkdir()
    (tmp_path / fetching.STATE / f"{name}.parquet.part").write_bytes(b"x" * 500)
    assert fetch(hub, tmp_path).images
    assert hub.downloads()[:3] == ["template/mvtec_bottle_template.csv", f"{SHARDS[0]}@500", SHARDS[0]]


def test_a_wrong_checksum_is_never_unpacked(hub: FakeHub, tmp_path: Path) -> None:
    true = hub.files[SHARDS[0]]
    hub.lies[SHARDS[0]] = true[:-1] + bytes([true[-1] ^ 1])
    with pytest.raises(WorkError, match="published checksum"):
        fetch(hub, tmp_path / "data")
    assert [n for n in written(tmp_path / "data") if n.endswith(".png")] == []
    assert not list((tmp_path / "data" / fetching.STATE).glob("*.parquet*"))
    hub.lies.clear()
    assert fetch(hub, tmp_path / "data").images


def test_a_test_list_is_checked_too(hub: FakeHub, tmp_path: Path) -> None:
    hub.lies["template/mvtec_bottle_template.csv"] = LIST.replace(b"3.0", b"0.0")
    with pytest.raises(WorkError, match="published checksum"):
        fetch(hub, tmp_path / "data")


def test_no_hub_and_no_repository_are_sentences(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="HF_ENDPOINT"):
        fetch_benchmark(tmp_path, parse_selection([]), Hub("http://127.0.0.1:9"))
    with pytest.raises(UnavailableError, match="404"):
        fetch_benchmark(tmp_path, parse_selection([]), Hub(hub.address, "somebody/else"))
    hub.files = {"README.md": b""}
    with pytest.raises(UnavailableError, match="no table of images"):
        fetch(hub, tmp_path)


def test_the_environment_names_the_hub() -> None:
    assert Hub.from_environment({}).endpoint == hubs.PUBLIC
    assert Hub.from_environment({"HF_ENDPOINT": "http://mirror/", "HF_HUB_OFFLINE": "1"}).endpoint == "http://mirror"
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE"):
        Hub.from_environment({"HF_HUB_OFFLINE": "1"})
    with pytest.raises(InputError, match="no http or https"):
        Hub.from_environment({"HF_ENDPOINT": "file:///etc"})


# -- the disk -----------------------------------------------------------------------------------


def test_a_small_disk_is_told_before_anything_is_downloaded(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = sum(len(hub.files[s]) for s in SHARDS)  # the images fit, the shards beside them do not
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    with pytest.raises(WorkError, match=r"needs about .* free\. Make room"):
        fetch(hub, tmp_path / "data")
    assert hub.downloads() == []
    assert fetch(hub, tmp_path / "data", "covid19").images == len(COVID)  # a part fits


@pytest.mark.parametrize("at", ["shard", "image"])
def test_a_disk_that_fills_up_keeps_what_came(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    with monkeypatch.context() as patched:
        patched.setattr(*((hubs, "_write") if at == "shard" else (fetching, "probe")), full)
        with pytest.raises(WorkError, match=r"No space left on device\. What was fetched is kept"):
            fetch(hub, tmp_path / "data")
    assert not [n for n in written(tmp_path / "data") if "/." in n]
    assert fetch(hub, tmp_path / "data").images == len([*BOTTLE, *CABLE, *PCB, *COVID, *DOGS])


def test_two_fetches_do_not_write_into_one_folder(hub: FakeHub, tmp_path: Path) -> None:
    answers: list[str] = []
    once = threading.Event()

    def meanwhile(done: int, total: int) -> None:
        if not once.is_set():
            once.set()
            with pytest.raises(WorkError, match="Another fetch") as error:
                fetch(hub, tmp_path / "data")
            answers.append(str(error.value))

    fetch(hub, tmp_path / "data", progress=meanwhile)
    assert len(answers) == 1


# -- evil content -------------------------------------------------------------------------------

EVIL = [
    "/etc/x.png",
    "../x.png",
    "Industry/../../x.png",
    "a/./x.png",
    "a//x.png",
    "C:/x.png",
    "c:x.png",
    "..\\x.png",
    "\\\\host\\x.png",
    "a/x.png\0.png",
    "a/x\n.png",
    "a/.hidden/x.png",
    ".madbench-fetch/x.png",
    ".bashrc",
    "a/run.sh",
    "a/x.py",
    "a",
    "",
    "a/ ../x.png",
    "a/" + "x" * 300 + ".png",
    "a/" * 300 + "x.png",
    "a/\u202egnp.png",
]


@pytest.mark.parametrize("path", EVIL)
def test_an_evil_path_is_not_safe(path: str) -> None:
    assert safe_relative(path) is None


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["..", ".", "a", "", "b.png", "\\", "C:"]), max_size=6).map("/".join)
)
def test_a_safe_path_stays_in_its_folder(path: str) -> None:
    safe = safe_relative(path)
    if safe is not None:
        top = Path("/top").resolve()
        assert (top / safe).resolve().is_relative_to(top) and (top / safe).resolve() != top


@pytest.mark.parametrize("path", [*BOTTLE, *PCB, *COVID, *DOGS])
def test_published_paths_are_safe_as_they_are(path: str) -> None:
    assert safe_relative(path) == path


def test_evil_rows_are_refused_one_by_one_and_the_rest_is_written(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_IMAGE_BYTES", 100_000)
    good = "Industry/mvtec/bottle/test/good_level_0/014.png"
    bad = [(p, picture("x.png")) for p in ("../../escaped.png", "/tmp/escaped.png", "Industry/run.sh")]
    bad += [("Industry/mvtec/bottle/test/good_level_0/1.png", b"<html>"), ("Medical/covid19/level_1.0/2.png", None)]
    bad += [("Medical/covid19/level_1.0/3.png", b"\x89PNG" + b"0" * 100_001)]
    hub.files = {SHARDS[0]: shard([*bad, (good, picture(good))])}
    fetched = fetch(hub, tmp_path / "in" / "data")
    assert [p for p in tmp_path.iterdir() if p.name != "in"] == [] and len(list((tmp_path / "in").iterdir())) == 1
    assert written(tmp_path / "in" / "data") == [good]
    assert fetched.images == 1
    reasons = "\n".join(fetched.refused)
    assert len(fetched.refused) == len(bad)
    assert all(word in reasons for word in ("unsafe", "no bytes", "web page", "more than"))
    assert not list(tmp_path.rglob("escaped.png")) and not Path("/tmp/escaped.png").exists()


def test_many_refusals_are_counted(hub: FakeHub, tmp_path: Path) -> None:
    hub.files = {SHARDS[0]: shard([(f"../{i}.png", picture("x.png")) for i in range(30)])}
    refused = fetch(hub, tmp_path).refused
    assert len(refused) == fetching.REFUSED_NAMED + 1
    assert refused[-1] == "10 more images were not written."


def test_a_link_in_the_folder_does_not_lead_out(hub: FakeHub, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "data" / "Industry").mkdir(parents=True)
    (tmp_path / "data" / "Industry" / "mvtec").symlink_to(outside)
    fetched = fetch(hub, tmp_path / "data", "mvtec")
    assert fetched.images == 0 and len(fetched.refused) == len([*BOTTLE, *CABLE])
    assert list(outside.rglob("*")) == []


@pytest.mark.parametrize("content", [b"no parquet at all", pictures(*BOTTLE)[:-40]])
def test_a_shard_that_is_no_table_is_a_sentence(hub: FakeHub, tmp_path: Path, content: bytes) -> None:
    hub.files = {SHARDS[0]: content}
    with pytest.raises(WorkError, match=r"train-00000-of-00003\.parquet is not readable"):
        fetch(hub, tmp_path)


def test_a_table_of_something_else_and_one_that_unpacks_without_end(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "RATIO_FROM", 10)
    monkeypatch.setattr(fetching, "MAX_RATIO", 0.1)
    with pytest.raises(WorkError, match="would unpack to"):
        fetch(hub, tmp_path)
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"image": [b"x"], "label": [1]}), out)
    hub.files = {SHARDS[0]: out.getvalue()}
    with pytest.raises(WorkError, match="no column relative_path"):
        fetch(hub, tmp_path)


def test_bytes_of_its_own_type_hold_images_too(hub: FakeHub, tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"relative_path": BOTTLE, "image": [picture(n) for n in BOTTLE], "more": [1, 2, 3]}), out)
    hub.files = {SHARDS[0]: out.getvalue()}
    assert fetch(hub, tmp_path).images == 3


def test_a_damaged_note_is_made_anew(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    for note in (tmp_path / fetching.STATE).glob("*.json"):
        note.write_text("{")
    again = fetch(hub, tmp_path)
    assert (again.images, again.kept) == (0, len([*BOTTLE, *CABLE, *PCB, *COVID, *DOGS]))


def test_whole_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hello\n")
    blob = "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    assert HubFile("x", 6, None, blob).is_whole(path)
    assert not HubFile("x", 6, None, blob[::-1]).is_whole(path)
    assert not HubFile("x", 7, None, blob).is_whole(path)


# -- as a job -----------------------------------------------------------------------------------


def test_the_job_fetches_and_queues_the_import(
    hub: FakeHub, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    job = queue_fetch(store, "mvtec", tmp_path / "data", then="import")
    assert queue_fetch(store, "mvtec", tmp_path / "data") == job  # one at a time
    seen: list[dict] = []
    done = do_here(store, job, "cpu", lambda facts: seen.append(dict(facts)))
    assert done.result is not None
    assert done.result["images"] == len([*BOTTLE, *CABLE])
    follow = store.queue.job(done.result["job"])
    assert (follow.kind, follow.payload["source"]) == ("import", str(tmp_path / "data"))
    assert done.progress["unit"] == "MB"
    json.dumps(dict(done.result))


def test_a_job_that_fails_says_why(hub: FakeHub, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    hub.lies[SHARDS[0]] = b"x" * len(hub.files[SHARDS[0]])
    job = queue_fetch(store, "", tmp_path / "data", then="import")
    with pytest.raises(WorkError, match="published checksum"):
        do_here(store, job, "cpu", lambda facts: None)
    assert not [j for j in store.queue.active() if j.kind == "import"]
    with pytest.raises(InputError):
        queue_fetch(store, "imagenet", tmp_path / "data")
