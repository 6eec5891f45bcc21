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

FIGURES = ROOT / "docs" / "figures"
MODELS = ("default", "open", "small")

TESTED = {
    "default-ravdess": "RAVDESS, 8 emotions, American English",
    "default-crema-d": "CREMA-D, 6 emotions, American English",
    "default-banglaser": "BanglaSER, 5 emotions, Bangla",
    "open-crema-d": "the model `open`: CREMA-D",
}
"""Folders in docs/figures, and what a reader calls them."""

EMOTIONS = ("angry", "sad", "happy", "fearful")


def tested() -> list[tuple[str, str]]:
    """The folders that were measured with the recipe of today; others have been deleted."""
    return [(name, title) for name, title in TESTED.items() if (FIGURES / name).is_dir()]


def figures(name: str) -> dict[str, Any]:
    """One file of figures, as `streamer evaluate` writes it."""
    loaded: dict[str, Any] = json.loads((FIGURES / name / "figures.json").read_text())
    return loaded


def rows(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |\n"


def quiet() -> Iterator[str]:
    """False alerts and certain emotions on ordinary speech, by model."""
    yield rows("76 minutes of people who just talk", *(f"`{model}`" for model in MODELS))
    yield rows(*["---"] * (1 + len(MODELS)))
    found = [figures(f"{model}-quiet") for model in MODELS]
    for name in ("low", "normal", "high"):
        rates = (f"{each['alerts_per_hour'][name]:.1f}" for each in found)
        yield rows(f"false alerts an hour, `alerts.sensitivity: {name}`", *rates)
    certain = (f"{each['certain']:.1%}" for each in found)
    yield rows("speech with a certain emotion other than neutral and calm", *certain)


def found() -> Iterator[str]:
    """What is found after eight neutral utterances, mean of the tested corpora."""
    yield rows("found after eight neutral utterances", *EMOTIONS)
    yield rows(*["---"] * (1 + len(EMOTIONS)))
    for model in ("default", "open"):
        parts = figures(f"{model}-ordinary")
        for part, title in (("speakers", "unseen speakers"), ("unseen", "unseen corpora")):
            corpora = parts[part]["found"].values()
            for kind in ("certain", "named"):
                cells = [
                    [by[emotion][kind] for by in corpora if emotion in by] for emotion in EMOTIONS
                ]
                means = (f"{sum(each) / len(each):.2f}" if each else "" for each in cells)
                yield rows(f"`{model}`, {title}: {kind}", *means)


def summary() -> Iterator[str]:
    """UAR on unseen speakers, before and after ten utterances of the speaker."""
    yield rows("tested on speakers that took no part in training", "UAR", "after ten utterances")
    yield rows("---", "---", "---")
    for name, title in tested():
        measured = figures(name)
        adapted = measured["sessions"]["eight neutral in ten"]["uar"]
        yield rows(title, f"{measured['scores']['plain']['uar']:.2f}", f"{adapted:.2f}")


def sessions() -> Iterator[str]:
    """UAR and calibration without speaker adaptation and after ten utterances."""
    kinds = ("eight neutral in ten", "mixed", "one emotion", "two voices in turn", "another voice")
    yield rows("tested on", "clips", "UAR", "ECE", *kinds)
    yield rows(*["---"] * (4 + len(kinds)))
    for name, title in tested():
        measured = figures(name)
        plain, after = measured["scores"]["plain"], measured["sessions"]
        cells = [f"{after[kind]['uar']:.3f}" for kind in kinds]
        clips, ece = plain["own"]["clips"], plain["all"]["ece"]
        yield rows(title, f"{clips:,}", f"{plain['uar']:.3f}", f"{ece:.3f}", *cells)


def recalls() -> Iterator[str]:
    """Recall by emotion, all emotions of the model possible."""
    emotions = figures("default-ravdess")["labels"]
    yield rows("tested on", *emotions)
    yield rows(*["---"] * (1 + len(emotions)))
    for name, title in tested():
        measured = figures(name)["scores"]["plain"]["all"]["recalls"]
        yield rows(title, *(f"{measured[e]:.2f}" if e in measured else "" for e in emotions))


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "quiet": quiet, "found": found, "summary": summary, "sessions": sessions,
    "recalls": recalls,
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
