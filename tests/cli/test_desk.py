"""A call with two sides, from sound to alert: rows, mood, summary, and who is told."""

import csv
import io
import json
import socket
import time

import numpy as np
import pytest
import soundfile
from batches import analyse
from calls import LEFT, RIGHT, call, said, write_call
from commands import streamer
from fakes import LABELS, FakeModel, ScriptedSource, silence, speech
from hooks import SECRET

from streamer.config import Config
from streamer.diagnostics.check import check_alerts
from streamer.errors import ConfigError, DeliveryError
from streamer.pipeline.live import Pipeline
from streamer.session import LiveSession
from streamer.sinks.lines import JsonLines
from streamer.sinks.notify import delivery
from streamer.sinks.notify.webhook import SIGNATURE, signature
from streamer.types import SAMPLE_RATE, Block, Prediction, SourceInfo

ANGRY = [2, 3]
"""Which of the customer's utterances sound angry to the fake model."""


class Scripted(FakeModel):
    """Hears anger where the customer is told to be angry, and is sure of it."""

    def __init__(self) -> None:
        super().__init__()
        both = call(None)
        angry = [one for one in said() if one.channel == RIGHT]
        self._angry = [
            both[round(one.start * SAMPLE_RATE) : round(one.end * SAMPLE_RATE), 1]
            for one in (angry[number - 1] for number in ANGRY)
        ]

    def classify(self, pcm, adaptation=None, *, learn=False):
        """By what is said, faint crosstalk or not."""
        del adaptation, learn
        heard = "angry" if any(alike(pcm, angry) for angry in self._angry) else "neutral"
        shares = tuple(0.86 if label == heard else 0.02 for label in LABELS)
        mood = -0.8 if heard == "angry" else 0.1
        return Prediction(LABELS, shares, mood=mood, uncertain=False)


def alike(pcm, said_before):
    """Whether a second of speech is in ``pcm``, wherever it begins."""
    probe = said_before[8000:24_000].astype(float)
    size = len(pcm) + len(probe)
    shifted = np.fft.irfft(
        np.fft.rfft(pcm.astype(float), size) * np.fft.rfft(probe, size).conj(), size
    )
    return shifted.max() > 0.8 * (probe @ probe)


def config(url=None, *, analyse=None):
    """Two named channels, and somebody who is told."""
    alerts = {"webhook_url": url, "webhook_secret": SECRET} if url else {}
    audio = {"channels": [LEFT, RIGHT], "analyse": analyse}
    return Config.model_validate({"audio": audio, "alerts": alerts})


