"""Whether this machine is ready for streamer, and what the analysis costs on it."""
