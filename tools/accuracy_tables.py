"""Write the tables of accuracy in README.md and docs from the figures in docs/figures.

    .venv/bin/python tools/accuracy_tables.py            # make tables
    .venv/bin/python tools/accuracy_tables.py --check    # exit code 1 where a table is stale

A table lies between the comments `<!-- table NAME -->` and `<!-- end -->`; the rest of a page is
written by hand.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from streamer.config.alert_rules import SENSITIVITIES

ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "accuracy.md",
    ROOT / "docs" / "usage" / "alerts.md",
)
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

CORPORA = {"ravdess": "RAVDESS", "crema-d": "CREMA-D", "banglaser": "BanglaSER"}

EMOTIONS = ("angry", "sad", "happy", "fearful")


PARTS = (("speakers", "unseen speakers"), ("unseen", "unseen corpora"))


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
    for name in SENSITIVITIES:
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
        for part, title in PARTS:
            corpora = parts[part]["found"]
            for kind in ("certain", "named"):
                means = (mean(corpora, emotion, kind) for emotion in EMOTIONS)
                yield rows(f"`{model}`, {title}: {kind}", *means)


def mean(corpora: Mapping[str, Mapping[str, Mapping[str, float]]], emotion: str, kind: str) -> str:
    """What is found of an emotion, mean of the corpora that have it; empty where none has."""
    shares = [by[emotion][kind] for by in corpora.values() if emotion in by]
    return f"{sum(shares) / len(shares):.2f}" if shares else ""


def overview() -> Iterator[str]:
    """The figures that matter most, a column for each model; empty where nothing was measured."""
    yield rows("", *(f"`{model}`" for model in MODELS))
    yield rows(*["---"] * (1 + len(MODELS)))
    measured = [figures(f"{model}-quiet") for model in MODELS]
    alerts = (f"{each['alerts_per_hour']['normal']:.1f}" for each in measured)
    yield rows("false alerts an hour of ordinary speech", *alerts)
    certain = (f"{each['certain']:.1%}" for each in measured)
    yield rows("ordinary speech with a certain emotion, neutral and calm aside", *certain)
    for part, title in PARTS:
        cells = [
            raised(model, part, "normal", 5) if (FIGURES / f"{model}-ordinary").is_dir() else ""
            for model in MODELS
        ]
        yield rows(f"people who become angry: alert within five utterances, {title}", *cells)
    for corpus, title in CORPORA.items():
        cells = [uar(f"{model}-{corpus}") for model in MODELS]
        if any(cells):
            yield rows(f"UAR on {title} (adapted), unseen speakers", *cells)


def uar(name: str) -> str:
    """UAR without and with speaker adaptation; empty where it was not measured."""
    if not (FIGURES / name).is_dir():
        return ""
    measured = figures(name)
    adapted = measured["sessions"]["eight neutral in ten"]["uar"]
    return f"{measured['scores']['plain']['uar']:.2f} ({adapted:.2f})"


def sensitivity() -> Iterator[str]:
    """False alerts on ordinary speech, by `alerts.sensitivity`."""
    heads = (f"`{model}`" for model in MODELS)
    yield rows("`alerts.sensitivity`", "mean probability of anger in three utterances", *heads)
    yield rows(*["---"] * (2 + len(MODELS)))
    measured = [figures(f"{model}-quiet")["alerts_per_hour"] for model in MODELS]
    for name, mean_probability in SENSITIVITIES.items():
        rates = (f"{rates[name]:.1f}" for rates in measured)
        yield rows(f"`{name}`", f"{mean_probability:g}", *rates)


def episodes() -> Iterator[str]:
    """In how many episodes of anger an alert is raised, by `alerts.sensitivity`."""
    yield rows(
        "alert after at most three, five angry utterances", *(f"`{name}`" for name in SENSITIVITIES)
    )
    yield rows(*["---"] * (1 + len(SENSITIVITIES)))
    for model in ("default", "open"):
        for part, title in PARTS:
            cells = (
                f"{raised(model, part, n, 3)}, {raised(model, part, n, 5)}" for n in SENSITIVITIES
            )
            yield rows(f"`{model}`, {title}", *cells)


def raised(model: str, part: str, name: str, utterances: int) -> str:
    """The share of episodes with an alert by then: the mean of the corpora."""
    corpora = figures(f"{model}-ordinary")[part]["episodes"].values()
    shares = [each["raised"][name][utterances - 1] for each in corpora]
    return f"{sum(shares) / len(shares):.2f}"


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
    "overview": overview, "quiet": quiet, "found": found, "sessions": sessions,
    "recalls": recalls, "sensitivity": sensitivity, "episodes": episodes,
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
