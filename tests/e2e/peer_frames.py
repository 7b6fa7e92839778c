# SPDX-License-Identifier: Apache-2.0
"""Frames between nodes, as a stranger makes them (docs/formats/frame.md)."""
import ctypes
import ctypes.util
import struct

from kvorum_e2e import Skip

HELLO, HELLO_ANSWER, JOIN, GOSSIP, GET, MERGE, FORWARD = 1, 2, 3, 8, 10, 12, 14
KINDS = (1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
_xxh = None


def checksum(data):
    global _xxh
    if _xxh is None:
        name = ctypes.util.find_library("xxhash") or "libxxhash.so.0"
        try:
            _xxh = ctypes.CDLL(name).XXH3_64bits
        except OSError as error:
            raise Skip("needs libxxhash") from error
        _xxh.restype, _xxh.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    return _xxh(data, len(data))


def frame(kind, body=b"", tail=b"", request=0, epoch=0):
    head = b"KVF1" + struct.pack("<B3xIIQQ", kind, len(body), len(tail), request, epoch)
    return head + struct.pack("<Q", checksum(head + body + tail)) + body + tail


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def hello(cluster, node, name=b"stranger", shard=0, target=0):
    return frame(HELLO, field(1, cluster) + field(2, node) + field(3, name) + field(4, shard)
                 + field(5, target) + field(6, 1) + field(7, 1))
