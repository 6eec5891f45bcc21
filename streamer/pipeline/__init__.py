"""This package turns PCM into classified utterances, live and offline."""
