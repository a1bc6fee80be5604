"""Image routes: who gets what, under which headers, and nothing that was not imported."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from mad_core import images as images_module
from mad_core.errors import InputError
from mad_core.images import content_hash
from mad_core.map_files import unpack
from mad_core.runs import uploads
from mad_core.runs.database.schema import images, jobs
from mad_core.runs.single_image import submit_single
from mad_core.settings import Settings
from pages.ui import access, engine, routes, urls
from tests.app.conftest import Home, make_scored_home


@pytest.fixture
def scored_home(tmp_path: Path) -> Path:
    """Pictures are changed here."""
    return make_scored_home(tmp_path / "own")


@pytest.fixture
def client(home: Home) -> TestClient:
    return TestClient(Starlette(routes=routes.routes()), base_url="http://127.0.0.1:8501")


@pytest.fixture
def row(home: Home) -> dict[str, str]:
    """An abnormal image of the plate."""
    return home.images("plate").iloc[-1].to_dict()


def at(home: Home, row: dict[str, str], kind: str) -> str:
    return urls.picture(home.dataset, row["image_id"], kind, row["content_hash"])


def test_what_is_served_is_a_picture_and_nothing_else(home: Home, client: TestClient, row: dict[str, str]) -> None:
    for kind, media in {"original": "png", "preview": "webp", "thumbnail": "webp", "mask": "png"}.items():
        got = client.get(at(home, row, kind))
        assert (got.status_code, got.headers["content-type"]) == (200, f"image/{media}"), kind
        assert Image.open(io.BytesIO(got.content)).size == (48, 36)
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
        assert got.headers["cross-origin-resource-policy"] == "same-origin"
        assert got.headers["cache-control"].startswith("private")
    run = home.run("Alpha")
    got = client.get(urls.anomaly_map(run.id, row["image_id"], 1.0))
    assert got.headers["content-type"] == "application/octet-stream" and got.headers["cache-control"] == "no-store"
    assert unpack(got.content).shape == (18, 24)
    over = client.get(urls.map_thumbnail(run.id, row["image_id"], "1"))
    assert over.headers["content-type"] == "image/webp" and over.headers["cache-control"].startswith("private")
    pixels = np.asarray(Image.open(io.BytesIO(over.content)).convert("RGBA"))
    assert pixels.shape == (18, 24, 4) and pixels[6, 8, 3] > 100 > pixels[1, 1, 3], "low scores let the image through"
    assert client.get(urls.map_thumbnail(run.id, "0" * 16, "1")).status_code == 404
    assert client.get(at(home, row, "original")).content == Path(row["path"]).read_bytes()


def test_the_type_is_told_by_the_content_not_by_the_name(home: Home, client: TestClient, row: dict[str, str]) -> None:
    """A picture that calls itself a page is sent as a picture; a page that calls itself a picture is not sent."""
    named = Path(row["path"]).with_suffix(".html")
    shutil.copy(row["path"], named)
    change(home, row, path=str(named))
    assert client.get(at(home, row, "original")).headers["content-type"] == "image/png"
    Path(row["path"]).write_text("<script>alert(1)</script>")
    change(home, row, path=row["path"], content_hash=content_hash(Path(row["path"])))
    got = client.get(at(home, row, "original"))
    assert got.status_code == 409 and "script" not in got.text


def change(home: Home, row: dict[str, str], **values: str) -> None:
    with home.store.database.write() as connection:
        connection.execute(images.update().where(images.c.image_id == row["image_id"]).values(**values))


@pytest.mark.parametrize(
    "path",
    [
        "/image/{d}/nothing/original",
        "/image/{d}/..%2f..%2f..%2fetc%2fpasswd/original",
        "/image/{d}/../../../../etc/passwd/original",
        "/image/..%2f/{i}/thumbnail",
        "/image/%00/{i}/thumbnail",
        "/image/{d}/{i}/../../../etc/passwd",
        "/image/{d}/{i}/secret",
        "/image/{d}/' OR 1=1 --/original",
        "/image/{d}/{f}/original",
        "/image/{f}/{i}/original",
        "/map/..%2f..%2fmad.db/{i}",
        "/map/{f}/{i}",
        "/single/999/original",
        "/single/-1/original",
        "/single/99999999999999999999/original",
        "/single/" + "9" * 5000 + "/original",
        "/single/%D9%A1/original",
        "/single/1/..%00",
        "/image/" + "a" * 5000 + "/{i}/original",
        "/image/%FF%FE/{i}/original",
        "/map/{d}/%ED%A0%80",
        "/single/1e3/original",
    ],
)
def test_ids_that_are_none_are_not_found(home: Home, client: TestClient, row: dict[str, str], path: str) -> None:
    got = client.get(path.format(d=home.dataset, i=row["image_id"], f="f" * 32))
    assert got.status_code == 404 and "Traceback" not in got.text and "root:" not in got.text


def test_a_file_that_is_not_what_was_imported_is_not_served(
    home: Home, client: TestClient, row: dict[str, str], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (9, 9), "red").save(secret)
    path = Path(row["path"])
    path.unlink()
    path.symlink_to(secret)
    for kind in ("original", "preview", "thumbnail"):
        got = client.get(at(home, row, kind))
        assert got.status_code == 409 and "not the one that was imported" in got.text
    change(home, row, path="/etc/passwd")
    assert client.get(at(home, row, "original")).status_code == 409
    change(home, row, path=str(tmp_path / "gone.png"))
    assert client.get(at(home, row, "original")).status_code == 404
    change(home, row, path="/etc/passwd", content_hash="../../../../etc/passwd")
    assert client.get(at(home, row, "thumbnail")).status_code == 409


def test_a_mask_that_is_not_what_was_imported_is_not_served(
    home: Home, client: TestClient, row: dict[str, str]
) -> None:
    mask = Path(row["mask_path"])
    change(home, row, mask_hash=content_hash(mask))
    assert client.get(at(home, row, "mask")).status_code == 200
    Image.new("L", (9, 9), 255).save(mask)
    got = client.get(at(home, row, "mask"))
    assert got.status_code == 409 and "not the one that was imported" in got.text


def test_what_was_checked_is_what_is_sent(
    home: Home, client: TestClient, row: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file is put in the place of the one that was opened, right after its digest was taken."""
    path, bytes_ = Path(row["path"]), Path(row["path"]).read_bytes()
    Image.new("RGB", (48, 36), "red").save(tmp_path / "secret.png")
    digest = images_module._digest

    def swap_then(file: Any) -> str:
        taken = digest(file)
        path.unlink(missing_ok=True)
        path.symlink_to(tmp_path / "secret.png")
        return taken

    monkeypatch.setattr(images_module, "_digest", swap_then)
    got = client.get(at(home, row, "original"))
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, bytes_, str(len(bytes_)))
    assert client.get(at(home, row, "original")).status_code == 409


