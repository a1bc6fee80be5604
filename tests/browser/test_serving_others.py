"""The stated way to serve others, with the real app: below a path of a reverse proxy, under a login."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mad_core.datasets.dataset import Imported
from mad_core.runs.store import Store
from mad_core.settings import Settings
from tests.app.conftest import _draw
from tests.browser.conftest import ROOT, Server, Watch, free_port
from tests.browser.serving_others import CLIENT, CLIENT_SECRET, Provider, caddy, handshake, nginx, providing, proxying

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)
COOKIE_SECRET = "planted-cookie-secret-0123456789abcdef0123456789"
PATH = "/mad"
ADA = {"sub": "1", "name": "Ada Lovelace", "email": "ada@clinic.org", "email_verified": True}
BEN = {"sub": "2", "name": "Ben Elsewhere", "email": "ben@elsewhere.org", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    pytest.importorskip("authlib", reason="authlib is not installed: pip install -r requirements-login.txt")
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    store = Store(Settings.from_environment({"MAD_HOME": str(folder / "store")}))
    store.add_dataset(Imported(_draw(folder / "images")))
    store.close()
    return folder


@pytest.fixture(scope="module", params=["own", "nginx", "caddy"])
def server(
    serve: Callable[..., Server],
    home: Path,
    provider: Provider,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, str]]:
    """The app's own server, and its public address at the proxy."""
    if request.param != "own" and shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    port, public = free_port(), free_port()
    (home / "secrets.toml").write_text(
        f"""
        [auth]
        redirect_uri = "http://127.0.0.1:{public}{PATH}/oauth2callback"
        cookie_secret = "{COOKIE_SECRET}"
        client_id = "{CLIENT}"
        client_secret = "{CLIENT_SECRET}"
        server_metadata_url = "{provider.url}/.well-known/openid-configuration"
        """
    )
    environment = {
        "MAD_HOME": str(home / "store"),
        "MAD_ALLOWED_LOGINS": "@clinic.org",
        "STREAMLIT_SECRETS_FILES": str(home / "secrets.toml"),
        "STREAMLIT_SERVER_BASE_URL_PATH": PATH.strip("/"),
        "STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "1",
    }
    folder = tmp_path_factory.mktemp("proxy")
    proxy = {
        "own": lambda: proxying(public, port, PATH),
        "nginx": lambda: nginx(public, port, PATH, folder),
        "caddy": lambda: caddy(public, port, PATH, folder),
    }[request.param]
    with proxy() as address:
        yield serve(ROOT / "app.py", environment, port=port, path=PATH), address


