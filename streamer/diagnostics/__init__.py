"""Checks whether this machine is ready for streamer, and measures what the analysis costs."""