def test_a_pipe_in_the_place_of_a_picture_keeps_nobody_waiting(
    home: Home, client: TestClient, row: dict[str, str]
) -> None:
    Path(row["path"]).unlink()
    os.mkfifo(row["path"])
    for kind in ("original", "preview", "thumbnail"):
        assert client.get(at(home, row, kind)).status_code == 409


def test_a_mask_that_is_a_link_out_of_its_dataset_is_not_served(
    home: Home, client: TestClient, row: dict[str, str], tmp_path: Path, monkeypatch
) -> None:
    closed = replace(home.store.settings, allowed_roots=(tmp_path / "open",))
    monkeypatch.setattr(engine.store(), "settings", closed)
    mask = Path(row["mask_path"])
    moved = mask.with_name("elsewhere in the dataset.png")
    mask.rename(moved)
    mask.symlink_to(moved)
    assert client.get(at(home, row, "mask")).status_code == 200
    outside = tmp_path / "outside.png"
    shutil.copy(moved, outside)
    mask.unlink()
    mask.symlink_to(outside)
    got = client.get(at(home, row, "mask"))
    assert got.status_code == 404 and "leads out of its dataset" in got.text and str(tmp_path) not in got.text


def test_uploads_are_served_from_their_own_folder_alone(home: Home, client: TestClient, row: dict[str, str]) -> None:
    job = submit_single(home.store, home.run("Alpha").id, "plate", Path(row["path"]).read_bytes(), "mine.png")
    assert client.get(urls.single(job, "original")).headers["content-type"] == "image/png"
    assert client.get(urls.single(job, "preview")).headers["content-type"] == "image/webp"
    assert client.get(urls.single(job, "map")).status_code == 404
    for path in (row["path"], "/etc/passwd", str(home.store.settings.uploads / ".." / "mad.db")):
        with home.store.database.write() as connection:
            payload = {**home.store.queue.job(job).payload, "path": path, "map": path}
            connection.execute(jobs.update().where(jobs.c.id == job).values(payload=payload))
        assert [client.get(urls.single(job, kind)).status_code for kind in ("original", "map", "preview")] == [404] * 3


