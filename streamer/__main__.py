"""``python -m streamer``: the same as ``streamer``."""

import sys

from streamer.cli import main

sys.exit(main())
