"""Passes requests on to a web server, and breaks off answers now and then."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BreakingProxy:
    """A server in front of another on this machine; some of its answers end in their middle.

    Args:
        port: Of the other server.
        breaks: One answer of this number ends so, counted over all connections.
    """

    def __init__(self, port: int, breaks: int) -> None:
        self.requests = self.broken = 0
        outer = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                with lock:
                    outer.requests += 1
                    broken = outer.requests % breaks == 0
                    outer.broken += broken
                length = int(self.headers.get("Content-Length") or 0)
                server = http.client.HTTPConnection("127.0.0.1", port)
                server.request(self.command, self.path, self.rfile.read(length), self.headers)
                answer = server.getresponse()
                body = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding"):
                        self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if broken else body)
                server.close()

            do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815 - as the base class has it

            def log_message(self, *_args: object) -> None:
                """Keep stderr clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
