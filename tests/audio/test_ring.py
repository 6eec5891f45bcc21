"""The ring keeps what it can, in order, and counts what it cannot."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamer.audio.ring import RingBuffer


def counted(start: int, samples: int) -> np.ndarray:
    """Samples that say their own position, shape (samples, 1)."""
    return (np.arange(start, start + samples) % 32_000).astype(np.int16)[:, np.newaxis]


@given(
    capacity=st.integers(1, 50),
    steps=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 5), st.booleans()), max_size=30),
)
def test_every_sample_is_read_once_or_reported_lost(capacity, steps):
    """Whatever the sizes: positions are true, order is kept, nothing vanishes unreported."""
    ring = RingBuffer(capacity, 1)
    chunks = []
    position = 0
    for samples, hole, read in steps:
        position += hole
        ring.write(counted(position, samples), lost=hole)
        position += samples
        assert ring.position == position
        while read and (chunk := ring.read(0)):
            chunks.append(chunk)
    ring.close()
    while chunk := ring.read(0):
        chunks.append(chunk)
    assert ring.ended
    expected = 0
    for chunk in chunks:
        assert chunk.start == expected + chunk.lost
        assert (chunk.pcm == counted(chunk.start, len(chunk.pcm))).all()
        expected = chunk.start + len(chunk.pcm)
    assert expected <= position  # a hole with nothing after it is not yet a gap


def test_a_fast_writer_overwrites_the_oldest():
    """The newest samples survive; one overrun is counted."""
    ring = RingBuffer(100, 2)
    ring.write(np.zeros((80, 2), np.int16))
    ring.write(np.ones((80, 2), np.int16))
    chunk = ring.read(0)
    assert chunk is not None
    assert (chunk.start, chunk.lost, len(chunk.pcm)) == (60, 60, 100)
    assert ring.overruns == 1
    assert chunk.pcm[-80:].all()


def test_a_reader_gets_a_copy():
    """What was read does not change when the ring wraps."""
    ring = RingBuffer(10, 1)
    ring.write(counted(0, 10))
    chunk = ring.read(0)
    ring.write(counted(500, 10))
    assert chunk is not None
    assert (chunk.pcm == counted(0, 10)).all()


def test_a_patient_writer_loses_nothing():
    """With wait_for_room a small ring carries any amount."""
    ring = RingBuffer(64, 1)
    heard: list[np.ndarray] = []

    def read() -> None:
        while not ring.ended:
            if chunk := ring.read(0.1):
                heard.append(chunk.pcm)

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 10_000, 50):
        while not ring.wait_for_room(50, 0.1):
            pass
        ring.write(counted(start, 50))
    ring.close()
    reader.join(10)
    assert ring.overruns == 0
    assert (np.concatenate(heard) == counted(0, 10_000)).all()
