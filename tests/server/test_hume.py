"""Hume's own Python library against the running server."""

from collections.abc import Iterator
from itertools import groupby

import hume_expression_measurement as hume
import pytest
from hume_expression_measurement.environment import ExpressionMeasurementClientEnvironment
from serving import Serving, voices

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what it uses

TOKEN = "a-token-of-these-tests"  # noqa: S105 - it opens nothing but a test


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server for all."""
    folder = tmp_path_factory.mktemp("serving")
    (folder / "tokens").write_text(TOKEN)
    serving = Serving(folder, "--token-file", "tokens")
    yield serving
    serving.close()


@pytest.fixture
def client(serving):
    """Its client, which believes to talk to Hume."""
    here = ExpressionMeasurementClientEnvironment(
        base=f"http://127.0.0.1:{serving.port}", production=f"ws://127.0.0.1:{serving.port}"
    )
    return hume.ExpressionMeasurementClient(api_key=TOKEN, environment=here)


def test_its_client_gets_what_it_knows(client):
    """Each message is one of its types: a session, utterances with results, the end."""
    pcm = voices(8)
    with client.audio.connect() as session:
        created = session.recv()
        assert (created.type, created.audio.sample_rate) == ("session.created", 16_000)
        update = hume.AudioSessionUpdate(type="session.update", measurement_timer_ms=1000)
        session.send_audio_session_update(update)
        assert session.recv().measurement_timer_ms == 1000
        session.send_audio_frame(b"odd")
        assert session.recv().code == "invalid_audio_frame"
        for at in range(0, len(pcm), 3200):
            session.send_audio_frame(pcm[at : at + 3200])
        session.send_audio_session_close(hume.SessionClose(type="session.close"))
        got = list(session)
    assert {type(message) for message in got} == {
        hume.UtteranceStart, hume.AudioMeasurementResult, hume.UtteranceEnd, hume.AudioSessionClosed
    }  # fmt: skip
    *heard, closed = got
    assert (closed.reason, closed.received.audio_duration_ms) == ("client_request", 8000)
    heard.sort(key=lambda message: message.utterance_id)  # one may begin before the last result
    utterances = [list(of) for _, of in groupby(heard, lambda message: message.utterance_id)]
    assert len(utterances) == closed.produced.utterances >= 2
    for start, *results, end in utterances:
        assert (start.type, end.type) == ("utterance.start", "utterance.end")
        assert all(result.audio_start_ms == start.audio_start_ms for result in results)
        assert results[-1].audio_end_ms <= end.audio_end_ms + 1000
        found = [score.probability for score in results[-1].expressions]
        assert found == sorted(found, reverse=True)
        assert 0.8 < sum(found) <= 1.001


def test_a_wrong_key_is_refused(serving):
    """As a wrong token is."""
    here = ExpressionMeasurementClientEnvironment(
        base=f"http://127.0.0.1:{serving.port}", production=f"ws://127.0.0.1:{serving.port}"
    )
    wrong = hume.ExpressionMeasurementClient(api_key="wrong", environment=here)
    with pytest.raises(hume.core.api_error.ApiError) as error, wrong.audio.connect():
        pass
    assert error.value.status_code == 403
