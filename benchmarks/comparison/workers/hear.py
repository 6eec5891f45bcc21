"""Classifies recordings with a bundle of streamer: an emotion a line on stdout.

python hear.py BUNDLE LIST
"""

import sys
from pathlib import Path

from streamer import Predictor
from streamer.errors import NoSpeechError


def main() -> None:
    """Classify each recording of LIST, a path a line; print its emotion, or nothing."""
    bundle, asked = sys.argv[1:]
    predictor = Predictor(bundle)
    for path in Path(asked).read_text().splitlines():
        try:
            print(predictor.predict(path), flush=True)
        except NoSpeechError:
            print(flush=True)


if __name__ == "__main__":
    main()
