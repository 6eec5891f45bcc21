"""``python -m streamer`` runs the command ``streamer``."""

from streamer.cli.main import program

program()
