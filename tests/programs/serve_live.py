#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""serve_live.py MONITOR WRITER STATS: aatgs_monitor --serve, asked as programs do.

Each case is a hazard. Prints a count as doctest does.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from hostile import Wrong, expect
from monitor_live import PATIENCE_S, Writer

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


class Server:
    def __init__(self, monitor, source, *arguments, folder):
        self.process = subprocess.Popen(
            [monitor, source, "--serve", "0", "--interval", "20", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "AATGS_STATS": folder})
        line = self.process.stdout.readline()
        found = re.fullmatch(r"serving http://127\.0\.0\.1:(\d+)/ until SIGINT or SIGTERM\n", line)
        expect(found, f"no address: {line!r}" + ("" if line else self.process.stderr.read()))
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def get(self, path, method="GET", **headers):
        """Status, headers and text."""
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def json(self, path):
        status, headers, text = self.get(path)
        expect(status == 200 and headers["Content-Type"] == "application/json", f"{path}: {status}")
        return json.loads(text)

    def records(self, count):
        """The summary, once so many records have passed."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            summary = self.json("/api/summary")
            if sum(phase["records"] for phase in summary["phases"]) == count:
                return summary
            time.sleep(0.01)
        raise Wrong(f"never {count} records: {summary}")

    def connect(self, request=b"", receive_buffer=None):
        connection = socket.socket()
        connection.settimeout(PATIENCE_S)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(request)
        return connection

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self, status=0, with_signal=signal.SIGTERM):
        if with_signal:
            self.process.send_signal(with_signal)
        returned = self.process.wait(PATIENCE_S)
        errors = self.process.stderr.read()
        expect(returned == status, f"status {returned}, not {status}: {errors!r}")
        return errors


class Stream:
    """A client of /events."""

    REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n"

    def __init__(self, server):
        self.connection = server.connect(self.REQUEST)
        self.file = self.connection.makefile("rb")
        self.status = self.file.readline()
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def next(self):
        """The next state; None at the end."""
        for line in self.file:
            if line.startswith(b"data: "):
                expect(b"\r" not in line, "an end of a line inside of an event")
                return json.loads(line[6:])
        return None

    def wait_for(self, holds):
        while (state := self.next()) is not None:
            if holds(state):
                return state
        raise Wrong("the stream has ended")


class Scene:
    def __init__(self, programs, folder):
        self.monitor, self.writer_program, self.stats = programs
        self.folder = pathlib.Path(folder)
        self.pages = self.folder / "pages"
        self.pages.mkdir()
        self.file = self.folder / "run.jsonl"
        self.servers = []

    def serve(self, *arguments, source=None):
        self.servers.append(Server(self.monitor, source or self.file, *arguments,
                                   folder=self.pages))
        return self.servers[-1]

    def refused(self, *arguments, about):
        done = subprocess.run([self.monitor, *map(str, arguments)], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        expect(done.returncode == 2, f"{arguments}: {done.returncode} {done.stderr!r}")
        expect(done.stderr.count("\n") == 1 and about in done.stderr, f"{done.stderr!r}")

    def leave(self):
        for server in self.servers:
            server.process.kill()
            server.process.wait()


def writes_and_strangers(scene):
    """Something can be changed, or a stranger's name leads here."""
    Writer(scene.file).metrics(1)
    server = scene.serve()
    for path in ["/", "/metrics", "/api/summary", "/api/contexts", "/api/records"]:
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
            status, headers, text = server.get(path, method)
            expect(status == 405 and headers["Allow"] == "GET, HEAD" and text.count("\n") == 1,
                   f"{method} {path}: {status} {text!r}")
        for host in ["evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "",
                     "localhost@evil.example", "127.0.0.1:80@evil.example", "[::1].evil.example"]:
            status, _, text = server.get(path, Host=host)
            expect(status == 403 and text.count("\n") == 1, f"Host {host}: {status} {text!r}")
        for host in ["localhost", "LOCALHOST:1", "[::1]:80", f"127.0.0.1:{server.port}"]:
            status, headers, _ = server.get(path, Host=host)
            expect(status == 200, f"Host {host}: {status}")
        policy = headers["Content-Security-Policy"]
        expect("default-src 'none'" in policy and "unsafe" not in policy, policy)
        expect("Access-Control-Allow-Origin" not in headers, "open to strangers")
    for path in ["/x", "/api", "/../etc/passwd", "/%2e%2e/", "/events/x", "/api/records/"]:
        status, _, text = server.get(path)
        expect(status == 404 and text.count("\n") == 1, f"{path}: {status} {text!r}")
    for query in ["since=x", "since=-1", "limit=0", "limit=1001", "limit=", "since=1e3"]:
        status, _, text = server.get("/api/records?" + query)
        expect(status == 400 and text.count("\n") == 1, f"{query}: {status} {text!r}")
    expect(server.get("/api/summary", Range="bytes=0-,0-,0-")[0] == 400, "ranges")
    good = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    expect(b" 200 " in server.connect(good + b"\r\n").makefile("rb").readline(), "a good request")
    for request in [b"x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 9000, b"GET " + b"a" * 20000,
                    good + b"Host: evil.example\r\n\r\n", good + b"a: b\r\n" * 4000 + b"\r\n"]:
        answer = b""
        try:
            answer = server.connect(request).makefile("rb").readline()
        except ConnectionError:
            pass  # what it does not read, it may drop
        expect(b" 200 " not in answer, f"{request[:20]}: {answer}")
    server.records(1)
    server.end()


