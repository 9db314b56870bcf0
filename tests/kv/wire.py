"""A client that shows replies as they came: one value a reply, with its type."""
import socket


class Error(str):
    """An error reply; equal only to the same error."""

    def __eq__(self, other):
        return isinstance(other, Error) and str(self) == str(other)

    __hash__ = str.__hash__


class Status(Error):
    """A status reply."""

    def __eq__(self, other):
        return isinstance(other, Status) and str(self) == str(other)

    __hash__ = str.__hash__


def encode(args):
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


class Wire:
    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def call(self, *args):
        self.send(encode(args))
        return self.read()

    def pipeline(self, commands):
        self.send(b"".join(encode(c) for c in commands))
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest.decode("latin-1"))
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return None
            data = self.file.read(n + 2)
            assert len(data) == n + 2 and data.endswith(b"\r\n"), "a bulk reply is cut"
            return data[:-2]
        if kind in b"*~":
            n = int(rest)
            return None if n < 0 else [self.read() for _ in range(n)]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        raise ValueError("no reply begins with %r" % line)

    def close(self):
        self.file.close()
        self.socket.close()
