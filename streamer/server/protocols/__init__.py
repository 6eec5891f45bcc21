"""Pure codecs: the messages of each protocol, to and from dataclasses. Nothing here does I/O."""
