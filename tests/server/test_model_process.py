"""A model in a process of its own classifies as it does here, and its end is no riddle."""

import gc
import os
import signal
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from fakes import FakeModel, speech

from streamer.errors import ModelError, StreamerError
from streamer.server.model_process import ModelProcess, _Held
from streamer.types import Excerpt


class CountedModel(FakeModel):
    """Knows how to fail."""

    def classify(self, pcm, adaptation=None, *, learn=False):
        """Fail for nothing at all."""
        if not len(pcm):
            raise ValueError("got nothing")
        return super().classify(pcm, adaptation, learn=learn)

    def embed_ahead(self, pcm):
        """Remember the length."""
        self.ahead = len(pcm)


def _held(held: _Held) -> tuple[int, int]:
    return len(held.streams), len(held.adaptations)


def _ahead(held: _Held) -> int:
    return held.model.ahead


def _pid(held: _Held) -> int:
    del held
    return os.getpid()


def refuse() -> FakeModel:
    """A model that cannot be loaded."""
    raise ModelError("no such model")


@pytest.fixture(scope="module")
def remote() -> Iterator[ModelProcess]:
    """The scripted model, elsewhere."""
    made = ModelProcess(CountedModel)
    made.warm_up()
    yield made
    made.close()


def test_it_classifies_as_the_model_does(remote):
    """Whole utterances, excerpts, and what it learns of a voice."""
    here = FakeModel()
    assert (remote.name, remote.labels) == (here.name, here.labels)
    assert remote.ask(_pid) != os.getpid()
    adaptation = remote.new_adaptation()
    assert adaptation is not None
    stream = remote.open_stream()
    for pcm in (speech(1.0), speech(1.0) // 100):
        assert remote.classify(pcm, adaptation, learn=True) == here.classify(pcm)
        assert stream.classify(Excerpt(1, len(pcm), pcm), adaptation) == here.classify(pcm)
    assert adaptation.utterances == 2
    adaptation.reset()
    assert adaptation.utterances == 0
    remote.embed_ahead(speech(0.5))
    assert remote.ask(_ahead) == len(speech(0.5))


def test_what_nobody_has_any_more_is_forgotten(remote):
    """Calls come and go: so do their voices and streams."""
    gc.collect()
    before = remote.ask(_held)
    kept = [(remote.new_adaptation(), remote.open_stream()) for _ in range(3)]
    assert remote.ask(_held) == tuple(count + 3 for count in before)
    kept.clear()
    gc.collect()
    assert remote.ask(_held) == before


def test_an_error_there_is_one_here(remote):
    """And the next piece is classified."""
    with pytest.raises(ValueError, match="got nothing"):
        remote.classify(np.zeros(0, np.int16))
    assert remote.classify(speech(1.0)).emotion == "angry"


def test_a_model_that_cannot_be_loaded_says_why():
    """As it would here."""
    with pytest.raises(ModelError, match="no such model"):
        ModelProcess(refuse)


def test_signals_for_everybody_do_not_end_it_but_a_kill_is_reported():
    """A service manager stops all processes at once: what is said last is still classified."""
    remote = ModelProcess(partial(FakeModel))
    pid = remote.ask(_pid)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert remote.classify(speech(1.0)).emotion == "angry"
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(StreamerError, match="the model's process ended \\(exit code -9\\)"):
        remote.classify(speech(1.0))
    remote.close()
