"""The layout changes at these widths, in cells between the margins."""

MARGIN = 1
"""Cells left free on either side of the screen."""

CRAMPED = 24
"""Below this width, the meter is a number alone."""

ROOMY = 50
"""From this width on, the meter has a second number, and the time axis more numbers."""

SPACIOUS = 60 - 2 * MARGIN
"""From this width on, the status line shows the speed."""

MOODY = 62
"""From this width on, a channel of several shows its running mood beside its emotion."""

NARROW = 80 - 2 * MARGIN
"""Below this width, the columns of the table are close together."""

WORDY = 100 - 2 * MARGIN
"""From this width on, the status line has whole words."""

WIDE = 140 - 2 * MARGIN
"""From this width on, the timeline is beside the channel panels."""

VAST = 190 - 2 * MARGIN
"""From this width on, the columns of the table are far apart."""
