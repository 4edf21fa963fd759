"""The only link between the network namespaces of a chaos run: a relay that delays and drops.

    relay.py DELAY_MS LOSS SEED DEVICE...

Makes the tun devices, prints "ready", and passes each IPv4 packet on to the device of its address:
the N-th device (from 1) has 10.77.0.N. Every packet is dropped with probability LOSS, else written
DELAY_MS later. On standard input: "cut ADDRESS..." drops all packets between these addresses and the
others, "heal" ends that, "count" prints what has passed so far as JSON; its end ends the relay.
"""

import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
# A packet that would have to wait behind so many others is dropped, as a router does.
WAITING_MOST = 50_000
BURST = 256


def open_tun(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def main() -> None:
    delay = float(sys.argv[1]) / 1000
    loss = float(sys.argv[2])
    dice = random.Random(int(sys.argv[3]))
    fds = [open_tun(name) for name in sys.argv[4:]]
    by_address = {socket.inet_aton(f"10.77.0.{i + 1}"): fd for i, fd in enumerate(fds)}
    cut: set[bytes] = set()
    counts = {"passed": 0, "bytes": 0, "lost": 0, "cut": 0, "overflow": 0}
    waiting: list[tuple[float, int, int, bytes]] = []
    number = 0
    poll = select.epoll()
    for fd in fds:
        poll.register(fd, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    os.set_blocking(0, False)
    words = b""
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(to, packet)
                counts["passed"] += 1
                counts["bytes"] += len(packet)
            except OSError:
                counts["overflow"] += 1
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else -1
        # A wait is rounded down to milliseconds: better a little early than a turn late.
        for fd, _ in poll.poll(timeout if timeout < 0 else timeout + 0.0002):
            if fd == 0:
                read = os.read(0, 65536)
                if not read:
                    return
                words += read
                *lines, words = words.split(b"\n")
                for line in lines:
                    verb, *rest = line.decode().split()
                    if verb == "count":
                        print(json.dumps(counts), flush=True)
                    else:
                        cut = {socket.inet_aton(a) for a in rest} if verb == "cut" else set()
                continue
            for _ in range(BURST):
                try:
                    packet = os.read(fd, 65536)
                except (BlockingIOError, OSError):
                    break
                if len(packet) < 20 or packet[0] >> 4 != 4:
                    continue
                source, target = packet[12:16], packet[16:20]
                to = by_address.get(target)
                if to is None:
                    continue
                if (source in cut) != (target in cut):
                    counts["cut"] += 1
                elif dice.random() < loss:
                    counts["lost"] += 1
                elif len(waiting) >= WAITING_MOST:
                    counts["overflow"] += 1
                else:
                    number += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, number, to, packet))


main()
