# SPDX-License-Identifier: Apache-2.0
"""The network between the nodes, which can be cut: a process that stands before every peer port.

Each member has an advertised port here, for TCP and for datagrams, and a real port where it listens.
So everything that one member sends to another passes through, and a *rule* says for each direction of
each pair what becomes of it:

    open    passes, after `delay` seconds
    hold    nothing arrives; bytes of connections wait and arrive after healing, as TCP sends again;
            datagrams are gone, and who connects waits
    break   the same, but connections are reset, at once and when they are tried (either direction
            that breaks is enough for that: a connection needs both)

Who connects is known by asking the kernel which process has the other end of the connection, so no
byte of what passes is looked at.  Datagrams come from the port where their sender listens, and leave
from the port that it advertises, so that an answer finds its way back.

Commands arrive as JSON, one a line, on standard input; each is answered with a line on standard
output.  The end of the input ends the process.

    {"members": {"n1": {"listen": 1, "target": 2, "pid": 3}, ...}}
    {"rules": [["n1", "n2", "hold", 0.0], ...]}     from, to, mode, delay; the others are open
"""
import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys

HOST = "127.0.0.1"
CHUNK = 1 << 16
QUEUE_CHUNKS = 64  # of one direction of one connection; then its reader waits
KNOW_SECONDS = 3.0  # until the process at the other end must be known
PR_SET_PDEATHSIG = 1


class Direction:
    """From one member to another: its rule, and how to wait until it changes."""

    def __init__(self):
        self.mode, self.delay, self.changed = "open", 0.0, asyncio.Event()

    def set(self, mode, delay):
        if (mode, delay) != (self.mode, self.delay):
            self.mode, self.delay = mode, delay
            self.changed.set()
            self.changed = asyncio.Event()

    async def until_open(self):
        while self.mode != "open":
            await self.changed.wait()


class Member:
    def __init__(self, name, listen, target):
        self.name, self.listen, self.target, self.pid = name, listen, target, None
        self.server = self.datagrams = None


class Connection:
    """Two sockets and the two directions between them."""

    def __init__(self, there, back):
        self.directions, self.writers, self.task = (there, back), [], None

    def broken(self):
        return any(direction.mode == "break" for direction in self.directions)

    def reset(self):
        for writer in self.writers:
            writer.transport.abort()
        if self.task is not None:
            self.task.cancel()


class Cutter:
    def __init__(self):
        self.members, self.directions, self.connections = {}, {}, set()
        self.counts = {"connections": 0, "resets": 0, "datagrams": 0, "datagrams_dropped": 0,
                       "bytes": 0}

    def direction(self, source, to):
        return self.directions.setdefault((source.name, to.name), Direction())

    # --- connections ---------------------------------------------------------------------------

    async def know(self, peer_port, listen_port):
        """The member whose process has the other end, or None."""
        for _ in range(int(KNOW_SECONDS / 0.05)):
            member = self.owner(socket_inode(peer_port, listen_port))
            if member is not None:
                return member
            await asyncio.sleep(0.05)
        return None

    def owner(self, inode):
        if inode is None:
            return None
        wanted = f"socket:[{inode}]"
        for member in self.members.values():
            if member.pid is not None and has_descriptor(member.pid, wanted):
                return member
        return None

    async def serve(self, to, reader, writer):
        self.counts["connections"] += 1
        source = await self.know(writer.get_extra_info("peername")[1], to.listen)
        if source is None:
            writer.transport.abort()  # it is gone already
            return
        there, back = self.direction(source, to), self.direction(to, source)
        connection = Connection(there, back)
        connection.writers.append(writer)
        connection.task = asyncio.current_task()
        self.connections.add(connection)
        try:
            if not connection.broken():
                await self.connect(connection, to, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(connection)
            for each in connection.writers:
                each.transport.abort()

    async def connect(self, connection, to, reader, writer):
        there, back = connection.directions
        await there.until_open()
        await back.until_open()
        far_reader, far_writer = await asyncio.open_connection(HOST, to.target)
        connection.writers.append(far_writer)
        tasks = [asyncio.ensure_future(task) for task in
                 (*self.pump(reader, far_writer, there), *self.pump(far_reader, writer, back))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def pump(self, reader, writer, direction):
        """Two tasks: one takes what comes and notes when it may arrive, one lets it arrive."""
        queue, clock = asyncio.Queue(QUEUE_CHUNKS), asyncio.get_running_loop()

        async def take():
            while data := await reader.read(CHUNK):
                await queue.put((clock.time() + direction.delay, data))
            await queue.put((0.0, b""))
            await asyncio.Event().wait()  # the other task ends both when all has arrived

        async def give():
            while True:
                due, data = await queue.get()
                await direction.until_open()
                if not data:
                    return
                if (wait := due - clock.time()) > 0:
                    await asyncio.sleep(wait)
                    await direction.until_open()
                self.counts["bytes"] += len(data)
                writer.write(data)
                await writer.drain()

        return take(), give()

    # --- datagrams -----------------------------------------------------------------------------

    def on_datagram(self, to, data, address):
        source = next((m for m in self.members.values() if m.target == address[1]), None)
        self.counts["datagrams"] += 1
        if source is None or source is to or self.direction(source, to).mode != "open":
            self.counts["datagrams_dropped"] += 1
            return

        def arrive():
            with contextlib.suppress(OSError):
                source.datagrams.sendto(data, (HOST, to.target))

        delay = self.direction(source, to).delay
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, arrive)
        else:
            arrive()

    # --- commands ------------------------------------------------------------------------------

    async def set_members(self, wanted):
        for name, entry in wanted.items():
            member = self.members.get(name)
            if member is None:
                member = self.members[name] = Member(name, entry["listen"], entry["target"])
                await self.open(member)
            member.pid = entry["pid"]

    async def open(self, member):
        member.server = await asyncio.start_server(
            lambda reader, writer: self.serve(member, reader, writer), HOST, member.listen)
        loop = asyncio.get_running_loop()
        member.datagrams, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(lambda data, address: self.on_datagram(member, data, address)),
            local_addr=(HOST, member.listen))

    def set_rules(self, rules):
        wanted = {(source, to): (mode, delay) for source, to, mode, delay in rules}
        for pair in [(a, b) for a in self.members.values() for b in self.members.values()]:
            direction = self.direction(*pair)
            direction.set(*wanted.get((pair[0].name, pair[1].name), ("open", 0.0)))
        for connection in list(self.connections):
            if connection.broken():
                self.counts["resets"] += 1
                connection.reset()

    async def obey(self, line):
        command = json.loads(line)
        if "members" in command:
            await self.set_members(command["members"])
        if "rules" in command:
            self.set_rules(command["rules"])
        return self.counts


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, on_datagram):
        self.datagram_received = on_datagram

    def error_received(self, exc):
        pass  # nobody listens there just now


def socket_inode(local_port, remote_port):
    """The inode of the socket on this machine with these two loopback ports, or None."""
    ends = [f"0100007F:{local_port:04X}", f"0100007F:{remote_port:04X}"]
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[1:3] == ends:
                return int(words[9]) or None
    return None


def has_descriptor(pid, wanted):
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}") == wanted:
                    return True
    return False


async def main():
    cutter, reader = Cutter(), asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await cutter.obey(line)
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    sys.stdout.flush()
    os._exit(0)  # with all connections as they are; the nodes are gone by then


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    asyncio.run(main())
