"""Connects streamer to other frameworks; each module needs its own framework alone."""
