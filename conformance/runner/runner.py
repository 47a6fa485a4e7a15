#!/usr/bin/env python3
"""Plays conformance vectors against a server over real sockets, at the levels L0 and L1.

An adapter in the words of docs/VECTORS.md: questions come on stdin, answers go to stdout, one JSON document a
line. What is right is judged by who asks. Usage, as an adapter of `slotbus-conform replay`:

    runner.py SERVER [ARGUMENT ...]      for example: runner.py redis-server

The server is started with `--port P --dir D` and the directives of the vector behind the arguments. Every node of
the vector lives on 127.0.0.1; the ports that a vector names stand for free ones, in packets as in nodes.conf.
"""
import json, os, re, selectors, shutil, signal, socket, struct, subprocess, sys, tempfile, time

HOST, BUS_OFFSET = "127.0.0.1", 10000
PORT_MIN, PORT_MAX = 11000, 17000          # with their bus ports below the ephemeral range
HEADER, GOSSIP = 2256, 104
START_TIMEOUT_S, LINK_TIMEOUT_S, REPLY_TIMEOUT_S = 10, 4, 5
KINDS_WITH_GOSSIP = (0, 1, 2)


class Trouble(Exception):
    """The vector cannot be played."""


def unpack(text):
    """The bytes of a packed text: hex in which (HH*N) stands for N times HH."""
    return bytes.fromhex(re.sub(r"\(([0-9a-f]{2})\*(\d+)\)", lambda run: run[1] * int(run[2]), text))


def pack(data):
    """The packed text of some bytes."""
    runs = re.sub(r"(\w\w)(?: \1){4,}", lambda run: f"({run[1]}*{(len(run[0]) + 1) // 3})", data.hex(" "))
    return runs.replace(" ", "")


def bound(port):
    """A socket that holds a port and does not listen; none if the port is taken."""
    sock = socket.socket()
    try:
        sock.bind((HOST, port))
        return sock
    except OSError:
        sock.close()
        return None


class Ports:
    """Free client ports in place of those that a vector names, one for one, held so that nobody else takes them."""

    next = PORT_MIN + (os.getpid() * 1009) % (PORT_MAX - PORT_MIN)

    def __init__(self):
        self.real, self.named, self.held = {}, {}, {}

    def of(self, named):
        """The real port of a named one, be it of clients or of the bus."""
        offset = BUS_OFFSET if named >= BUS_OFFSET else 0
        port = named - offset
        if port > 0 and port not in self.real:
            self.real[port] = self.take()
            self.named[self.real[port]] = port
        return self.real[port] + offset if port > 0 else named

    def back(self, real):
        """The named port of a real one."""
        offset = BUS_OFFSET if real - BUS_OFFSET in self.named else 0
        return self.named.get(real - offset, real - offset) + offset

    def take(self):
        for _ in range(PORT_MAX - PORT_MIN):
            Ports.next = Ports.next + 1 if Ports.next < PORT_MAX else PORT_MIN
            pair = [bound(Ports.next), bound(Ports.next + BUS_OFFSET)]
            if all(pair):
                self.held.update({sock.getsockname()[1]: sock for sock in pair})
                return Ports.next
            for sock in filter(None, pair):
                sock.close()
        raise Trouble("there is no free port")


def with_ports(packet, change):
    """A packet with every port changed: the sender's, and those of the nodes told of."""
    data = bytearray(packet)
    kind, entries = struct.unpack_from(">HH", data, 12)
    places = [10, 2246, 2248]
    if kind in KINDS_WITH_GOSSIP:
        starts = (HEADER + GOSSIP * index for index in range(entries))
        places += [start + field for start in starts for field in (94, 96, 100)]
    for place in places:
        if place + 2 <= len(data):
            struct.pack_into(">H", data, place, change(struct.unpack_from(">H", data, place)[0]))
    return bytes(data)


class Link:
    """One connection of the bus and the bytes that came in on it."""

    def __init__(self, sock, peer, on_inbound):
        self.sock, self.peer, self.on_inbound, self.buffer = sock, peer, on_inbound, b""

    def packets(self):
        while len(self.buffer) >= 8:
            length = struct.unpack_from(">I", self.buffer, 4)[0]
            if length < 16 or len(self.buffer) < length:
                return
            packet, self.buffer = self.buffer[:length], self.buffer[length:]
            yield packet


