"""Exports, each opened by a library that others use for its format."""

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamer.cli import export as command
from streamer.cli.main import main
from streamer.errors import ConfigError, InputError, OutputError
from streamer.export.export import FORMATS, TABLES, export
from streamer.sinks.csv_log import CsvLog
from streamer.sinks.row import Session, columns, mark_row, row
from streamer.types import EMOTIONS, EndReason, Mark, Prediction, Utterance

EPOCH = 1_700_000_000.0


def heard(emotion: str, confidence: float, *, uncertain: bool = False) -> Prediction:
    """A prediction."""
    rest = (1 - confidence) / 7
    probabilities = tuple(confidence if name == emotion else rest for name in EMOTIONS)
    return Prediction(EMOTIONS, probabilities, -0.5, uncertain=uncertain)


def utterance(  # noqa: PLR0913 - a row
    channel, number, start_s, end_s, prediction, *, alerts=()
):
    """One that ended in silence."""
    start, end = int(16_000 * start_s), int(16_000 * end_s)
    return Utterance(
        number, channel, start, end, prediction, -20.0, EndReason.SILENCE, 431.0, 1.0, alerts=alerts
    )


UTTERANCES = (
    utterance("agent", 1, 0.5, 2.25, heard("calm", 0.8)),
    utterance("customer", 1, 1.5, 4.0, heard("angry", 0.91), alerts=("angry customer",)),
    utterance("agent", 2, 4.5, 6.0, heard("sad", 0.3, uncertain=True)),
    utterance("customer", 2, 3661.002, 3662.0, None),
)


@pytest.fixture
def log(tmp_path) -> Path:
    """A call with two channels and a mark, written as streamer writes it."""
    path = tmp_path / "calls.csv"
    session = Session("20231114T221320-abc", "calls/first call.wav", "default", EMOTIONS, EPOCH)
    with CsvLog(path, columns(EMOTIONS)) as rows:
        for one in UTTERANCES:
            rows.add(row(one, session))
        rows.add(mark_row(Mark(1, 16_000 * 3, 'said "no" <b>&'), session))
    return path


