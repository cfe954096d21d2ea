"""A wide-area link between two network namespaces: packets arrive some milliseconds after they were sent.

Two TUN devices, one in each namespace, joined by this process; kernels without the netem discipline have nothing else.

usage: delaylink.py NAMESPACE DEVICE ADDRESS NAMESPACE DEVICE ADDRESS MILLISECONDS
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

from namespaces import entered

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
# Whole segments of up to 64 kB pass the device: as packets of 1500 bytes they would be too many for Python.
TUN_NO_INFO_WITH_HEADER = 0x1 | 0x1000 | 0x4000
CHECKSUMS_AND_SEGMENTS = 0x1 | 0x2 | 0x4
BURST = 64


def make_device(namespace: str, device: str, address: str, peer: str) -> int:
    """A point-to-point device in a namespace, up; the file its packets are read from and written to."""
    with entered(namespace):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", device.encode(), TUN_NO_INFO_WITH_HEADER))
        fcntl.ioctl(file, TUNSETOFFLOAD, CHECKSUMS_AND_SEGMENTS)
        subprocess.run(["ip", "addr", "add", address, "peer", peer, "dev", device], check=True)
        subprocess.run(["ip", "link", "set", device, "up", "mtu", "1500", "txqueuelen", "1000"], check=True)
    return file


class Direction:
    """Packets on their way from one device to the other."""

    def __init__(self, source: int, target: int, delay: float) -> None:
        self.source, self.target, self.delay = source, target, delay
        self.packets: deque[tuple[float, bytes]] = deque()

    def take(self) -> None:
        """Take up what the source has to send."""
        for _ in range(BURST):
            try:
                packet = os.read(self.source, 1 << 17)
            except BlockingIOError:
                return
            self.packets.append((time.monotonic() + self.delay, packet))

    def hand_over(self) -> None:
        """Hand over what has been on its way for long enough; what the target can't take is lost, as on any link."""
        while self.packets and self.packets[0][0] <= time.monotonic():
            try:
                os.write(self.target, self.packets.popleft()[1])
            except OSError:
                continue


def carry(one: int, other: int, delay: float) -> None:
    """Carry packets both ways until the process is ended."""
    directions = {one: Direction(one, other, delay), other: Direction(other, one, delay)}
    while True:
        due = [direction.packets[0][0] for direction in directions.values() if direction.packets]
        patience = max(0.0, min(due) - time.monotonic()) if due else None
        for source in select.select(list(directions), (), (), patience)[0]:
            directions[source].take()
        for direction in directions.values():
            direction.hand_over()


def main() -> None:
    near_namespace, near, near_address, far_namespace, far, far_address, milliseconds = sys.argv[1:]
    one = make_device(near_namespace, near, near_address, far_address)
    other = make_device(far_namespace, far, far_address, near_address)
    carry(one, other, float(milliseconds) / 1000)


if __name__ == "__main__":
    main()