def rows(path):
    """The rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_stereo_recording_has_rows_alerts_and_a_summary(tmp_path, serve):
    """Overlaps and crosstalk at -25 dB included; nobody is called about what is long over."""
    server = serve()
    path = write_call(tmp_path / "call.wav")
    out, summary = tmp_path / "rows.csv", tmp_path / "summary.csv"
    assert analyse([path], Scripted, config(server.url), csv=out, summary=summary) == 0

    got = rows(out)
    truth = said()
    assert {row["channel"] for row in got} == {LEFT, RIGHT}
    for row in got:
        start, end = float(row["start_s"]), float(row["end_s"])
        own = [one for one in truth if one.channel == row["channel"]]
        assert any(one.start < end and start < one.end for one in own)
    for name in (LEFT, RIGHT):
        spoken = [one for one in truth if one.channel == name]
        assert len([row for row in got if row["channel"] == name]) == len(spoken)
    alerts = [(row["channel"], row["utterance"], row["alert"]) for row in got if row["alert"]]
    assert alerts == [(RIGHT, str(ANGRY[1]), "angry customer")]

    agent, customer = rows(summary)
    assert (agent["channel"], customer["channel"]) == (LEFT, RIGHT)
    assert (agent["alerts"], customer["alerts"]) == ("0", "1")
    assert float(agent["neutral"]) == 1
    assert 0 < float(customer["angry"]) < 1
    assert float(customer["angry"]) + float(customer["neutral"]) == pytest.approx(1, abs=1e-3)
    assert float(customer["mood"]) < float(agent["mood"]) == pytest.approx(0.1)
    assert (agent["first_alert_s"], float(customer["first_alert_s"]) > 0) == ("", True)
    assert float(agent["talk_share"]) + float(customer["talk_share"]) == pytest.approx(1, abs=1e-3)
    assert float(agent["overlap_s"]) == float(customer["overlap_s"]) > 0
    lasted = sum(float(row["duration_s"]) for row in got if row["channel"] == LEFT)
    assert float(agent["speech_s"]) == pytest.approx(lasted, abs=0.01)
    assert server.requests == []


class Stereo(ScriptedSource):
    """A stereo recording, as fast as it is taken."""

    def __init__(self, pcm) -> None:
        super().__init__(Block(pcm[i : i + 320], time.monotonic()) for i in range(0, len(pcm), 320))
        self._info = SourceInfo("call", SAMPLE_RATE, 2, live=False)


def test_the_same_live_with_lines_of_json_and_one_message(tmp_path, serve, monkeypatch):
    """Moods and alerts follow their utterance; at the end, what each channel came to.

    The server that is told is down at first.
    """
    monkeypatch.setattr(delivery, "BACK_OFF_S", (0.02, 0.05))
    server = serve(*[503] * 6)
    settings = config(server.url)
    file = io.StringIO()
    session = LiveSession(
        Pipeline(Stereo(call(-25)), Scripted, settings),
        settings,
        csv=tmp_path / "rows.csv",
        dashboard=None,
        lines=JsonLines(file),
        duration=None,
    )
    session.run()
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    lines = [line for line in lines if line["event"] not in {"state", "rolling"}]
    (at,) = [index for index, line in enumerate(lines) if line["event"] == "alert"]
    assert [line["event"] for line in lines[at - 2 : at + 1]] == ["utterance", "mood", "alert"]
    utterance, mood, alert = lines[at - 2 : at + 1]
    assert utterance["alert"] == alert["rule"] == "angry customer"
    assert utterance["utterance"] == mood["utterance"] == alert["utterance"] == ANGRY[1]
    assert utterance["channel"] == mood["channel"] == alert["channel"] == RIGHT
    assert mood["mood"] == alert["mood"] < 0
    assert mood["trend"] < 0
    assert [line["channel"] for line in lines if line["event"] == "summary"] == [LEFT, RIGHT]
    assert [line["alerts"] for line in lines[-2:]] == [0, 1]
    assert [row["alert"] for row in rows(tmp_path / "rows.csv") if row["alert"]] == [
        "angry customer"
    ]
    assert "1 alert" in "\n".join(session.summary())
    assert len(server.requests) == 7
    assert all(
        headers[SIGNATURE] == signature(body, SECRET) for _, headers, body in server.requests
    )
    attempts = [json.loads(body) for *_, body in server.requests]
    assert all(attempt.pop("sent_at") for attempt in attempts)
    told = attempts[0]
    assert attempts == [told] * 7
    assert (told["rule"], told["channel"], told["utterance"]) == ("angry customer", RIGHT, ANGRY[1])


def test_what_was_not_delivered_is_said(serve, capsys):
    """On stderr while it runs, else in the summary; the alert itself is there all the same."""
    server = serve(404)
    settings = config(server.url)
    session = LiveSession(
        Pipeline(Stereo(call(-25)), Scripted, settings),
        settings,
        csv=None,
        dashboard=None,
        lines=None,
        duration=None,
    )
    session.run()
    told = capsys.readouterr().err + "\n".join(session.summary())
    assert told.count("not delivered to webhook") == 1
    assert "answered 404" in told
    assert "1 alert" in told
    assert SECRET not in told


def test_a_channel_that_is_switched_off_is_nowhere(tmp_path):
    """No row, no summary, no adaptation: as if it was not there."""
    path = write_call(tmp_path / "call.wav", crosstalk_db=-20)
    out, summary = tmp_path / "rows.csv", tmp_path / "summary.csv"
    analyse([path], Scripted, config(analyse=[RIGHT]), csv=out, summary=summary)
    assert {row["channel"] for row in rows(out)} == {RIGHT}
    assert [row["channel"] for row in rows(summary)] == [RIGHT]
    assert len(rows(out)) == len([one for one in said() if one.channel == RIGHT])


def test_a_stereo_recording_without_names_is_left_and_right(tmp_path, capsys):
    """A mono one stays one; who wants a stereo one mixed says so."""
    stereo, mono = tmp_path / "stereo.wav", tmp_path / "mono.wav"
    left = np.concatenate((silence(0.5), speech(1.0), silence(2.5)))
    right = np.concatenate((silence(2.0, seed=2), speech(1.0, seed=3), silence(1.0, seed=4)))
    soundfile.write(stereo, np.stack((left, right), axis=1), SAMPLE_RATE)
    soundfile.write(mono, left, SAMPLE_RATE)
    analyse([stereo, mono], FakeModel, Config(), csv=tmp_path / "a.csv")
    assert [row["channel"] for row in rows(tmp_path / "a.csv")] == ["left", "right", "mono"]
    assert "left: 1 utterance, " in capsys.readouterr().out
    analyse([stereo], FakeModel, Config(), csv=tmp_path / "b.csv", split=False)
    assert [row["channel"] for row in rows(tmp_path / "b.csv")] == ["mono", "mono"]


@pytest.mark.parametrize(
    ("status", "code", "said_of_it"), [(204, 0, "ok      webhook"), (500, 1, "problem webhook")]
)
def test_check_sends_a_test_alert(tmp_path, serve, status, code, said_of_it):
    """And says what became of it, without the secret."""
    server = serve(status)
    alerts = {"webhook_url": server.url, "webhook_secret": SECRET, "command": ["true"]}
    (tmp_path / "desk.yaml").write_text(json.dumps({"alerts": alerts}))
    command = ("check", "--config", "desk.yaml", "--alert", "angry speaker")
    result = streamer(*command, cwd=tmp_path)
    output = result.stdout.decode()
    assert result.returncode == code, output
    assert said_of_it in output
    assert f"{status}" in output
    assert "ok      command true: exit code 0" in output
    assert SECRET not in output
    ((_, headers, body),) = server.requests
    assert headers[SIGNATURE] == signature(body, SECRET)
    assert json.loads(body)["test"] is True


def test_check_says_which_rules_there_are(tmp_path):
    """And when nobody would be told."""
    result = streamer("check", "--alert", "sad agent", cwd=tmp_path)
    assert result.returncode == 2
    assert b"--alert: got 'sad agent', allowed: angry speaker" in result.stderr
    result = streamer("check", "--alert", "angry speaker", cwd=tmp_path)
    assert result.returncode == 0
    assert b"sent to nobody" in result.stdout


def test_check_names_who_cannot_be_told():
    """The key, what was got, and what is expected."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(DeliveryError, match=f"alerts.webhook_url: got {url}, expected a host that"):
        check_alerts(config(f"{url}/hook"), FakeModel)
    lost = Config.model_validate({"alerts": {"command": ["no-such-program"]}})
    with pytest.raises(DeliveryError, match=r"alerts\.command: got 'no-such-program', expected"):
        check_alerts(lost, FakeModel)
    said = "'angry speaker' watches the only channel; sent to nobody"
    assert check_alerts(Config(), FakeModel) == said


def test_check_names_a_rule_that_can_never_come_true():
    """Before a day is spent waiting for its alert."""
    model = FakeModel()
    model.labels = ("neutral", "happy")
    with pytest.raises(ConfigError, match=r"rule 'angry speaker': got angry, allowed"):
        check_alerts(Config(), lambda: model)
