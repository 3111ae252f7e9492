"""A page as Chromium shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=10000",
    "--dump-dom",
)
CONSOLE = re.compile(r"^\[[^]]*:CONSOLE[^]]*\] (.*)", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """The DOM once all was drawn, and each line of the console: errors, warnings, anything."""

    dom: str
    console: list[str]

    def traces(self) -> dict[str, int]:
        """How many are drawn as SVG in each figure that has a place, by its heading."""
        figures = [part.partition("</figure>")[0] for part in self.dom.split("<figure ")[1:]]
        return {_heading(figure): len(_drawn(figure)) for figure in figures}


def chromium() -> str | None:
    return next((name for name in NAMES if shutil.which(name)), None)


def show(page: Path) -> Shown:
    """With a profile of its own, left beside the page."""
    binary = chromium()
    assert binary is not None
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [binary, *OPTIONS, profile, page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Shown(ended.stdout, CONSOLE.findall(ended.stderr))


def _heading(figure: str) -> str:
    return re.findall(r"<h2>(.*?)</h2>", figure)[0]


def _drawn(figure: str) -> list[str]:
    return re.findall(r'<g class="trace [^"]*"', figure) if 'class="main-svg"' in figure else []