def ports(scene):
    """A port in use is taken by a second server, or gets no clear line."""
    Writer(scene.file).metrics(1)
    port = scene.serve().port
    scene.refused(scene.file, "--serve", port,
                  about=f"cannot serve at 127.0.0.1:{port}: Address already in use")
    for value in ["65536", "-1", "x", "", "80.5"]:
        scene.refused(scene.file, "--serve", value, about="--serve")
    for option in [["--tail"], ["--once"], ["--summary"], ["--format", "csv"]]:
        scene.refused(scene.file, "--serve", "0", *option, about="--serve")
    scene.refused(scene.folder / "none", "--serve", "0", about="No such file")
    scene.refused("/dev/stdin", "--serve", "0", about="is a pipe")


def followed(scene):
    """New records, rotations and truncations do not come through, or a filter does nothing."""
    writer = Writer(scene.file)
    writer.metrics(3)
    server, filtered = scene.serve(), scene.serve("--where", "conflicts>2", "--phase", "whcr")
    server.records(3)
    stream = Stream(server)
    stream.wait_for(lambda state: len(state["recent"]) == 3)
    writer.metrics(2)
    writer.rotate()
    writer.metrics(2, notes=SCRIPT)
    state = stream.wait_for(lambda state: len(state["recent"]) == 7)
    expect(state["recent"][0]["record"]["notes"] == SCRIPT, f"{state['recent'][0]}")
    expect([entry["record"]["sequence"] for entry in state["recent"]] == list(range(6, -1, -1)),
           f"{state['recent']}")
    os.truncate(writer.path, 0)
    writer.put('{"type":"metric",\r"run_id":"run-1","sequence":70,'
               '"timestamp":"2026-01-01T00:00:00Z","phase":"after","step":1,"chromatic_number":18446744073709551615,"conflicts":9}\n')
    state = stream.wait_for(lambda state: len(state["recent"]) == 8)
    expect(state["recent"][0]["record"]["sequence"] == 70, "after a truncation")
    answer = server.json("/api/records?since=6&limit=1")
    expect(answer["next"] == 7 and answer["oldest"] == 0, f"{answer}")
    expect([(entry["seq"], entry["record"]["sequence"]) for entry in answer["records"]] == [(6, 6)],
           f"{answer}")
    expect(server.json("/api/records?since=99")["records"] == [], "records to come")
    expect(len(server.json("/api/records")["records"]) == 8, "all records")
    expect(len(filtered.records(1)["phases"]) == 1, "filters")
    expect(len(filtered.json("/api/records")["records"]) == 1, "filters of records")
    expect(filtered.get("/metrics")[2].count("aatgs_run_records_total{") == 1, "filters of metrics")
    for one in [server, filtered]:
        one.end()


