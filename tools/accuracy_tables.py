"""Write the tables of accuracy in README.md and docs/accuracy.md from the figures in docs/figures.

    .venv/bin/python tools/accuracy_tables.py            # make tables
    .venv/bin/python tools/accuracy_tables.py --check    # exit code 1 where a table is stale

A table lies between the comments `<!-- table NAME -->` and `<!-- end -->`; the rest of a page is
written by hand.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "accuracy.md")
TABLE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

TESTED = {
    "default-ravdess": "RAVDESS, 8 emotions, American English",
    "default-crema-d": "CREMA-D, 6 emotions, American English",
    "default-savee": "SAVEE, 7 emotions, one British speaker",
    "default-corpus-out": "nEMO, 6 emotions, Polish: corpus and language unseen",
    "open-crema-d": "the model `open`: CREMA-D",
}
"""Folders in docs/figures, and what a reader calls them."""

FORMS = {
    "first 1 s": "first second",
    "first 2 s": "first two seconds",
    "telephone A-law": "telephone",
    "noise 10 dB": "noise, 10 dB",
    "room 0.5 s": "reverberant room, 0.5 s",
    "gain -30 dB": "30 dB quieter",
}
"""Degraded forms in the figures, and what a reader calls them."""


def figures(name: str) -> dict[str, Any]:
    """One file of figures, as `streamer evaluate` writes it."""
    loaded: dict[str, Any] = json.loads(
        (ROOT / "docs" / "figures" / name / "figures.json").read_text()
    )
    return loaded


def rows(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |\n"


def summary() -> Iterator[str]:
    """UAR on unseen speakers, before and after ten utterances of the speaker."""
    yield rows("tested on speakers that took no part in training", "UAR", "after ten utterances")
    yield rows("---", "---", "---")
    for name, title in TESTED.items():
        found = figures(name)
        adapted = found["sessions"]["mixed"]["uar"]
        yield rows(title, f"{found['scores']['plain']['uar']:.2f}", f"{adapted:.2f}")


def sessions() -> Iterator[str]:
    """UAR and calibration without speaker adaptation and after ten utterances."""
    yield rows("tested on", "clips", "UAR", "ECE", "adapted, mixed", "adapted, one emotion",
               "history of another speaker")  # fmt: skip
    yield rows(*["---"] * 7)
    for name, title in TESTED.items():
        found = figures(name)
        plain, after = found["scores"]["plain"], found["sessions"]
        kinds = [
            f"{after[kind]['uar']:.3f}" if after.get(kind) else ""
            for kind in ("mixed", "one emotion", "another voice")
        ]
        clips, ece = plain["own"]["clips"], plain["all"]["ece"]
        yield rows(title, f"{clips:,}", f"{plain['uar']:.3f}", f"{ece:.3f}", *kinds)


def degraded() -> Iterator[str]:
    """UAR of less than an utterance, and of degraded speech."""
    yield rows("tested on", "whole, as recorded", *FORMS.values())
    yield rows(*["---"] * (2 + len(FORMS)))
    for name, title in TESTED.items():
        scores = figures(name)["scores"]
        cells = [f"{scores[form]['uar']:.3f}" if form in scores else "" for form in FORMS]
        if any(cells):
            yield rows(title, f"{scores['plain']['uar']:.3f}", *cells)


def recalls() -> Iterator[str]:
    """Recall by emotion, all emotions of the model possible."""
    emotions = figures("default-ravdess")["labels"]
    yield rows("tested on", *emotions)
    yield rows(*["---"] * (1 + len(emotions)))
    for name, title in TESTED.items():
        found = figures(name)["scores"]["plain"]["all"]["recalls"]
        yield rows(title, *(f"{found[e]:.2f}" if found.get(e) else "" for e in emotions))


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "summary": summary, "sessions": sessions, "degraded": degraded, "recalls": recalls,
}  # fmt: skip


def with_tables(text: str) -> str:
    """A page with its tables as the figures are now."""
    return TABLE.sub(lambda m: m[1] + "".join(TABLES[m[2]]()) + m[3], text)


def main() -> int:
    """Write the pages, or say which are not what the figures say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    check = parser.parse_args().check
    stale = [page for page in PAGES if with_tables(page.read_text()) != page.read_text()]
    for page in stale:
        if check:
            print(f"{page.name}: its tables are not what docs/figures says; run make tables")
        else:
            page.write_text(with_tables(page.read_text()))
            print(f"wrote {page.name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
