"""Widths at which the layout changes, in cells between the margins."""

MARGIN = 1
"""Left free on either side of the screen."""

CRAMPED = 24
"""Below, the meter has a number and nothing else."""

ROOMY = 50
"""From here on the meter has a second number, and the time axis more of them."""

SPACIOUS = 60 - 2 * MARGIN
"""From here on the status says how fast it runs."""

MOODY = 62
"""From here on a channel of several has its running mood beside its verdict."""

NARROW = 80 - 2 * MARGIN
"""Below, the table's columns stand close together."""

WORDY = 100 - 2 * MARGIN
"""From here on the status is spelt out."""

WIDE = 140 - 2 * MARGIN
"""From here on the timeline stands beside the channel panels."""

VAST = 190 - 2 * MARGIN
"""From here on the table's columns stand far apart."""