def metrics(scene):
    """What Prometheus reads is not in its format, or differs from the other views."""
    writer = Writer(scene.file, run_id='quote " back \\ slash')
    writer.metrics(5)
    server = scene.serve()
    server.records(5)
    with subprocess.Popen([scene.stats, "load", "--executor", "cpu", "--burst", "10", "--rate",
                           "2000", "--run-ms", "300000"], stdout=subprocess.DEVNULL,
                          env={**os.environ, "AATGS_STATS": str(scene.pages)}) as load:
        end = time.monotonic() + PATIENCE_S
        while not any(page.get("completed", 0) > 0 for page in server.json("/api/contexts")):
            expect(time.monotonic() < end, "no context")
            time.sleep(0.01)
        load.kill()
    # Nobody writes to its page any more.
    Stream(server).wait_for(lambda state: state["contexts"][0]["process"] == "dead")
    theirs = json.loads(subprocess.run(
        [scene.stats, "watch", "--once", "--format", "json"], capture_output=True, check=True,
        env={**os.environ, "AATGS_STATS": str(scene.pages)}).stdout)[0]
    ours = server.json("/api/contexts")[0]
    for key in ["name", "process", "executor", "submitted", "completed", "in_flight",
                "config_overflows", "config_ring", "telemetry_ring"]:
        expect(ours[key] == theirs[key], f"{key}: {ours[key]} is not {theirs[key]}")
    status, headers, text = server.get("/metrics")
    expect(status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), text)
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            expect(line.split()[2] not in types, f"twice: {line}")
            types[line.split()[2]] = line.split()[3]
        if line.startswith("#"):
            continue
        found = re.fullmatch(r'(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)', line)
        expect(found, f"not in the format: {line!r}")
        expect(re.sub("_(sum|count)$", "", found[1]) in types, f"no type: {line}")
        values[found[1] + (found[2] or "")] = float(found[3])
    name = f'{{context="{theirs["name"]}"'
    for ring in ["config", "telemetry"]:
        for key, metric in [("now", "used"), ("mean", "used_mean"), ("peak", "used_peak")]:
            expect(values[f'aatgs_context_ring_{metric}_ratio{name},ring="{ring}"}}'] ==
                   theirs[ring + "_ring"][key], f"{ring} {key}")
    expect(values[f"aatgs_context_completed_total{name}}}"] == theirs["completed"], "completed")
    expect([v for k, v in values.items() if k.startswith("aatgs_run_records_total{")] == [5],
           "records")
    server.end()


def many_clients(scene):
    """A client that reads slowly, sends slowly or goes away costs the others something."""
    writer = Writer(scene.file)
    for step in range(400):
        writer.metrics(1, phase=f"phase-{step}", notes="x" * 2000)
    server = scene.serve()
    server.records(400)
    threads, descriptors = server.threads(), server.descriptors()
    silent = [server.connect(b"GET / HT") for _ in range(4)]
    slow = [server.connect(Stream.REQUEST, receive_buffer=1) for _ in range(4)]
    streams = []
    while len(streams) < 40 and (not streams or b" 200 " in streams[-1].status):
        streams.append(Stream(server))
    expect(b" 503 " in streams[-1].status and len(streams) <= 33, f"{len(streams)} streams")
    writer.metrics(1, notes="news")
    for stream in streams[:-1]:
        stream.wait_for(lambda state: state["recent"][0]["record"]["notes"] == "news")
    expect(server.json("/api/records?limit=1")["next"] == 1, "others must wait")
    expect(server.threads() == threads, f"{threads} threads became {server.threads()}")
    for client in silent + slow + [stream.connection for stream in streams]:
        client.close()
    for stream in streams:
        stream.file.close()
    end = time.monotonic() + PATIENCE_S
    while server.descriptors() > descriptors:
        expect(time.monotonic() < end, "clients that went away are not forgotten")
        time.sleep(0.05)
    # Those who do not read at all get no place for good.
    slow = [server.connect(Stream.REQUEST, receive_buffer=1) for _ in range(33)]
    while b" 200 " not in Stream(server).status:
        expect(time.monotonic() < end, "no place for a new client")
        time.sleep(0.05)
    for client in slow:
        client.close()
    server.end()


def endings(scene):
    """It does not end, or ends with the wrong status, while clients are connected."""
    writer = Writer(scene.file, seconds_ago=100)
    writer.metrics(50, notes="x" * 2000)
    for wish in [signal.SIGTERM, signal.SIGINT]:
        server = scene.serve()
        server.records(50)
        streams = [Stream(server) for _ in range(3)]
        slow = server.connect(Stream.REQUEST, receive_buffer=1)
        silent = server.connect()
        expect(server.end(with_signal=wish) == "", "it says something")
        for stream in streams:
            while stream.next():
                pass
        slow.close()
        silent.close()
    stalled = scene.serve("--stall-after", "50")
    expect("stalled: no new record" in stalled.end(3, with_signal=None), "a stalled run")
    server = scene.serve()
    stream = Stream(server)
    server.records(50)
    writer.put("{oops}\n")
    state = stream.wait_for(lambda state: state["problem"])
    expect("run.jsonl:52: is not JSON" in state["problem"], f"{state['problem']!r}")
    expect("run.jsonl:52: is not JSON" in server.end(2, with_signal=None), "a malformed line")


def main(*programs):
    cases = [writes_and_strangers, ports, followed, metrics, many_clients, endings]
    return run_cases(cases, programs, Scene)


def run_cases(cases, programs, kind):
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="aatgs-test-",
                                         ignore_cleanup_errors=True) as folder:
            scene = kind([os.path.abspath(program) for program in programs], folder)
            try:
                case(scene)
            except (Wrong, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.__name__}: {case.__doc__}: {type(error).__name__} {error}")
            finally:
                scene.leave()
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
