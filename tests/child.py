"""Runs ``streamer`` with a scripted model as a process: the real program without torch.

python child.py run --input - --csv rows.csv < pcm
"""

from fakes import FakeModel

from streamer.cli import file, main, run, serve

if __name__ == "__main__":
    run.model_loader = file.model_loader = lambda _config: FakeModel
    serve.model_process_loader = lambda _config: FakeModel
    main.program()
