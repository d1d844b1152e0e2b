"""An engine that does what a test tells it: run as a program instead of llama-server.

    python scripted_engine.py --host x.sock [--exit CODE] [--say LINE] [--never-healthy]
                              [--ignore-term] [--refuse-warm-up] [--exit-from N] …

A request's body may hold "script", a word of `_SCRIPTS`. Notes about what happened (a client
that left, starts) go as files into the folder of the socket. Arguments of llama-server that it
does not know are ignored.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

# It is started as a program, without a path to us.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.scripted_answers import ScriptedAnswers

_EVENT = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", required=True)
    parser.add_argument("--exit", type=int, help="exit with this status instead of serving")
    parser.add_argument("--exit-from", type=int, default=1, help="… from this start on")
    parser.add_argument("--say", action="append", default=[], help="print this line at the start")
    parser.add_argument("--never-healthy", action="store_true")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--refuse-warm-up", action="store_true")
    parser.add_argument("--drop-warm-up", action="store_true", help="close instead of answering")
    parser.add_argument("--hang-warm-up", action="store_true", help="never answer, note it")
    parser.add_argument("--mute-health", action="store_true", help='once the file "mute" is there')
    parser.add_argument("--metrics-file", default="", help="what /metrics answers, a file's bytes")
    parser.add_argument("--leave-child", action="store_true", help="start a process that stays")
    parser.add_argument("--slots", type=int, default=2)
    return parser.parse_known_args()[0]


class _Engine(ScriptedAnswers):
    settings: argparse.Namespace
    folder: Path
    carried = -1
    """Requests that the connection has carried before this one."""

    def handle_one_request(self) -> None:
        """Count them."""
        self.carried += 1
        super().handle_one_request()

    def do_GET(self) -> None:  # noqa: N802  # http.server's name
        """Health, properties and metrics."""
        match self.path:
            case "/health" if self.settings.mute_health and (self.folder / "mute").exists():
                self._script_silent({})
            case "/health":
                self.json(503 if self.settings.never_healthy else 200, {"status": "ok"})
            case "/props":
                template = "{{ messages }}"
                self.json(200, {"total_slots": self.settings.slots, "chat_template": template})
            case "/metrics":
                text = b"# TYPE llamacpp:n gauge\nllamacpp:n 1\n"
                if self.settings.metrics_file:
                    text = Path(self.settings.metrics_file).read_bytes()
                self.send(200, text, "text/plain; version=0.0.4")
            case _:
                self.json(404, {})

    def do_POST(self) -> None:  # noqa: N802  # http.server's name
        """What the body's script says; without one, an echo."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ranks = "rank" if self.path == "/v1/rerank" else "echo"
        script = body.get("script") or _spoken_script(body) or ranks
        if script == "echo" and self.settings.drop_warm_up:
            self.close_connection = True
            return
        if script == "echo" and self.settings.hang_warm_up:
            self._script_silent(body)
            return
        if script in {"echo", "rank"} and self.settings.refuse_warm_up:
            self.json(400, {"error": {"message": "Pooling type 'none' is not compatible"}})
            return
        getattr(self, f"_script_{script}")(body)

    def _script_echo(self, body: dict[str, Any]) -> None:
        self.json(200, {"path": self.path, "headers": dict(self.headers), "body": body})

    def _script_chat(self, body: dict[str, Any]) -> None:
        """A chat's answer, streamed or not."""
        if body.get("stream"):
            self._script_stream(body)
        else:
            self.json(200, {"choices": [{"message": {"content": "word"}}]})

    def _script_stream(self, body: dict[str, Any]) -> None:
        self.start_stream()
        self.chunk(b": a comment\n\n")
        for _ in range(body.get("events", 3)):
            self.chunk(_EVENT)
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def _script_gated_stream(self, body: dict[str, Any]) -> None:
        """One event, then the rest once the file "open" is there."""
        self.start_stream()
        self.chunk(_EVENT)
        pause = threading.Event()
        while not (self.folder / "open").exists():
            pause.wait(0.01)
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def _script_repeat(self, body: dict[str, Any]) -> None:
        """A chat's answer whose text is what was asked."""
        self.answer(body, {"content": json.dumps({"path": self.path, "body": body})})

    def _script_think(self, body: dict[str, Any]) -> None:
        """A thought, then a text."""
        self.answer(body, {"reasoning_content": "hm"}, {"content": "so"})

    def _script_tools(self, body: dict[str, Any]) -> None:
        """Two calls; in a stream their arguments come in two pieces."""
        if self.path.endswith("/messages"):
            self.anthropic_calls(body)
        else:
            self.calls(body)

    def _script_babble(self, body: dict[str, Any]) -> None:
        """Events that nobody can read, until the client leaves."""
        self._script_endless({"size": 10})

    def _script_error_in_stream(self, body: dict[str, Any]) -> None:
        self.start_stream()
        self.chunk(_EVENT)
        self.chunk(b'data: {"error":{"message":"the grammar broke"}}\n\n')
        self.chunk(b"")

    def _script_endless(self, body: dict[str, Any]) -> None:
        """Events until the client leaves; the file "sent" holds the number of bytes."""
        self.start_stream()
        event, sent = _EVENT, 0
        if "size" in body:
            event = b"data: " + b"x" * body["size"] + b"\n\n"
        pause = threading.Event()
        with contextlib.suppress(OSError):
            while True:
                self.chunk(event)
                sent += len(event)
                (self.folder / "sent").write_text(str(sent))
                pause.wait(body.get("pause", 0.0))
        self._note("left")

    def _script_silent(self, body: dict[str, Any]) -> None:
        """No answer; the file "left" appears when the client goes."""
        self._note("asked")
        select.select([self.connection], [], [])
        self._note("left")

    def _script_die(self, body: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _script_die_once(self, body: dict[str, Any]) -> None:
        if not (self.folder / "died").exists():
            self._note("died")
            os.kill(os.getpid(), signal.SIGKILL)
        self._script_echo(body)

    def _script_hang_up(self, body: dict[str, Any]) -> None:
        """The end of a connection that is used again, or of `each`, after `said`."""
        with (self.folder / "seen").open("a") as seen:
            seen.write("again\n" if self.carried else "fresh\n")
        if not (self.carried or body.get("each")):
            self._script_echo(body)
            return
        self.wfile.write(body.get("said", "").encode())
        self.close_connection = True

    def _script_die_in_stream(self, body: dict[str, Any]) -> None:
        self.start_stream()
        self.chunk(_EVENT)
        self.chunk(body.get("last", "").encode() or _EVENT)
        print("E fatal error: out of paper", flush=True)
        os._exit(7)

    def _script_die_after_head(self, body: dict[str, Any]) -> None:
        self.start_stream()
        os._exit(7)

    def _script_die_in_body(self, body: dict[str, Any]) -> None:
        length = str(body.get("length", 100))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        self.wfile.write(f"Content-Length: {length}\r\n\r\n".encode() + b'{"half":')
        os._exit(7)

    def _script_usage_stream(self, body: dict[str, Any]) -> None:
        """What llama-server ends a stream with when usage was asked for."""
        self.start_stream()
        self.chunk(_EVENT)
        self.chunk(b'data: {"choices":[],"usage":{"total_tokens":5}}\n\ndata: [DONE]\n\n')
        self.chunk(b"")

    def _script_long_answer(self, body: dict[str, Any]) -> None:
        """More bytes than its head announces."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        self.wfile.write(b"Content-Length: 2\r\n\r\n{}{}{}")

    def _script_large(self, body: dict[str, Any]) -> None:
        """An answer of `size` bytes."""
        self.send(200, b"x" * int(body["size"]), "application/json")

    def _script_wait(self, body: dict[str, Any]) -> None:
        """An answer once the file "open" is there."""
        self._note("asked")
        pause = threading.Event()
        while not (self.folder / "open").exists():
            pause.wait(0.01)
        self._script_echo(body)

    def _script_rubbish(self, body: dict[str, Any]) -> None:
        self.wfile.write(b"I am not HTTP\r\n\r\n")
        self.close_connection = True

    def _script_parse_error(self, body: dict[str, Any]) -> None:
        self.json(500, {"error": {"message": "[json.exception.x] unpaired surrogate"}})

    def _script_rank(self, body: dict[str, Any]) -> None:
        """The longer a document, the better it fits; the best first, as llama-server has them."""
        found = [(-float(len(text)), place) for place, text in enumerate(body["documents"])]
        rows = [{"index": place, "relevance_score": -score} for score, place in sorted(found)]
        usage = {"prompt_tokens": len(found), "total_tokens": len(found)}
        self.json(200, {"model": "smol", "object": "list", "usage": usage, "results": rows})

    def _script_rank_few(self, body: dict[str, Any]) -> None:
        """It forgets a document."""
        self.json(200, {"results": [{"index": 1, "relevance_score": 0.5}]})

    def _script_named(self, body: dict[str, Any]) -> None:
        """The body's "says" with spaces around, in pieces of "size" bytes or whole."""
        pad = b" " * body.get("pad", 0)
        text = pad + body["says"].encode() + pad
        if "size" not in body:
            self.send(200, text, "application/json")
            return
        self.start_stream()
        for begin in range(0, len(text), body["size"]):
            self.chunk(text[begin : begin + body["size"]])
        self.chunk(b"")

    def _script_not_a_chat(self, body: dict[str, Any]) -> None:
        self.json(200, ["no", "chat"])

    def _script_too_long(self, body: dict[str, Any]) -> None:
        told = {"message": "request (9 tokens) exceeds the available context size (5 tokens)"}
        self.json(400, {"error": {**told, "type": "exceed_context_size_error"}})

    def _script_failure(self, body: dict[str, Any]) -> None:
        self.json(500, {"error": {"message": "the computation failed"}})

    def _script_hop(self, body: dict[str, Any]) -> None:
        headers = {"Connection": "x-private", "Keep-Alive": "timeout=5", "Proxy-Authenticate": "a"}
        headers |= {"Access-Control-Allow-Origin": "", "X-Kept": "yes", "Server": "llama.cpp"}
        self.send(200, b"{}", "application/json", headers)

    def _note(self, name: str) -> None:
        (self.folder / name).touch()


def _spoken_script(body: dict[str, Any]) -> str:
    """The script that a message asks for: of a dialect whose bodies are put in other words."""
    messages = body.get("messages") or [{"content": body.get("query")}]
    content = messages[-1].get("content")
    return content.removeprefix("script: ") if str(content).startswith("script: ") else ""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no error of ours."""


def main() -> None:
    """Serve until SIGTERM."""
    settings = _arguments()
    folder = Path(settings.host).parent
    starts = folder / "starts"
    count = len(starts.read_text().splitlines()) + 1 if starts.exists() else 1
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    for line in settings.say:
        print(line, flush=True)
    if settings.leave_child:
        child = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
        (folder / "grandchild").write_text(str(child))
    if settings.exit is not None and count >= settings.exit_from:
        sys.exit(settings.exit)
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN if settings.ignore_term else lambda *_: os._exit(0)
    )
    _Engine.settings, _Engine.folder = settings, folder
    with _Server(settings.host, _Engine) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
