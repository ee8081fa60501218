"""The pages in a real Chromium: by mouse and keyboard, without JavaScript, on a phone, for screen readers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from observe.pages.served import Served, served
from support.requirements import require
from support.stories import HOSTILE, Told, healthy, stories, told, under_way, wrong_password

PHONE = {"width": 360, "height": 740}
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = require("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def journal() -> Iterator[Told]:
    with told(*stories()) as journal:
        yield journal


@pytest.fixture
def site(journal: Told) -> Iterator[Served]:
    with served(lambda: journal.reader) as site:
        yield site


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 800})) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext, site: Served) -> Iterator[Page]:
    """A page that must ask nobody but us, and must have nothing to complain about."""
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    page.set_default_timeout(10_000)
    yield page
    assert [url for url in asked if not url.startswith(f"{site.url}/")] == []
    assert complaints == []


def addresses(site: Served) -> list[str]:
    """A page of each kind, and each kind of sign-in."""
    sign_ins = [f"/signins/{row.id}" for row in site.reader().list()]
    return ["/", "/signins?outcome=bad", "/signins?user=nobody", *sign_ins, "/findings", "/findings/F20"]


def of(site: Served, user: str) -> str:
    (row,) = site.reader().list(user=user)
    return f"{site.url}/signins/{row.id}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_serious_to_say(page: Page, site: Served, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    # One that is well and one that is not; the structure is the same in both schemes.
    sign_ins = [of(site, user).removeprefix(site.url) for user in ("alice", "bob")]
    others = ["/", "/signins?user=nobody", "/findings", "/findings/F20"] if scheme == "light" else ["/"]
    for path in [*others, *sign_ins]:
        page.goto(site.url + path)
        page.evaluate(OPEN_ALL)
        violations = Axe().run(page).response["violations"]
        bad = [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in violations
            if one["impact"] in ("serious", "critical")
        ]
        assert bad == [], path


def test_nothing_is_wider_than_a_phone(page: Page, site: Served) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for path in addresses(site):
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path


def test_landmarks_and_names(page: Page, site: Served) -> None:
    page.goto(site.url)
    for role in ("banner", "navigation", "main", "search", "table"):
        expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    expect(page.get_by_role("img", name="14 ok")).to_have_count(1)
    page.goto(of(site, "bob"))
    expect(page.get_by_role("heading", level=1)).to_have_text("bob@contoso.example")
    assert page.get_by_role("region").count() >= 3  # finding, stages, way
    assert page.locator(".stage").count() == 14
    expect(page.locator("#row-9").get_by_role("img", name="failed").first).to_be_visible()


def test_filters_act_as_one_types_and_the_url_says_so(page: Page, site: Served) -> None:
    page.goto(site.url)
    user = page.get_by_label("User")
    user.focus()
    page.keyboard.type("bob")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("bob@contoso.example")
    expect(user).to_be_focused()
    assert page.url.endswith("/signins?user=bob")
    page.get_by_label("Outcome").select_option("good")
    expect(page.get_by_text("No sign-in fits")).to_be_visible()
    page.reload()
    expect(user).to_have_value("bob")
    expect(page.get_by_text("No sign-in fits")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(len(stories()))


def test_what_is_new_comes_by_itself_and_moves_nobody(page: Page, site: Served, journal: Told) -> None:
    journal.tell(*(wrong_password(1_795_000_000.0 + 60 * n, f"old{n}@contoso.example") for n in range(20)))
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("Live")
    link = page.get_by_role("link", name="old3@contoso.example")
    link.focus()
    link.scroll_into_view_if_needed()
    page.evaluate("document.activeElement.same = 'yes'")
    journal.tell(healthy(user="grace@contoso.example", started=1_795_348_900.0))
    expect(page.get_by_role("link", name="grace@contoso.example")).to_have_count(1)
    expect(link).to_be_focused()
    assert page.evaluate("document.activeElement.same") == "yes"
    top = page.evaluate("document.querySelector('tbody tr:nth-child(2) a').textContent")
    assert top == "grace@contoso.example"  # the newest but the one that is under way
    # A filter holds for what is new as well.
    page.goto(f"{site.url}/signins?user=heidi")
    expect(page.get_by_text("No sign-in fits")).to_be_visible()
    journal.tell(
        healthy(user="ivan@contoso.example", started=1_795_349_000.0),
        healthy(user="heidi@contoso.example", started=1_795_349_100.0),
    )
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("heidi")


def test_an_empty_list_fills_itself(chromium: Browser) -> None:
    with (
        told() as journal,
        served(lambda: journal.reader) as site,
        contextlib.closing(chromium.new_context()) as context,
    ):
        page = context.new_page()
        page.goto(site.url)
        expect(page.get_by_text("Nobody has signed in yet")).to_be_visible()
        journal.tell(healthy())
        expect(page.locator("tbody tr")).to_have_count(1, timeout=10_000)


def test_a_sign_in_that_is_under_way_is_watched(page: Page, site: Served, journal: Told) -> None:
    started = time.time()
    journal.tell(under_way("ivan@contoso.example", started))
    page.goto(of(site, "ivan"))
    expect(page.locator(".verdict")).to_have_text("Under way")
    page.locator("#row-8 summary").first.focus()
    page.keyboard.press("Enter")
    journal.tell(under_way("ivan@contoso.example", started, ticket=True))
    expect(page.locator("#row-9 .moment")).to_have_count(4)
    expect(page.locator("#row-8 .moment").first).to_be_visible()
    expect(page.locator("#row-8 summary").first).to_be_focused()


def test_stages_open_by_keyboard(page: Page, site: Served) -> None:
    page.goto(of(site, "alice"))
    stage = page.locator("#row-9")
    summary = stage.locator("summary").first
    expect(stage.locator(".moment").first).to_be_hidden()
    summary.focus()
    page.keyboard.press("Enter")
    expect(stage.locator(".moment").first).to_be_visible()
    # Its events open as well, with phases and facts.
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(stage.locator(".phases").first).to_be_visible()
    expect(stage.locator(".facts").first).to_contain_text("X-MS-Server-Fqdn")
    summary.focus()
    page.keyboard.press("Enter")
    expect(stage.locator(".moment").first).to_be_hidden()


def test_evidence_leads_to_where_it_was_seen(page: Page, site: Served) -> None:
    page.goto(of(site, "bob"))
    evidence = page.locator(".evidence .where").first
    event = (evidence.get_attribute("href") or "").removeprefix("#")
    page.locator("#row-9 > details").evaluate("element => element.open = false")
    evidence.focus()
    page.keyboard.press("Enter")
    target = page.locator(f"[id='{event}']")
    expect(target).to_be_visible()
    expect(target).to_be_in_viewport()
    expect(target).to_be_focused()
    expect(target.locator(".quoted")).to_have_text("evidence")


def test_a_command_can_be_copied(page: Page, context: BrowserContext, site: Served) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(of(site, "bob"))
    command = page.locator(".command").first
    command.get_by_role("button", name="Copy").click()
    expect(command.get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == command.locator("code").text_content()
    assert "Get-" in copied


def test_a_theme_is_kept_and_does_not_flash(page: Page, site: Served) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(site.url)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(paper)
    assert dark != light
    answer = page.goto(of(site, "alice"))
    assert answer is not None
    assert '<html lang="en" data-theme="dark">' in answer.text()  # the server's own: nothing to flash
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(paper) == light


def test_the_system_decides_where_nobody_has(page: Page, site: Served) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(site.url)
        colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


def test_without_javascript(chromium: Browser, site: Served) -> None:
    with contextlib.closing(chromium.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(site.url)
        expect(page.locator("tbody tr")).to_have_count(len(stories()))
        expect(page.get_by_role("button", name="Theme")).to_be_hidden()
        page.get_by_label("User").fill("bob")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name="bob@contoso.example").click()
        expect(page.locator(".stage")).to_have_count(14)
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        page.locator("#row-8 summary").first.click()
        expect(page.locator("#row-8 .moment").first).to_be_visible()


def test_what_comes_from_outside_does_nothing(page: Page, site: Served, journal: Told) -> None:
    """The fixture fails on any dialog, request or error that it causes."""
    page.goto(site.url)
    expect(page.locator("tbody")).to_contain_text("<script>alert(1)")
    page.goto(of(site, "mallory"))
    page.evaluate(OPEN_ALL)
    expect(page.locator("h1")).to_contain_text("<script>alert(1)")
    assert page.locator("img, iframe, object, main script, main style").count() == 0
    assert page.locator("a[href^='javascript:']").count() == 0
    page.goto(f"{site.url}/signins?user={HOSTILE[:24].replace('<', '%3C')}")
    expect(page.get_by_label("User")).to_have_value(HOSTILE[:24])


def test_the_policy_holds(page: Page, site: Served) -> None:
    """Even if something got in, it would not run."""
    page.goto(site.url)
    added = """() => new Promise(resolve => {
        document.addEventListener('securitypolicyviolation', event => resolve(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.ran = true';
        document.body.append(script);
        setTimeout(() => resolve('none'), 5000);
    })"""
    with contextlib.closing(page.context.new_page()) as other:
        other.goto(site.url)
        assert other.evaluate(added) == "script-src-elem"
        assert other.evaluate("window.ran") is None


def test_who_wants_less_motion_gets_none(page: Page, site: Served, journal: Told) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("Live")
    journal.tell(healthy(user="grace@contoso.example", started=1_795_348_900.0))
    expect(page.locator("tr.fresh").first).to_be_visible()
    assert page.locator("tr.fresh").first.evaluate("row => getComputedStyle(row).animationName") == "none"


def test_on_paper_everything_is_open_and_light(page: Page, site: Served) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(of(site, "alice"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 249)"
    expect(page.locator(".top")).to_be_hidden()
    facts = page.locator("#row-7 .facts").first
    box = facts.bounding_box()
    assert box is not None
    assert box["height"] > 10
