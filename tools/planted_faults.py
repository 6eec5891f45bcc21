"""Plant faults in the code, one after the other, and see whether a test notices each.

    .venv/bin/python tools/planted_faults.py      # minutes; in a checkout without changes

Each fault is one that would cost users a row, a voice or their privacy. The file is restored after
the tests of its area have run. The exit code is 1 where a fault survived or could not be planted.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Fault:
    """A piece of code, what takes its place, and the tests that should notice.

    Attributes:
        name: What is wrong then.
        file: Below the root.
        right: Text in the file.
        wrong: Takes its first place.
        tests: Files or folders of tests.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PIPELINE, SINKS = ("tests/pipeline",), ("tests/sinks",)
CROSSTALK = ("tests/audio/test_crosstalk.py",)
LIVE, QUEUE = "streamer/pipeline/live.py", "streamer/pipeline/inference_queue.py"
GATE, LOG = "streamer/audio/crosstalk.py", "streamer/sinks/csv_log.py"
RESET = "            self._queue.put(channel, VoiceReset(self._calls.number))\n"
ACCESS, AHEAD = "streamer/server/access.py", "streamer/server/websocket_protocol.py"
SERVE, BOUNDS = "tests/server/test_serve.py", "tests/server/test_bounds.py"
COMPARED = "hmac.compare_digest(token.text.encode(), given.encode())"
SIGNATURE = "hmac.compare_digest(signature(auth_token, each).encode(), given.encode())"
CALLS, BOARD = ("tests/server/test_calls_at_once.py",), "tests/server/test_wallboard_state.py"
NEW_VOICE = "return classifier.new_adaptation() if"
SHARED_VOICE = "return self._queue.__dict__.setdefault('v', classifier.new_adaptation()) if"
NEW_RULES = "self._alert_engine = AlertEngine(config)"
SHARED_RULES = "self._alert_engine = recorder.__dict__.setdefault('r', AlertEngine(config))"
REDUCER = "streamer/server/wallboard/reducer.py"
LATENCY = "(time.monotonic() - self._captured_at(position)) * 1000"

