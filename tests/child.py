"""Runs ``streamer`` with a scripted model as a process: the real program without torch.

python child.py run --input - --csv rows.csv < pcm
"""

import sys

from fakes import FakeModel

from streamer.cli import file, main, run, serve

if __name__ == "__main__":
    run.model_loader = file.model_loader = lambda _config: FakeModel
    serve.model_process_loader = lambda _config: FakeModel
    sys.exit(main.main())
