"""``streamer`` with a scripted model, as a process: the real program, but for torch.

python child.py run --input - --csv rows.csv < pcm
"""

import sys

from fakes import FakeModel

from streamer import cli

if __name__ == "__main__":
    cli._loader = lambda _config: FakeModel
    sys.exit(cli.main())
