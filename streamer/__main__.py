"""``python -m streamer``: the same as ``streamer``."""

import sys

from streamer.cli.main import main

sys.exit(main())