def test_a_name_that_was_pointed_at_this_machine_gets_nothing(home: Home, client: TestClient, row) -> None:
    """As a page of another site would ask after its name began to lead to 127.0.0.1."""
    for host, status in {
        "evil.example": 403,
        "127.0.0.1.evil.example": 403,
        "localhost:9": 200,
        "[::1]:8501": 200,
    }.items():
        assert client.get(at(home, row, "thumbnail"), headers={"host": host}).status_code == status, host


# -- who may come in ------------------------------------------------------------------------------


def logged_in(monkeypatch: pytest.MonkeyPatch, **user: object) -> None:
    monkeypatch.setattr(access, "login_configured", lambda: True)
    monkeypatch.setattr(st, "user", {"is_logged_in": bool(user), **user})


def test_with_a_login_an_address_needs_a_pass(
    home: Home, client: TestClient, row: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged_in(monkeypatch)
    without = at(home, row, "original")
    assert "pass=" not in without
    logged_in(monkeypatch, email="ada@clinic.org", **VERIFIED)
    address = at(home, row, "original")
    assert client.get(address).status_code == 200
    forged = address[:-4] + "0000"
    ends = address.partition("pass=")[2].partition(".")[0]
    later = address.replace(ends, str(int(ends) + 1))
    for refused in (without, forged, later, f"{without}&pass=", f"{without}&pass=9999999999.", f"{without}&pass=x.y"):
        got = client.get(refused)
        assert (got.status_code, got.text) == (401, "Log in first."), refused
        assert got.headers["cache-control"] == "no-store"
    other = home.images("plate").iloc[0].to_dict()
    given = address.partition("pass=")[2]
    for kind, image in (("original", other), ("mask", row), ("preview", row)):  # a pass is for one address
        assert client.get(f"/image/{home.dataset}/{image['image_id']}/{kind}?pass={given}").status_code == 401
    assert at(home, row, "original") == address  # the same all along, so that browsers keep the picture
    for odd in ("%C3%BF.x", "9" * 5000 + ".0", "1e9.0", "-1.0", "\u0669.0", "%00.%00", ".", "9999999999.%ED%A0%80"):
        assert client.get(f"{without}&pass={odd}").status_code == 401
    monkeypatch.setattr(access.time, "time", lambda: float(ends) + 1)
    assert client.get(address).status_code == 401


VERIFIED = {"email_verified": True}


@pytest.mark.parametrize(
    ("allowed", "user", "comes_in"),
    [
        (None, {"email": "ada@clinic.org"}, True),
        (None, {}, False),
        ("Ada@Clinic.org, @lab.org", {"email": "ada@clinic.org", **VERIFIED}, True),
        ("ada@clinic.org,@lab.org", {"email": "ben@lab.org", **VERIFIED}, True),
        ("ada@clinic.org,@lab.org", {"email": "ben@clinic.org", **VERIFIED}, False),
        ("@lab.org", {"email": "ben@lab.org.evil.com", **VERIFIED}, False),
        ("@lab.org", {"email": "ben@evil.com@lab.org.evil.com", **VERIFIED}, False),
        ("@lab.org", {"email": "lab.org", **VERIFIED}, False),
        ("@lab.org", {"sub": "1234", **VERIFIED}, False),
        ("@lab.org", {"email": "ben@lab.org", "email_verified": "true"}, True),
        ("@lab.org", {"email": "ben@lab.org"}, False),
        ("@lab.org", {"email": "ben@lab.org", "provider": "theirs", "iss": "https://theirs"}, False),
        ("@lab.org", {"email": "ben@lab.org", "provider": "ours"}, True),
        ("@lab.org", {"email": "ben@lab.org", "iss": "https://login.lab.org"}, True),
        *(
            ("@lab.org", {"email": "ben@lab.org", "email_verified": said}, False)
            for said in (False, None, "false", "False", 0, 1, "1", "yes", "", [True], {"true": True})
        ),
    ],
)
def test_who_is_logged_in_must_be_on_the_list_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, allowed: str | None, user: dict[str, object], comes_in: bool
) -> None:
    if allowed is not None:
        monkeypatch.setenv("MAD_ALLOWED_LOGINS", allowed)
    monkeypatch.setenv("MAD_TRUSTED_PROVIDERS", "ours, https://login.lab.org")
    logged_in(monkeypatch, **user)
    assert access.admitted() is comes_in
    assert bool(access.image_pass("/image/a/b/mask")) is comes_in