class Stage:
    """A server under test, and its peers."""

    def __init__(self, command, subject):
        self.command, self.config = command, subject["config"]
        self.ports, self.selector, self.arrived = Ports(), selectors.DefaultSelector(), []
        self.callers, self.called, self.listeners = {}, {}, {}
        self.server, self.folder = None, tempfile.mkdtemp(prefix="vector-")
        nodes_conf = subject["origin"].get("nodes_conf")
        if nodes_conf is None:
            raise Trouble("a server chooses its own id: this vector is for the inside")
        self.port = self.ports.of(self.config["port"])
        self.listen(nodes_conf)
        self.start(nodes_conf)

    def listen(self, nodes_conf):
        for line in nodes_conf.splitlines():
            words = line.split()
            address = re.fullmatch(r"127\.0\.0\.1:(\d+)@(\d+)\S*", words[1])
            if address is None or "myself" in words[2]:
                continue
            sock = self.ports.held[self.ports.of(int(address[2]))]
            sock.listen()
            self.listeners[words[0]] = sock
            self.selector.register(sock, selectors.EVENT_READ, words[0])

    def start(self, nodes_conf):
        def address(found):
            return f"{HOST}:{self.ports.of(int(found[1]))}@{self.ports.of(int(found[2]))}"

        text = re.sub(r"127\.0\.0\.1:(\d+)@(\d+)", address, nodes_conf)
        with open(os.path.join(self.folder, "nodes.conf"), "w", encoding="ascii") as file:
            file.write(text)
        words = self.command + ["--port", str(self.port), "--bind", HOST, "--dir", self.folder, "--cluster-enabled", "yes"]
        words += ["--save", "", "--appendonly", "no", "--cluster-config-file", "nodes.conf"]
        for name, value in self.config.items():
            if name not in ("port", "cluster-port"):
                words += [f"--{name}", {True: "yes", False: "no"}.get(value, str(value))]
        for port in (self.port, self.port + BUS_OFFSET):
            self.ports.held.pop(port).close()
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until(START_TIMEOUT_S, self.answers, "the server does not answer")
        linked = lambda: self.gather(0.01) or len(self.called) == len(self.listeners)
        self.until(LINK_TIMEOUT_S, linked, "the server does not link to its peers")

    def answers(self):
        try:
            return self.ask(["PING"]) == "PONG"
        except OSError:
            return False

    def until(self, timeout_s, is_done, trouble):
        end = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() > end or self.server.poll() is not None:
                with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                    raise Trouble(f"{trouble}: {log.read()[-500:]}")
            time.sleep(0.01)

    def ask(self, words):
        """A client's command and its answer: a status, the text of an error, a number or a text."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection((HOST, self.port), REPLY_TIMEOUT_S) as sock, sock.makefile("rwb") as stream:
            stream.write(request.encode())
            stream.flush()
            line = stream.readline().decode().rstrip("\r\n")
            if line[:1] == "$":
                return stream.read(int(line[1:]) + 2)[:-2].decode()
            return line[1:]

    def step(self, event, wait_s):
        """Has an event happen, and says what showed."""
        self.gather(0)
        self.arrived, reply = [], None
        kind, what = next(iter(event.items())) if isinstance(event, dict) else (event, None)
        if kind == "link_up":
            self.call(what["link"], what["peer"])
        elif kind == "link_down":
            self.drop(self.callers.pop(what, None))
        elif kind == "received":
            self.send(what)
        elif kind == "admin":
            reply = self.ask(self.real_words(what["words"]))
        else:
            raise Trouble(f"nobody outside can have this happen: {kind}")
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            self.gather(left)
        return {"sends": self.arrived, "reply": reply}

    def real_words(self, words):
        if words[1:2] == ["MEET"]:
            return words[:3] + [str(self.ports.of(int(port))) for port in words[3:]]
        return words

    def call(self, name, peer):
        sock = socket.create_connection((HOST, self.port + BUS_OFFSET), REPLY_TIMEOUT_S)
        self.drop(self.callers.get(name))
        self.callers[name] = self.attend(Link(sock, peer, True))

    def attend(self, link):
        self.selector.register(link.sock, selectors.EVENT_READ, link)
        return link

    def send(self, what):
        link = self.callers.get(what["link"]) if what["link"].startswith("in") else self.called.get(what["from"])
        if link is None:
            raise Trouble(f"there is no link {what['link']}")
        try:
            link.sock.sendall(with_ports(unpack(what["packet"]), self.ports.of))
        except OSError:
            self.drop(link)

    def gather(self, timeout_s):
        """Takes what comes in, for so long at most."""
        for key, _ in self.selector.select(timeout_s):
            if isinstance(key.data, str):
                sock, _ = key.fileobj.accept()
                self.drop(self.called.get(key.data))
                self.called[key.data] = self.attend(Link(sock, key.data, False))
            else:
                self.read(key.data)

    def read(self, link):
        try:
            data = link.sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            return self.drop(link)
        link.buffer += data
        for packet in link.packets():
            packed = pack(with_ports(packet, self.ports.back))
            self.arrived.append({"to": link.peer, "on_inbound": link.on_inbound, "packet": packed})

    def drop(self, link):
        if link is not None and link.sock.fileno() >= 0:
            self.selector.unregister(link.sock)
            link.sock.close()

    def nodes(self):
        return {"nodes": self.ask(["CLUSTER", "NODES"])}

    def end(self):
        """Ends the server and its peers. A server that does not end by itself is killed, by its process id."""
        if self.server is not None:
            self.server.send_signal(signal.SIGKILL)
            self.server.wait()
        for sock in [key.fileobj for key in self.selector.get_map().values()] + list(self.ports.held.values()):
            sock.close()
        self.selector.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def answer(stage, question, command):
    """The stage after a question, and the answer to it."""
    if question == "nodes":
        return stage, stage.nodes()
    if question == "end":
        if stage is not None:
            stage.end()
        return None, {}
    if "start" in question:
        stage = Stage.__new__(Stage)
        try:
            stage.__init__(command, question["start"])
        except BaseException:
            stage.end()
            raise
        return stage, {}
    step = question["step"]
    return stage, stage.step(step["event"], step["wait_ms"] / 1000)


def main():
    stage = None if sys.argv[1:] and sys.argv[1] not in ("-h", "--help") else sys.exit(__doc__)
    try:
        for line in sys.stdin:
            try:
                stage, said = answer(stage, json.loads(line), sys.argv[1:])
            except (Trouble, OSError, ValueError, KeyError, AttributeError) as error:
                said = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(said), flush=True)
    finally:
        if stage is not None:
            stage.end()


if __name__ == "__main__":
    main()
