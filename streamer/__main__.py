"""``python -m streamer`` runs the command ``streamer``."""

import sys

from streamer.cli.main import main

sys.exit(main())