def test_below_a_path_and_under_a_login(
    server: tuple[Server, str],
    home: Path,
    provider: Provider,
    page: Page,
    watch: Watch,
    settled: Callable[[Page], None],
) -> None:
    app, address = server
    store = Store(Settings.from_environment({"MAD_HOME": str(home / "store")}))
    (dataset,) = store.datasets()
    image = store.dataset(dataset.id).table["image_id"].iloc[-1]
    picture = f"{address}/image/{dataset.id}/{image}/original"

    # Nobody in particular: the login and nothing else, whatever page is asked for.
    for place in ("", f"/images?dataset={dataset.id}", "/audit"):
        page.goto(f"{address}{place}")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        settled(page)
        assert page.get_by_role("link", name="Compare").count() == 0
        assert dataset.name not in page.inner_text("body") and page.locator("img").count() <= 1  # the logo
    got = page.request.get(picture)
    assert (got.status, got.text()) == (401, "Log in first.")
    assert page.request.get(f"{picture}?pass=9999999999.{'0' * 64}").status == 401

    runs = f"{address}/api/v1/runs"
    got = page.request.get(runs)
    assert (got.status, "log in" in got.json()["error"]) == (401, True)

    # Somebody whom the provider knows and this server does not.
    provider.person = BEN
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("is not among those who may use this server")).to_be_visible()
    expect(page.get_by_text(re.compile("ben@.?elsewhere.org"))).to_be_visible()
    assert page.get_by_role("link", name="Compare").count() == 0
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()

    # Somebody who may.
    provider.person = ADA
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(re.escape(address)))
    expect(page.locator(".tile .frame[data-state=shown]").first).to_be_visible()
    source = page.locator(".tile img").first.get_attribute("src") or ""
    assert source.startswith(f"{PATH}/image/{dataset.id}/") and "pass=" in source
    got = page.request.get(f"{address.removesuffix(PATH)}{source}")
    assert got.status == 200 and got.headers["content-type"] == "image/webp"
    assert page.request.get(picture).status == 401  # being logged in is not enough: pages hand out the pass
    got = page.request.get(runs)
    assert (got.status, got.json()) == (200, [])  # the login counts for what programs of the browser ask
    assert page.request.post(f"{runs}/none/score", data=b"x", headers={"Origin": "https://evil.example"}).status == 403
    assert page.request.get(f"{app.url}/api/v1/runs").status == 401  # a login of the proxy's address is of no other

    page.locator(".tile").first.click()
    expect(page).to_have_url(re.compile(f"{re.escape(address)}/images\\?.*image={'[0-9a-f]{16}'}"))
    expect(page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
    settled(page)

    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_text("Ada Lovelace").first).to_be_visible()
    settled(page)
    expect(page.get_by_text("Your name")).to_have_count(0)

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.get_by_role("link", name="Compare").count() == 0

    # Streamlit looks for itself below the page that was opened first, then above it.
    watch.errors[:] = [error for error in watch.errors if "/_stcore/" not in error]

    # Nothing leads around the proxy's path, and no secret is in what the server said or keeps.
    around = page.request.get(picture.replace(PATH, "", 1))
    assert around.status == 404 or not around.body()  # Caddy says nothing, and that it is well
    said = app.output()
    assert provider.refused == [] and "Traceback" not in said
    kept = [p for p in (home / "store").rglob("*") if p.is_file()]
    for secret in (CLIENT_SECRET, COOKIE_SECRET):
        assert secret not in said and secret not in page.content()
        assert [p for p in kept if secret.encode() in p.read_bytes()] == []
    store.close()


def test_sockets_behind_the_proxy_are_for_the_pages_of_its_address(server: tuple[Server, str]) -> None:
    app, address = server
    own = address.removesuffix(PATH)
    assert handshake(address, own)[0] == 101
    foreign = ("https://evil.example", own.replace("127.0.0.1", "localhost"), app.url.removesuffix(PATH), "null")
    assert {handshake(address, origin)[0] for origin in foreign} == {403}


def test_uploads_have_a_limit_that_the_page_tells(
    server: tuple[Server, str], provider: Provider, page: Page, watch: Watch
) -> None:
    _, address = server
    provider.person = ADA
    page.goto(address)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Add a dataset").click()
    page.get_by_role("tab", name="Upload").click()
    page.get_by_role("dialog").locator("input[type=file]").first.set_input_files(
        {"name": "big.zip", "mimeType": "application/zip", "buffer": b"x" * (1 << 20) + b"y"}
    )
    expect(page.get_by_text("must be 1.0MB or smaller")).to_be_visible()


def test_where_secrets_cannot_be_read_nobody_is_let_in(serve: Callable[..., Server], home: Path, page: Page) -> None:
    """A slip in the file that names the login does not open the server to everybody."""
    broken = home / "broken.toml"
    broken.write_text(f'[auth\nclient_secret = "{CLIENT_SECRET}"', encoding="utf-8")
    app = serve(ROOT / "app.py", {"MAD_HOME": str(home / "store"), "STREAMLIT_SECRETS_FILES": str(broken)})
    page.goto(app.url)
    expect(page.get_by_text("The secrets of this server cannot be read, so nobody is let in.")).to_be_visible()
    assert page.get_by_role("link", name="Compare").count() == 0
    assert page.request.get(f"{app.url}/image/any/image/original").status == 401
    said = app.output()
    assert "Failed to load secrets" in said
    assert CLIENT_SECRET not in said


def test_it_listens_on_this_machine_alone() -> None:
    """As configured; no command that people are told to use says otherwise."""
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert set(config["server"]["allowedHosts"]) == {"127.0.0.1", "localhost", "::1"}
    assert "server.address" not in (ROOT / "Makefile").read_text(encoding="utf-8")
