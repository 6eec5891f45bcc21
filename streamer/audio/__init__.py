"""This package turns a microphone, a file or a pipe into 16 kHz PCM in a ring buffer."""
