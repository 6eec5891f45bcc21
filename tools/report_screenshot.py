"""Takes the picture of the report: ``python tools/report_screenshot.py`` writes docs/report.png.

Nothing in it is made up: the bundled recording is classified by the real model, and the picture
is the top of the page that ``streamer report`` makes of it, as chromium shows it.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from streamer.audio.demo import DEMO
from streamer.cli.main import main

FOLDER = Path(__file__).parent.parent
SIZE = (1180, 1180)
COLOURS = 128
"""So many are enough for a page this calm, and make a small file."""

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def take() -> None:
    """Classify, report, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER / "docs" / "report.png")
    options = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("no chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording = shutil.copy(DEMO, folder / "the bundled recording.flac")
        log, page, picture = (folder / name for name in ("log.csv", "page.html", "picture.png"))
        failed = main(["file", str(recording), "--csv", str(log)])
        # the recording's own name, not that of a folder which is gone by then
        log.write_text(log.read_text(encoding="utf-8").replace(f"{folder}/", ""), encoding="utf-8")
        if failed or main(["report", str(log), "-o", str(page)]):
            raise SystemExit("there is no page to be shown")
        window = f"--window-size={SIZE[0]},{SIZE[1]}"
        subprocess.run(  # noqa: S603 - a browser, and a page of our own
            [
                *(browser, *FLAGS, window, f"--user-data-dir={folder / 'profile'}"),
                *(f"--screenshot={picture}", page.as_uri()),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        Image.open(picture).convert("RGB").quantize(COLOURS).save(options.to, optimize=True)
    print(options.to)


if __name__ == "__main__":
    take()
