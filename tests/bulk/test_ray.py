"""On a real Ray cluster of two nodes, one of which is killed: each recording once."""

import os
import threading
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fakes import Deadly, FakeModel, silence, speech

from streamer.bulk.analyse_recording import Analysis, ModelIdentity
from streamer.bulk.ray import Recordings
from streamer.cli import file
from streamer.cli.main import main
from streamer.config import Config
from streamer.types import SAMPLE_RATE

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

SAID = np.concatenate((silence(0.2), speech(0.6), silence(1.0), speech(0.6, seed=3), silence(0.8)))
COUNT = 20
TESTS = Path(__file__).parents[1]


class Slow(FakeModel):
    """Takes a while, so that something can happen meanwhile."""

    def __init__(self) -> None:
        super().__init__(before=lambda: time.sleep(0.1))


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of two logical CPUs each; processes there find the scripted models."""
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: make test-ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join((str(TESTS), str(TESTS / "bulk"))))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else a busy machine gives them nearly no time
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # nobody needs them
        nodes = {"num_cpus": 2, "object_store_memory": 80_000_000, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=nodes)
        try:
            made.add_node(**nodes)
            made.wait_for_nodes()
            ray.init(address=made.address, log_to_driver=False, logging_level="error")
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Twenty recordings, and one that is none; the command has a scripted model."""
    monkeypatch.setattr(file, "model_loader", lambda _config: FakeModel)
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(COUNT):
        soundfile.write(folder / f"{number:02}.wav", np.roll(SAID, 800 * number), SAMPLE_RATE)
    (folder / "torn.wav").write_bytes(b"RIFF")
    return folder


def run(*args: object) -> int:
    """A command; the exit code."""
    return main([str(one) for one in args])


def lines(*parts: Path) -> list[bytes]:
    """The rows of these files, sorted."""
    return sorted(line for part in parts for line in part.read_bytes().splitlines()[1:])


def test_a_node_dies_in_the_middle(cluster, calls, tmp_path, monkeypatch):
    """Its recordings are analysed elsewhere; `file`, joined shards and Ray write the same bytes."""
    expected = tmp_path / "one"
    assert run("file", calls, "--out", expected, "--jobs", 1) == 1
    for number in (1, 2, 3):
        run("file", calls, "--out", tmp_path / "shards", "--shard", f"{number}/3", "--jobs", 1)
    monkeypatch.setattr(file, "model_loader", lambda _config: Slow)
    out = tmp_path / "ray"
    work = out / ".work" / "utterances-00001-of-00001.csv"
    doomed = next(node for node in cluster.list_all_nodes() if not node.is_head())

    def kill():
        while not work.exists() or len(work.read_bytes().splitlines()) < 5:
            time.sleep(0.02)
        cluster.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    assert run("bulk", calls, "--out", out) == 1
    killer.join()
    cluster.add_node(num_cpus=2, object_store_memory=80_000_000)
    for table in ("utterances", "calls"):
        whole = lines(expected / f"{table}-00001-of-00001.csv")
        assert len(whole) == {"utterances": 2, "calls": 1}[table] * COUNT
        assert lines(*(tmp_path / "shards").glob(f"{table}-*.csv")) == whole
        assert lines(out / f"{table}-00001-of-00001.csv") == whole
    sources = [line.split(b",")[-4] for line in work.read_bytes().splitlines()[1:]]
    assert len([*groupby(sources)]) == COUNT  # together


@pytest.mark.usefixtures("cluster")
def test_what_is_done_is_not_done_again(calls, tmp_path, capsys):
    """Whichever command did it, and whoever is told of what failed."""
    import pandas as pd

    out = tmp_path / "out"
    assert run("file", calls / "00.wav", calls / "01.wav", "--out", out) == 0
    capsys.readouterr()
    assert run("bulk", calls, "--out", out, "--format", "parquet") == 1
    err = " ".join(capsys.readouterr().err.split())
    assert f"{COUNT + 1} recordings found, {COUNT - 1} to be analysed" in err
    assert "torn.wav: cannot be read" in err
    assert len(pd.read_parquet(out / "utterances-00001-of-00001.parquet")) == 2 * COUNT


@pytest.mark.usefixtures("cluster")
def test_a_recording_that_ends_processes_costs_itself_alone(calls, tmp_path, monkeypatch):
    """The others of its block have their rows."""
    monkeypatch.setattr(file, "model_loader", lambda _config: Deadly)
    loud = np.where(SAID > 0, 32_000, -32_000).astype(np.int16)
    soundfile.write(calls / "torn.wav", loud, SAMPLE_RATE)
    out = tmp_path / "out"
    assert run("bulk", calls, "--out", out) == 1
    assert len(lines(out / "calls-00001-of-00001.csv")) == COUNT


@pytest.mark.usefixtures("cluster")
def test_too_few_cpus_are_said_early(calls, tmp_path, capsys):
    """An actor waits for ever where there is no logical CPU for it."""
    assert run("bulk", calls, "--out", tmp_path, "--actors", 9) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "logical CPUs, expected 9, one for each actor" in err


def analysis():
    """Of the scripted model."""
    return Analysis(
        load=FakeModel, model=ModelIdentity(FakeModel.name, FakeModel.labels), config=Config()
    )


@pytest.mark.usefixtures("cluster")
def test_the_class_serves_a_pipeline_of_ones_own(calls):
    """With Ray's own reader, bytes and all: a row per recording, its utterances in a list."""
    import ray

    table = (
        ray.data.read_binary_files(str(calls), include_paths=True, override_num_blocks=4)
        .map_batches(
            Recordings, fn_constructor_args=(analysis(),), batch_size=8,
            compute=ray.data.ActorPoolStrategy(size=2),
        ).to_pandas()
    )  # fmt: skip
    assert sorted(table["status"]) == ["done"] * COUNT + ["failed"]
    assert table["utterances"].map(len).sum() == 2 * COUNT


def test_the_class_takes_paths_and_tables_of_pandas(calls):
    """As Spark's mapInPandas gives them."""
    import pandas as pd

    recordings = Recordings(analysis())
    content = (calls / "00.wav").read_bytes()
    table = recordings(pd.DataFrame({"path": ["x.wav", "y.wav"], "bytes": [content, b"RIFF"]}))
    assert table["status"].tolist() == ["done", "failed"]
    assert [len(own) for own in table["utterances"]] == [2, 0]
    assert table["calls"][0][0]["channel"] == "mono"
    assert "y.wav: cannot be read" in table["error"][1]
    table = recordings({"path": np.array([str(calls / "00.wav"), "no.wav"])})
    assert table["status"].to_pylist() == ["done", "failed"]


def test_the_command_needs_ray(monkeypatch, capsys, calls, tmp_path):
    """And says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    assert run("bulk", calls, "--out", tmp_path) == 2
    assert "streamer bulk needs Ray" in capsys.readouterr().err
