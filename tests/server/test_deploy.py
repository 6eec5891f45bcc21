"""What deploy/ holds: each name in it exists, and what can be started here is."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import streamer
from processes import needed

from streamer.cli.main import COMMANDS, command_parser
from streamer.server.hub import Hub

DEPLOY = Path(__file__).parents[2] / "deploy"


def metrics():
    """The names of all that /metrics shows of a server that publishes."""
    hub = Hub("s", lambda: 0, lambda: 0)
    for name in ("streamer_publish_waiting", "streamer_publish_lost"):
        hub.gauge(name, "As the server does.", lambda: 0)
    return set(re.findall(r"^(streamer_\w+)", hub.metrics().decode(), re.MULTILINE))


def test_the_dashboard_of_grafana_names_metrics_that_exist():
    """And shows each of them; its panels have different ids and overlap nowhere."""
    board = json.loads((DEPLOY / "grafana.json").read_text())
    asked = " ".join(t["expr"] for panel in board["panels"] for t in panel["targets"])
    named = set(re.findall(r"streamer_\w+", asked))
    assert named <= metrics()
    shown = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in named}
    there = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in metrics()}
    assert shown == there
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    cells = [
        (x, y)
        for panel in board["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_the_publisher_is_measured_as_the_dashboard_expects():
    """The server names the same two figures as this file."""
    source = (Path(__file__).parents[2] / "streamer/server/background_jobs.py").read_text()
    assert set(re.findall(r"streamer_publish_\w+", source)) <= metrics()


def commands():
    """The command lines in the compose file and the units, with their environment."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        if service["image"] == "streamer":
            yield name, shlex.split(service["command"]), service.get("environment", {})
    for unit in DEPLOY.glob("*.service"):
        text = unit.read_text().replace("\\\n", " ")
        argv = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1])[1:]
        set_ = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
        yield unit.name, argv, dict(set_)


def test_companies_get_the_model_that_they_may_use():
    """What analyses calls here takes the model that is for commercial use."""
    models = {
        n: e.get("STREAMER_MODEL_NAME") for n, argv, e in commands() if argv[0] != "wallboard"
    }
    assert models
    assert set(models.values()) == {"open"}, models


@pytest.mark.parametrize(("name", "argv", "environment"), list(commands()))
def test_each_command_is_one_that_the_program_takes(name, argv, environment):
    """No flag in the folder is misspelt."""
    del name, environment
    assert command_parser(COMMANDS[argv[0]]).parse_args(argv[1:])


@pytest.mark.parametrize(
    ("name", "argv", "environment"), [c for c in commands() if c[1][0] != "wallboard"]
)
def test_each_command_gets_as_far_as_its_model(name, argv, environment, tmp_path):
    """So its settings fit together; a model that is not there ends it (exit code 4)."""
    del name
    (tmp_path / "tokens").write_text("0123456789abcdef\n")
    here = {"/run/secrets": tmp_path, "%d": tmp_path, "%S/streamer": tmp_path, "/data": tmp_path}
    for there, folder in here.items():
        argv = [arg.replace(there, str(folder)) for arg in argv]
    argv = ["127.0.0.1:0" if re.fullmatch(r"[\d.]+:8765", arg) else arg for arg in argv]
    environment = {**environment, "HOME": str(tmp_path), "STREAMER_MODEL_NAME": "nothing"}
    (tmp_path / "redis").write_text("secret\n")
    done = streamer(*argv, cwd=tmp_path, env=environment)
    assert (done.returncode, b"nothing" in done.stderr) == (4, True), done.stderr


def test_the_units_are_what_systemd_takes():
    """As systemd itself says, but for programs that are not installed here."""
    for unit in DEPLOY.glob("*.service"):
        done = subprocess.run(
            [needed("systemd-analyze"), "verify", unit],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if unit.name in line]
        assert [line for line in said if "is not executable" not in line] == []


def calls_with_tls(folder):
    """Where HAProxy takes calls with TLS, as compose.tls.yaml says it; the certificate is made."""
    compose = yaml.safe_load((DEPLOY / "compose.tls.yaml").read_text())
    name = Path(compose["secrets"]["cert.pem"]["file"]).name
    made, key = folder / name, folder / "key.pem"
    subprocess.run(
        [
            *(needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost", "-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return compose["services"]["haproxy"]["environment"]["CALLS"].replace(
        "/run/secrets", str(folder)
    )


@pytest.mark.parametrize("tls", [False, True])
def test_haproxy_takes_its_configuration(tls, tmp_path):
    """As HAProxy itself says; a server whose name is not known yet keeps it from nothing."""
    places = ("CALLS", "SERVER_ONE", "SERVER_TWO", "WALLBOARD")
    env = {name: f"127.0.0.1:{8001 + i}" for i, name in enumerate(places)}
    env["SERVER_TWO"] = "two.invalid:8765"
    if tls:
        env["CALLS"] = calls_with_tls(tmp_path)
    done = subprocess.run(
        [needed("haproxy"), "-c", "-f", DEPLOY / "haproxy.cfg"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
