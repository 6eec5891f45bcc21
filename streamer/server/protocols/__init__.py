"""Codecs convert the messages of each protocol to and from dataclasses, without any I/O."""