FAULTS = (
    Fault("rows are not synced", LOG, "try:\n                    os.fsync(file)",
          "try:\n                    pass", SINKS),
    Fault("logs are readable by all", LOG, "OWNER_ONLY = 0o600", "OWNER_ONLY = 0o644", SINKS),
    Fault("a stop waits 0 s", LIVE, "STOP_TIMEOUT_S = 10.0", "STOP_TIMEOUT_S = 0.0", PIPELINE),
    Fault("the reason of a loss stays", LIVE, 'self._capture.loss = ""', "pass", PIPELINE),
    Fault("a voice is not forgotten", "streamer/pipeline/worker.py", "self._adaptation.reset()",
          "pass", PIPELINE),
    Fault("only the first channel's voice is forgotten", LIVE, RESET,
          f"{RESET}            break\n", PIPELINE),
    Fault("latency is always 1 ms", "streamer/pipeline/worker.py", LATENCY, "1.0", PIPELINE),
    Fault("10,000 utterances may wait", QUEUE, "MAX_SEGMENTS = 64", "MAX_SEGMENTS = 10_000",
          ("tests/pipeline/test_inference_queue.py",)),
    Fault("what was embedded ahead is taken for another utterance",
          "streamer/model/embeddings_ahead.py", "pcm.tobytes()", 'b""',
          ("tests/model/test_classifier.py",)),
    Fault("an excerpt outlives its utterance", QUEUE, "self._excerpts.pop(channel, None)", "pass",
          ("tests/pipeline/test_inference_queue.py",)),
    Fault("faint crosstalk is speech", GATE, "EXPLAINED = 0.55", "EXPLAINED = 0.9", CROSSTALK),
    Fault("speech is crosstalk", GATE, "EXPLAINED = 0.55", "EXPLAINED = 0.3", CROSSTALK),
    Fault("crosstalk goes on after a hole", "streamer/pipeline/frontend.py", "self._gate.reset()",
          "pass", CROSSTALK),
    Fault("a hole does not move the position", "streamer/segmentation/segmenter.py",
          "        self._begin += samples\n", "", ("tests/segmentation/test_segmenter.py",)),
    Fault("a configuration that was only found is trusted", "streamer/config/loader.py",
          "key not in TRUSTED_ONLY", "True", ("tests/config",)),
    Fault("every token is right", "streamer/server/access.py", COMPARED, "True",
          ("tests/server/test_security.py",)),
    Fault("every signature of Twilio is right", "streamer/server/protocols/twilio.py", SIGNATURE,
          "True", ("tests/server/test_protocols.py",)),
    Fault("a page of any origin is served", ACCESS, "page != named and", "False and",
          (f"{SERVE}::test_a_page_of_elsewhere_gets_nothing",)),
    Fault("who may view may acknowledge", ACCESS, "role is Role.VIEW and Role.ACKNOWLEDGE in",
          "role is Role.ACKNOWLEDGE and Role.VIEW in",
          ("tests/server/test_security.py::test_each_token_allows_what_it_is_for",)),
    Fault("a stop does not wait for the last rows", "streamer/server/app.py",
          "await self._wait_for_calls(LAST_ROWS_S)", "pass",
          (f"{SERVE}::test_a_stop_loses_no_row",)),
    Fault("a message of any size is taken", "streamer/server/app.py",
          "ws_max_size=limits.message_bytes", "ws_max_size=None",
          (f"{SERVE}::test_what_is_not_allowed_ends_that_connection_alone",)),
    Fault("any number of lines waits for a viewer", "streamer/server/hub.py",
          "self.lines.qsize() < MAX_LINES", "self.lines.qsize() <= MAX_LINES", (BOUNDS,)),
    Fault("a peer is read ahead without end", AHEAD, "1024 * 1024", "1 << 40", (BOUNDS,)),
    Fault("a late answer to a ping cuts a call", AHEAD, "self.ping_timeout = None", "pass",
          (BOUNDS,)),
    Fault("thousands of frames a second are parsed", AHEAD,
          "self._allowed -= len(self.conn.events)", "pass", (BOUNDS,)),
    Fault("answers to pings pile up", AHEAD, "if self.writable.is_set() and", "if", (BOUNDS,)),
    Fault("silent connections keep others out", "streamer/server/sockets.py",
          "oldest = next(iter(self.waiting))", "oldest = next(reversed(self.waiting))", (BOUNDS,)),
    Fault("calls share their voices", "streamer/server/calls.py", NEW_VOICE, SHARED_VOICE, CALLS),
    Fault("calls share their rules and mood", "streamer/pipeline/recorder.py", NEW_RULES,
          SHARED_RULES, CALLS),
    Fault("alerts are forgotten when a peer connects again", REDUCER,
          "alerts=before.alerts if before is not None else (),", "", (BOARD,)),
    Fault("an acknowledgement is forgotten when a peer connects again", REDUCER,
          "alerts=before.alerts if before is not None else (),",
          "alerts=tuple(replace(a, by=None) for a in (before.alerts if before else ())),",
          (BOARD,)),
    Fault("an acknowledgement is not kept in Redis", "streamer/server/hub.py",
          '("rolling", "speech", "server")', '("rolling", "speech", "server", "acknowledged")',
          ("tests/server/test_redis.py",)),
    Fault("a viewer who connects again does not see acknowledgements",
          "streamer/server/wallboard/feed.py", "state = self._shown\n",
          "state = WallboardState()\n", ("tests/server/test_wallboard_page.py",)),
    Fault("the end of an earlier connection ends the call", REDUCER, "    if gone and left:",
          "    if False and left:", (BOARD,)),
    Fault("who calls is shown although it is hidden", "streamer/server/connection.py",
          "if caller and self._hub.shows_callers:", "if caller:",
          (f"{SERVE}::test_who_calls_may_be_hidden",)),
    Fault("a request of Genesys is good twice", "streamer/server/signatures.py",
          "if nonce in self._nonces:", "if False:", ("tests/server/test_signatures.py",)),
    Fault("Retry-After is ignored", "streamer/sinks/notify/webhook.py",
          '_seconds(told.get("Retry-After"))', "None", ("tests/sinks/test_delivery.py",)),
    Fault("silence ends no call", "streamer/analysis/calls.py", "math.inf if gap_s is None else",
          "math.inf if True else", ("tests/analysis/test_calls.py",)),
)  # fmt: skip


def noticed_by(fault: Fault) -> str:
    """The first test that fails with the fault; empty where none does.

    Raises:
        LookupError: The code is not there any more.
    """
    path = ROOT / fault.file
    code = path.read_text(encoding="utf-8")
    if fault.right not in code:
        raise LookupError(f"{fault.file} has no {fault.right!r}")
    path.write_text(code.replace(fault.right, fault.wrong, 1), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *fault.tests]
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no end after {TIMEOUT_S} s"
    finally:
        path.write_text(code, encoding="utf-8")
    failed = [
        line
        for line in done.stdout.splitlines()
        if line.startswith(("FAILED tests", "ERROR tests"))
    ]
    return failed[0].partition(" ")[2].partition(" - ")[0] if failed else ""


def main() -> int:
    """Plant each fault, and print a row of a table."""
    print("| fault | noticed by |\n| --- | --- |")
    survived = 0
    for fault in FAULTS:
        try:
            test = noticed_by(fault)
            result = f"`{test}`" if test else "**nothing**"
        except LookupError as error:
            test, result = "", f"**cannot be planted**: {error}"
        survived += not test
        print(f"| {fault.name} | {result} |", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
