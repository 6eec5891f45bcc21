"""Write the API reference, as HTML, from the docstrings of the public modules.

.venv/bin/python tools/api_reference.py build/docs      # make docs
"""

import sys
from pathlib import Path

import streamer

try:
    import pdoc
except ImportError:
    sys.exit("pdoc is not installed, which makes the reference: pip install --editable '.[docs]'")

PUBLIC = ("streamer", "streamer.events", "streamer.types", "streamer.errors")
"""What a user may import. Everything else is internal and may change with any version."""


def write(folder: Path) -> None:
    """Write the reference into a folder, which is made."""
    for name in streamer.__all__:
        setattr(streamer, name, getattr(streamer, name))  # pdoc sees no lazy names
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*PUBLIC, r"!streamer\.(?!types|errors)", output_directory=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