@pytest.mark.parametrize("name", ["MAD_ALLOWED_LOGINS", "MAD_ALLOWED_ROOTS", "MAD_TRUSTED_PROVIDERS"])
@pytest.mark.parametrize("given", ["", " , ", " :: "])
def test_what_is_set_and_names_nobody_admits_nobody(
    open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, name: str, given: str
) -> None:
    if (name == "MAD_ALLOWED_ROOTS") == ("," in given):
        given = ""
    monkeypatch.setenv(name, given)
    logged_in(monkeypatch, email="ada@clinic.org", **VERIFIED)
    assert not access.admitted() and not access.image_pass("/x")
    with pytest.raises(InputError, match=f"{name} is set but names nothing"):
        Settings.from_environment()
    shown = open_page("data").error[0].value
    monkeypatch.delenv(name)
    assert name in shown.replace("\\", "") and "is set but names nothing" in shown


@pytest.mark.parametrize("name", ["MAD_HOME", "MAD_ALLOWED_ROOTS"])
def test_the_home_of_nobody_is_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} names '~nobody-of-that-name/x', the home of a user who is not here"):
        Settings.from_environment({name: "~nobody-of-that-name/x"})


def test_roots_that_are_a_loop_of_links_open_nothing(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).symlink_to(tmp_path / other)
    settings = Settings.from_environment({"MAD_HOME": str(tmp_path / "home"), "MAD_ALLOWED_ROOTS": str(tmp_path / "a")})
    assert not settings.may_open(tmp_path / "a" / "x") and not settings.may_open(tmp_path)


def test_who_a_person_is_is_said_by_issuer_and_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_providers", lambda: [""])
    ada = {"iss": "https://login", "sub": "7", "name": "Ada", "email": "ada@clinic.org"}
    logged_in(monkeypatch, **ada, **VERIFIED)
    assert access.person() == access.Person("https://login 7", "Ada", "ada@clinic.org", "ada@clinic.org")
    logged_in(monkeypatch, **ada, email_verified="false")
    assert access.person() == access.Person("https://login 7", "Ada", "", "")
    logged_in(monkeypatch, iss="https://login", sub="7", name="Ada")
    assert access.person() == access.Person("https://login 7", "Ada", "", "7")
    logged_in(monkeypatch, email="ada@clinic.org", **VERIFIED)
    assert access.person() is None
    logged_in(monkeypatch, iss="https://" + "x" * 300, sub="y" * 255)
    assert len(access.person().login) <= 320  # type: ignore[union-attr]


# -- which folders may be opened ------------------------------------------------------------------


def test_folders_outside_the_allowed_roots_stay_closed(tmp_path: Path) -> None:
    for name in ("open/data", "closed/data", "home", "opened"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "open" / "link").symlink_to(tmp_path / "closed")
    (tmp_path / "way").symlink_to(tmp_path / "open")
    environment = {"MAD_HOME": str(tmp_path / "home"), "MAD_ALLOWED_ROOTS": f"{tmp_path / 'open'}:relative"}
    settings = Settings.from_environment(environment)
    stored = Settings.from_environment({**environment, "MAD_ALLOWED_ROOTS": "s3://bucket/parts"})
    assert stored.allowed_roots == () and not stored.may_open(Path.home()) and stored.may_open(stored.home)

    def may(path: str) -> bool:
        return settings.may_open(Path(path))

    assert may(f"{tmp_path}/open/data") and may(f"{tmp_path}/home/imports") and may(f"{tmp_path}/way/data")
    for closed in (
        f"{tmp_path}/closed/data",
        f"{tmp_path}/open/../closed/data",
        f"{tmp_path}/open/link/data",
        f"{tmp_path}/opened",
        "/",
        "/etc/passwd",
        "~root/x",
        "~/x",
        "~nobody-of-this-name/x",
        f"{tmp_path}/open/\0/../../closed",
    ):
        assert not may(closed), closed


def test_an_upload_that_is_too_large_is_a_sentence(home: Home, monkeypatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="The upload has more than"):
        uploads.keep_upload(home.store.settings, "big.zip", b"x" * 1001)
    assert [p for p in home.store.settings.imports.rglob("*") if p.is_file()] == []


def ask_for_three_jobs() -> None:
    import streamlit as st

    from mad_core.errors import InputError
    from pages.ui import engine

    try:
        for _ in range(3):
            engine.store().queue.submit("run", {})
    except InputError as error:
        st.text(str(error))


def test_one_session_cannot_fill_the_queue(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mad_core.runs.queue.MOST_ASKED", 2)
    page = AppTest.from_function(ask_for_three_jobs).run()
    assert not page.exception and "2 jobs of this session are waiting already" in page.text[0].value
    for _ in range(3):  # whoever asks outside of a session is not held back
        home.store.queue.submit("run", {})