def names(folder: Path) -> list[str]:
    """The files of a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_srt(log, tmp_path):
    """Is parsed, cue by cue, a file for each channel."""
    import srt

    exported = export([log], "srt", tmp_path / "out")
    assert names(tmp_path / "out") == ["first call-agent.srt", "first call-customer.srt"]
    agent, customer = (list(srt.parse(file.read_text("utf-8"))) for file in exported.files)
    assert [cue.content for cue in agent] == ["calm 80 %", "uncertain (sad 30 %)"]
    assert [cue.content for cue in customer] == [
        "angry 91 % · alert: angry customer",
        "unclassified",
    ]
    assert customer[1].start.total_seconds() == pytest.approx(3661.002)
    assert customer[1].end.total_seconds() == pytest.approx(3662.0)


def test_webvtt(log, tmp_path):
    """Is parsed, cue by cue."""
    import webvtt

    exported = export([log], "vtt", tmp_path / "out")
    cues = list(webvtt.read(str(exported.files[1])))
    assert [cue.text for cue in cues] == ["angry 91 % · alert: angry customer", "unclassified"]
    assert (cues[1].start, cues[1].end) == ("01:01:01.002", "01:01:02.000")


def test_textgrid(log, tmp_path):
    """One for the session: bare emotions and details for each channel, marks as points."""
    from praatio import textgrid

    (path,) = export([log], "textgrid", tmp_path / "call.TextGrid").files
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="error")
    assert grid.tierNames == (
        "agent", "agent details", "customer", "customer details", "marks",
    )  # fmt: skip
    assert [tuple(entry) for entry in grid.getTier("agent").entries] == [
        (0.5, 2.25, "calm"),
        (4.5, 6.0, "uncertain"),
    ]
    assert tuple(grid.getTier("customer").entries[1]) == (3661.002, 3662.0, "unclassified")
    # praatio leaves quotes doubled, as Praat writes them
    assert [tuple(entry) for entry in grid.getTier("marks").entries] == [(3.0, 'said ""no"" <b>&')]
    assert grid.maxTimestamp == 3662.0


def test_praat_itself_opens_a_textgrid(log, tmp_path):
    """Parselmouth is Praat, as a library."""
    import parselmouth
    from parselmouth.praat import call as praat

    (path,) = export([log], "textgrid", tmp_path / "call.TextGrid").files
    grid = parselmouth.read(str(path))
    tiers = [praat(grid, "Get tier name", tier) for tier in range(1, 6)]
    assert tiers == ["agent", "agent details", "customer", "customer details", "marks"]
    labels = [praat(grid, "Get label of interval", 1, number) for number in range(1, 6)]
    assert labels == ["", "calm", "", "uncertain", ""]
    assert praat(grid, "Get end time of interval", 1, 2) == pytest.approx(2.25)
    assert praat(grid, "Get label of point", 5, 1) == 'said "no" <b>&'
    assert grid.xmax == pytest.approx(3662.0)


def test_elan(log, tmp_path):
    """Channels become tiers in whole milliseconds, marks too."""
    import pympi

    (path,) = export([log], "elan", tmp_path / "out").files
    assert path.name == "first call.eaf"
    eaf = pympi.Elan.Eaf(str(path))
    assert set(eaf.get_tier_names()) == {
        "agent", "agent details", "customer", "customer details", "marks",
    }  # fmt: skip
    assert eaf.get_annotation_data_for_tier("agent") == [
        (500, 2250, "calm"),
        (4500, 6000, "uncertain"),
    ]
    assert eaf.get_annotation_data_for_tier("marks") == [(3000, 3100, 'said "no" <b>&')]


def test_elan_knows_where_the_recording_is(tmp_path):
    """So that it plays at once."""
    import pympi

    recording = tmp_path / "one.wav"
    recording.write_bytes(b"")
    with CsvLog(tmp_path / "log.csv", columns(EMOTIONS)) as rows:
        rows.add(row(UTTERANCES[0], Session("s", str(recording), "default", EMOTIONS, None)))
    (path,) = export([tmp_path / "log.csv"], "elan", tmp_path / "out").files
    (media,) = pympi.Elan.Eaf(str(path)).media_descriptors
    assert media["MEDIA_URL"] == recording.resolve().as_uri()


def test_audacity(log, tmp_path):
    """A table of begin, end and text, as the manual of Audacity has it; a mark is a point."""
    import pandas as pd

    exported = export([log], "audacity", tmp_path / "out")
    table = pd.read_csv(
        exported.files[0], sep="\t", header=None, names=["start", "end", "text"], quoting=3
    )
    assert table.to_numpy().tolist() == [
        [0.5, 2.25, "calm 80 %"],
        [3.0, 3.0, 'mark: said "no" <b>&'],
        [4.5, 6.0, "uncertain (sad 30 %)"],
    ]


@pytest.mark.filterwarnings("ignore")  # what crowsetta imports warns where PySpark is installed
def test_crowsetta_reads_labels_of_audacity(log, tmp_path):
    """Times and texts; a mark is as short as can be."""
    import crowsetta

    exported = export([log], "audacity", tmp_path / "out")
    labels = crowsetta.formats.seq.AudSeq.from_file(exported.files[0]).to_annot().seq
    assert labels.labels.tolist() == ["calm 80 %", 'mark: said "no" <b>&', "uncertain (sad 30 %)"]
    assert labels.onsets_s.tolist() == [0.5, 3.0, 4.5]
    assert labels.offsets_s.tolist() == [2.25, 3.0, 6.0]


def test_pyannote_reads_rttm(log, tmp_path):
    """With the emotion as the label of each turn."""
    from pyannote.database.util import load_rttm

    (path,) = export([log], "rttm", tmp_path / "out").files
    turns = load_rttm(path)["first_call"]
    assert [
        (round(turn.start, 3), round(turn.end, 3), label)
        for turn, _, label in turns.itertracks(yield_label=True)
    ] == [
        (0.5, 2.25, "calm"),
        (1.5, 4.0, "angry"),
        (4.5, 6.0, "uncertain"),
        (3661.002, 3662.0, "unclassified"),
    ]


def test_duckdb_queries_parquet(log, tmp_path):
    """As the documentation has it."""
    import duckdb

    (path,) = export([log], "parquet", tmp_path / "emotions.parquet").files
    found = duckdb.sql(
        f"select channel, count(*), avg(mood) from '{path}' where not uncertain "  # noqa: S608 - ours
        "and emotion is not null group by channel order by 1"
    ).fetchall()
    assert found == [("agent", 1, -0.5), ("customer", 1, -0.5)]


def test_rttm(log, tmp_path):
    """Ten fields between blanks, read as pyannote reads them; a name has no blanks."""
    import pandas as pd

    (path,) = export([log], "rttm", tmp_path / "out").files
    fields = ["type", "uri", "channel", "start", "length", "a", "b", "name", "confidence", "c"]
    table = pd.read_csv(path, sep=" ", header=None, names=fields, keep_default_na=False)
    assert table[["type", "uri"]].drop_duplicates().to_numpy().tolist() == [
        ["SPEAKER", "first_call"]
    ]
    assert table[["channel", "start", "length", "name"]].to_numpy().tolist() == [
        [1, 0.5, 1.75, "calm"],
        [2, 1.5, 2.5, "angry"],
        [1, 4.5, 1.5, "uncertain"],
        [2, 3661.002, 0.998, "unclassified"],
    ]


def test_parquet_has_what_the_csv_has(log, tmp_path):
    """Typed, marks included, two logs in one table."""
    from pyarrow import parquet

    other = tmp_path / "b.csv"
    other.write_bytes(log.read_bytes().replace(b"-abc,", b"-def,"))
    (path,) = export([log, other, log], "parquet", tmp_path / "all.parquet").files
    table = parquet.read_table(path)
    assert table.column_names == [*columns(EMOTIONS), "label", "speaker"]
    rows = table.to_pylist()
    with log.open(encoding="utf-8") as file:
        written = sorted(csv.DictReader(file), key=lambda cells: float(cells["start_s"]))
    assert len(rows) == 2 * len(written) == 10
    for got, cells in zip(rows, written, strict=False):
        for name, text in cells.items():
            value = got[name]
            match value:
                case None:
                    assert text == ""
                case bool():
                    assert text == str(value).lower()
                case float() | int():
                    assert value == float(text)
                case datetime():
                    assert value == datetime.fromisoformat(text).astimezone(UTC)
                case _:
                    assert value == text


def test_calls_are_a_row_for_each_channel(log, tmp_path):
    """With the figures of the call."""
    from pyarrow import parquet

    (path,) = export([log], "calls", tmp_path).files
    assert path.name == "call-figures.parquet"
    agent, customer = parquet.read_table(path).to_pylist()
    assert (agent["channel"], customer["channel"]) == ("agent", "customer")
    assert agent["talk_s"] == pytest.approx(3.25)
    assert agent["overlap_s"] == customer["overlap_s"] == pytest.approx(0.75)
    assert (agent["interruptions"], customer["interruptions"]) == (0, 1)
    assert (agent["first_alert_s"], customer["first_alert_s"]) == (None, pytest.approx(3.5))
    assert (customer["alerts"], customer["mood_end"]) == (1, -0.5)


@pytest.mark.parametrize("to", [*FORMATS, *TABLES])
def test_nothing_is_replaced_unasked(log, tmp_path, to):
    """A file that somebody went on editing stays; asked to, it is replaced."""
    folder = tmp_path / "out"
    (first, *_) = export([log], to, folder).files
    first.write_text("edited")
    with pytest.raises(OutputError, match="--replace"):
        export([log], to, folder)
    assert first.read_text() == "edited"
    export([log], to, folder, replace=True)
    assert first.read_bytes() != b"edited"
    assert not [path for path in folder.iterdir() if not path.suffix[1:].isalpha()]  # drafts


def test_one_file_is_not_enough_for_two_channels(log, tmp_path):
    """The error says what to do instead, and nothing is there."""
    with pytest.raises(ConfigError, match="name a folder"):
        export([log], "srt", tmp_path / "call.srt")
    assert not (tmp_path / "call.srt").exists()


def test_recordings_of_one_name_get_files_of_their_own(tmp_path):
    """From several folders, and sessions without a recording by their id."""
    with CsvLog(tmp_path / "log.csv", columns(EMOTIONS)) as rows:
        for number, source in enumerate(["a/x.wav", "b/X.wav", "C:\\c\\x.wav", "USB Mic 2.0"]):
            rows.add(row(UTTERANCES[0], Session(f"s{number}", source, "default", EMOTIONS, None)))
    export([tmp_path / "log.csv"], "vtt", tmp_path / "out")
    assert names(tmp_path / "out") == ["X-s1.vtt", "s3.vtt", "x-s2.vtt", "x.vtt"]


def test_utterances_that_overlap_get_tiers_of_their_own(tmp_path):
    """As in a log whose times somebody edited: nothing is lost, and Praat opens it."""
    from praatio import textgrid

    with CsvLog(tmp_path / "log.csv", columns(EMOTIONS)) as rows:
        session = Session("s", "a.wav", "default", EMOTIONS, None)
        for number, (begin, end) in enumerate([(1, 3), (2, 4), (3, 3)], start=1):
            rows.add(row(utterance("mono", number, begin, end, heard("calm", 0.7)), session))
    (path,) = export([tmp_path / "log.csv"], "textgrid", tmp_path / "out").files
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False, reportingMode="error")
    assert [tuple(entry) for entry in grid.getTier("mono").entries] == [
        (1.0, 3.0, "calm"),
        (3.0, 3.001, "calm"),
    ]
    assert [tuple(entry) for entry in grid.getTier("mono 2").entries] == [(2.0, 4.0, "calm")]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("a", "a details"), ["a", "a details", "a details 2", "a details details"]),
        (("", "channel"), ["channel", "channel 2", "channel details", "channel details 2"]),
        (("marks",), ["marks", "marks 2", "marks details"]),
    ],
)
@pytest.mark.parametrize("to", ["elan", "textgrid"])
def test_no_two_tiers_have_one_name(tmp_path, to, channels, expected):
    """Whatever the channels are called: ELAN's schema forbids it (EAF 3.0, tierNameKey)."""
    with CsvLog(tmp_path / "log.csv", columns(EMOTIONS)) as rows:
        session = Session("s", "a.wav", "default", EMOTIONS, None)
        for number, channel in enumerate(channels, start=1):
            rows.add(row(utterance(channel, number, 1, 3, heard("calm", 0.7)), session))
        if channels == ("marks",):
            rows.add(mark_row(Mark(1, 16_000, "now"), session))
    (path,) = export([tmp_path / "log.csv"], to, tmp_path / "out").files
    pattern = 'TIER_ID="(.*?)"' if to == "elan" else ' {8}name = "(.*?)"'
    assert sorted(re.findall(pattern, path.read_text("utf-8"))) == expected


