"""This package reads CSV logs: their sessions and utterances, repeats, the figures of calls."""
