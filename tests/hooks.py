"""Runs a real HTTP server on the loopback, for webhooks."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "not to be seen"  # noqa: S105 - it is the tests' own

PATIENCE_S = 20.0
"""How long a test waits for what has to happen; nothing is measured by it."""


class Server:
    """A real HTTP server on the loopback; each request is answered by the next in ``answers``.

    An answer is a status, also with headers, or an event to be waited for; after the last one, 204.
    """

    def __init__(self, *answers: int | tuple[int, dict[str, str]] | threading.Event) -> None:
        self.requests = []
        self.came = threading.Semaphore(0)
        self._answers = iter(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                answer = next(outer._answers, 204)
                outer.came.release()
                if isinstance(answer, threading.Event):
                    answer.wait(PATIENCE_S)
                    answer = 204
                answer, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(answer)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Keep stderr clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?key=private"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def wait(self, count=1):
        """Wait for a number of further requests."""
        for _ in range(count):
            assert self.came.acquire(timeout=PATIENCE_S)

    def close(self):
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