def test_a_bad_log_stops_no_other(log, tmp_path, capsys):
    """It is named, and the exit code says so."""
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    out = tmp_path / "out"
    assert main(["export", str(bad), str(log), "--to", "rttm", "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert "bad.csv: is no log" in shown.err
    assert shown.out.strip() == str(out / "first call.rttm")
    with pytest.raises(InputError, match="is no log"):
        export([bad], "parquet", out)
    assert names(out) == ["first call.rttm"]


@pytest.mark.parametrize("to", [*FORMATS, *TABLES])
def test_a_day_without_calls_is_no_error(log, tmp_path, capsys, to):
    """A table has no rows; there is nothing to label. Other logs are exported as ever."""
    from pyarrow import parquet

    silent = tmp_path / "silent.csv"
    silent.write_text(",".join(columns(EMOTIONS)) + "\n")
    out = tmp_path / "out"
    one = tmp_path / f"one{Path(TABLES[to]).suffix if to in TABLES else FORMATS[to].suffix}"
    for target in (out, one):
        assert main(["export", str(silent), "--to", to, "--out", str(target)]) == 0
        shown = capsys.readouterr()
        assert shown.err == f"streamer: {silent}: holds no utterance\n"
        assert [*map(str, out.iterdir() if target == out else [])] == (
            shown.out.split() if target == out else []
        )
    assert one.exists() == (to in TABLES)
    if to in TABLES:
        assert parquet.read_table(one).num_rows == 0
    exported = export([silent, log], to, out, replace=True)
    assert (exported.unread, exported.silent) == (0, [silent])
    assert exported.files


def test_the_command_knows_all_formats():
    """It lists them itself, so that its help needs no imports."""
    assert set(command.FORMATS) == {*FORMATS, *TABLES}
