"""Whatever comes in from outside: the documented errors, and nothing else."""

import importlib.util
import io
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import yaml
from fakes import speech
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.audio.pipe import PipeSource
from streamer.audio.recording import Recording
from streamer.errors import InputError, OutputError
from streamer.sinks.csv_log import CsvLog

ROOT = Path(__file__).parents[2]
FINDS = Path(__file__).parents[1] / "data" / "finds"


def load_fuzzer() -> ModuleType:
    """tools/fuzz.py, whose targets these are."""
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "tools" / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TARGETS = load_fuzzer().TARGETS

quick = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutated(whole: bytes) -> st.SearchStrategy[bytes]:
    """Something with a piece cut out, put in or written over."""

    def change(at: int, length: int, piece: bytes) -> bytes:
        return whole[:at] + piece + whole[at + length :]

    return st.builds(change, st.integers(0, len(whole)), st.integers(0, 64), st.binary(max_size=64))


@pytest.mark.parametrize("path", sorted(FINDS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_stays_mended(tmp_path, path):
    """Each of these once ended in a traceback, a hang or too much memory."""
    TARGETS[path.name.partition("-")[0]](path.read_bytes(), tmp_path)


words = st.text("[]{}:,-?&*!|>'\"#%@ \n\tab01.e~", max_size=60)
shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
keys = st.sampled_from([(section, name) for section, part in shipped.items() for name in part])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
parts = st.sampled_from(["network", "calibration", "speech", "baseline", "labels", "mood"])


@quick
@given(text=words)
def test_no_text_breaks_the_configuration(tmp_path, text):
    """YAML or not."""
    TARGETS["config"](text.encode(), tmp_path)


@quick
@given(key=keys, value=values)
def test_no_value_breaks_the_configuration(tmp_path, key, value):
    """Of any key, of any type."""
    section, name = key
    TARGETS["config"](yaml.safe_dump({section: {name: value}}).encode(), tmp_path)


def test_aliases_blow_nothing_up(tmp_path):
    """A few lines of YAML that stand for a gigabyte: the message about them is short."""
    lines = ["&a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"&{this} [{','.join([f'*{last}'] * 10)}]"
        for last, this in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    value = f"[{','.join(lines)}]"
    for text in (f"audio: {value}", f"audio: {{device: {value}}}", f"alerts: {{rules: {value}}}"):
        TARGETS["config"](text.encode(), tmp_path)


@quick
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_log(tmp_path, data):
    """Read for a report, or appended to."""
    TARGETS["log"](data, tmp_path)


def test_a_file_without_lines_is_not_cut_off(tmp_path):
    """What has no line ends of ours was not written by us."""
    path = tmp_path / "rows.csv"
    content = b"a,b\r1,2\r3,4\r"
    path.write_bytes(content)
    with pytest.raises(OutputError):
        CsvLog(path, ["a", "b"])
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"])
@settings(quick, max_examples=3)  # a few go to ffmpeg, which takes long to start
@given(data=st.data())
def test_no_bytes_break_the_file_reader(tmp_path, kind, data):
    """A recording of any format, damaged anywhere."""
    sound = io.BytesIO()
    soundfile.write(sound, speech(0.1), 16_000, format=kind)
    TARGETS["recording"](data.draw(mutated(sound.getvalue())), tmp_path)


@pytest.mark.parametrize(("rate", "channels"), [(2**31 - 1, 1), (1, 1), (768_000, 65)])
def test_a_header_that_claims_too_much_is_an_error(tmp_path, rate, channels):
    """Rather than the memory that a second of it would take."""
    path = tmp_path / "boast.wav"
    soundfile.write(path, np.zeros((10, channels), np.int16), rate)
    with pytest.raises(InputError, match=f"got {rate} Hz and {channels} channels?, expected 1000"):
        Recording(path)
    with (tmp_path / "pipe").open("w+b") as pipe, pytest.raises(InputError, match="expected 1000"):
        PipeSource(pipe, sample_rate=rate, channels=channels, block_s=0.02)


@quick
@given(
    rate=st.integers(0, 1_000_000),
    channels=st.integers(0, 70),
    body=st.binary(max_size=3000),
)
def test_no_bytes_break_the_pipe(tmp_path, rate, channels, body):
    """Cut anywhere, of any format."""
    TARGETS["pipe"](np.array([rate, channels], np.uint32).tobytes() + body, tmp_path)


@settings(quick, max_examples=6)
@given(data=mutated((ROOT / "models" / "default" / "bundle.json").read_bytes()[:1500]))
def test_no_bytes_break_the_bundle_loader(tmp_path, data):
    """As a manifest, and as weights."""
    TARGETS["bundle"](data, tmp_path)


@settings(quick, max_examples=6)
@given(part=parts, value=values)
def test_no_value_breaks_the_bundle_loader(tmp_path, part, value):
    """In any place of the manifest."""
    TARGETS["bundle"](json.dumps({part: value}, default=str).encode(), tmp_path)


@quick
@given(text=st.text(max_size=40) | st.text("a.:/@[]%?#0123456789x-", max_size=30))
def test_no_address_breaks_the_webhook(tmp_path, text):
    """Neither as configured nor when something is sent there."""
    TARGETS["webhook"](text.encode(errors="replace"), tmp_path)
