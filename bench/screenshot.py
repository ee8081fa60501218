"""`make screenshot`: the picture of the README, taken of the page that the demo leaves.

The demo's estate runs, its phones sign in, and Chromium looks at the page of one that failed. All in the
picture but its fonts is of that run.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from lyncgate.cli.demoestate import PLAYS, demo_estate

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "signin.png"
SHOWN = next(play for play in PLAYS if play.code == "F40")
WIDTH = 1180  # pixels
LIMIT = 300_000  # bytes


async def take(chromium: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with demo_estate(Path(directory), (ROOT / "rules.yaml").read_text()) as estate:
            for play in PLAYS:
                await estate.sign_in(play)
            if not await estate.judged(PLAYS):
                sys.exit("the sign-ins are not over")
            story = estate.story(SHOWN)
            if story is None or story[1][0].code != SHOWN.code:
                sys.exit(f"no sign-in with {SHOWN.code}")
            await _photograph(chromium, f"{estate.admin}/signins/{story[0].id}")


async def _photograph(chromium: str, url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(
            color_scheme="light", viewport={"width": WIDTH, "height": 1000}, device_scale_factor=1.1
        )
        await page.goto(url)
        await page.evaluate("for (const one of document.querySelectorAll('details[open]')) one.open = false")
        bottom = await page.evaluate("document.querySelector('.waterfall').getBoundingClientRect().bottom")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": bottom + 24}
        await page.screenshot(path=PICTURE, full_page=True, clip=clip)  # type: ignore[arg-type]
        await browser.close()
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(ROOT)}: {size // 1000} kB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT // 1000} kB")


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1] if len(sys.argv) > 1 else "/usr/bin/chromium"))
