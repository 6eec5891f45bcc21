"""The encoder: padding is not heard, and a piece that goes on sees what came before it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.model.encoder import LEAD_FRAMES, LOOK_BACK, Encoder, NetworkShape, pool

SMALL = NetworkShape(mels=8, width=16, heads=2, blocks=2, full_rate=1, positions=150, labels=3)


def small_encoder(seed: int = 0) -> Encoder:
    """One that is quick, with every weight far from zero."""
    torch.manual_seed(seed)
    encoder = Encoder(SMALL).eval().requires_grad_(requires_grad=False)
    for parameter in encoder.parameters():
        parameter.normal_(std=0.3)
    return encoder


def noise(frames: int, seed: int = 0, batch: int = 1) -> torch.Tensor:
    """Shape (batch, mels, frames)."""
    return torch.randn(batch, SMALL.mels, frames, generator=torch.Generator().manual_seed(seed))


ENCODER = small_encoder()


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=4))
def test_padding_is_not_heard(lengths: list[int]):
    """A padded batch gives what each of its rows gives alone."""
    frames = torch.tensor(lengths)
    mel = noise(max(lengths), batch=len(lengths))
    together = ENCODER(mel, frames=frames)
    pooled = pool(together, ENCODER.lengths(frames))
    assert all(torch.isfinite(output).all() for output in together)
    for row, length in enumerate(lengths):
        alone = ENCODER(mel[row : row + 1, :, :length])
        for got, expected in zip(together, alone, strict=True):
            cut = got[row : row + 1, : expected.shape[1]]
            torch.testing.assert_close(cut, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pooled[row : row + 1], pool(alone), rtol=1e-4, atol=1e-4)


def test_the_first_piece_is_all_there_is():
    """Without a past, as if it were the whole."""
    mel = noise(61)
    for got, expected in zip(ENCODER.proceed(mel, None)[0], ENCODER(mel), strict=True):
        torch.testing.assert_close(got, expected)


def test_a_piece_goes_on_where_another_ended():
    """In the first block, but for the last state of the first piece, which saw an end."""
    mel = noise(80)
    _, past = ENCODER.proceed(mel[..., :40], None)
    outputs, past = ENCODER.proceed(mel[..., 40 - LEAD_FRAMES :], past)
    assert past.states == 40
    expected = ENCODER(mel)
    torch.testing.assert_close(outputs[0], expected[0][:, 20:], rtol=0.1, atol=0.1)
    alone = ENCODER(mel[..., 40:])
    assert (outputs[0] - expected[0][:, 20:]).norm() < 0.3 * (alone[0] - expected[0][:, 20:]).norm()


@settings(max_examples=20, deadline=None)
@given(states=st.integers(1, 70))
def test_above_the_full_rate_two_become_one(states: int):
    """Each block there sees the means of neighbours; an odd last one stays alone."""
    below, above = ENCODER(noise(2 * states))
    assert [below.shape[1], above.shape[1]] == ENCODER.lengths(2 * states)
    means = [below[:, i : i + 2].mean(dim=1) for i in range(0, states, 2)]
    expected, _ = ENCODER.blocks[1](torch.stack(means, dim=1))
    torch.testing.assert_close(above, expected)


@pytest.mark.parametrize("newest", [0, 7])
def test_what_is_still_to_come_can_be_taken_back(newest: int):
    """The past of a longer piece, shortened, is as good as that of the piece alone."""
    mel = noise(2 * (LOOK_BACK + 20))
    _, past = ENCODER.proceed(mel, None)
    past = past.without(newest)
    assert past.states == LOOK_BACK + 20 - newest
    keys, values = past.seen[0]
    assert keys.shape[2] == values.shape[2] == LOOK_BACK
    whole, _ = ENCODER.blocks[0].attn(torch.zeros(1, 1, 16))[1]
    assert keys.shape[1] == whole.shape[1]
    embedded = ENCODER.proceed(mel, None)[1].seen[0][0]
    torch.testing.assert_close(keys, embedded[:, :, 20 - newest : LOOK_BACK + 20 - newest])
    merged, _ = past.seen[1]
    assert merged.shape[2] == LOOK_BACK // 2


def test_pooling_takes_means_and_deviations():
    """Of each block in turn, as anybody would compute them."""
    outputs = [torch.randn(2, 9, 4), torch.randn(2, 9, 4)]
    expected = [f for o in outputs for f in (o.mean(dim=1), o.std(dim=1, correction=0))]
    torch.testing.assert_close(pool(outputs), torch.cat(expected, dim=-1))


@pytest.mark.parametrize("lengths", [None, [torch.tensor([1])]])
def test_no_deviation_has_a_gradient(lengths: list[torch.Tensor] | None):
    """Of nothing, not of infinity: one position alone deviates from nothing."""
    output = torch.ones(1, 1 if lengths is None else 3, 4, requires_grad=True)
    pool([output], lengths).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
