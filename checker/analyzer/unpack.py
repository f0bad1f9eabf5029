"""The bytes of an open file, plain or unpacked, never more than a limit of each, piece by piece."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from typing import IO, Any

MAX_PLAIN_BYTES = 4 << 30  # of a batch, packed or not; a busy one of 35,000 lines has 9 million
MAX_RATIO = 200  # bytes unpacked for one packed; the densest logs come to 50
FREE_BYTES = 32 << 20  # unpacked before the ratio counts: so many bytes hurt nobody
MAX_FRAMES = 100_000  # gzip members or Zstandard frames of one file: one every 9 ms of a window
MAX_WINDOW_BYTES = 32 << 20  # what a Zstandard frame may want to look back on, in memory
_BUFFER_BYTES = 256 << 10
_GZIP_MAGIC = b"\x1f\x8b"

GZIP, ZSTD, PLAIN = "gzip", "zstd", "none"  # DuckDB's words for them
# What one piece unpacks to stays in memory: up to 1,032 times its size, with Zstandard 32,768 times.
_PIECE_BYTES = {GZIP: 16 << 10, ZSTD: 1 << 10}


def packing_of(name: str) -> str:
    """How a file of this name is packed."""
    return GZIP if name.endswith(".gz") else ZSTD if name.endswith(".zst") else PLAIN


def unpacked(descriptor: int, packing: str) -> IO[bytes]:
    """The plain bytes of an open file from its beginning, whatever else reads from the descriptor.

    Reading raises OSError, EOFError where a packed file is cut off, ValueError where it is damaged or over a limit.
    """
    raw = io.BufferedReader(_Bytes(descriptor), _BUFFER_BYTES)
    return raw if packing == PLAIN else io.BufferedReader(_Unpacked(raw, packing), _BUFFER_BYTES)


def check_size(size: int) -> None:
    """Raises ValueError for more bytes than a batch may have."""
    if size > MAX_PLAIN_BYTES:
        raise ValueError(f"holds more than {MAX_PLAIN_BYTES:,} bytes, the most that is read; look at what wrote it")


def _check_ratio(plain: int, packed: int) -> None:
    if plain > FREE_BYTES and plain > packed * MAX_RATIO:
        raise ValueError(f"unpacks to more than {MAX_RATIO} times its size, which logs never do; look at what wrote it")


def _check_frames(frames: int) -> None:
    if frames > MAX_FRAMES:
        raise ValueError(f"is packed in more than {MAX_FRAMES:,} parts; unpack it and pack it again in one")


class _Bytes(io.RawIOBase):
    """A file's bytes by position, so that no reader moves another's place."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        check_size(self._position)
        return count


class _Unpacked(io.RawIOBase):
    """Gzip members or Zstandard frames, one after the other; one that is cut off is an EOFError, never a short file."""

    def __init__(self, source: IO[bytes], packing: str) -> None:
        self._source, self._begin, self._piece_bytes = source, _BEGIN[packing], _PIECE_BYTES[packing]
        self._packed, self._plain = b"", memoryview(b"")
        self._frame: Any = None
        self._frames = self._packed_bytes = self._plain_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and self._has_more():
            self._unpack()
        count = min(len(buffer), len(self._plain))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def _has_more(self) -> bool:
        if not self._packed:
            self._packed = self._source.read(self._piece_bytes)
            self._packed_bytes += len(self._packed)
        if not self._packed and self._frame:
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")
        return bool(self._packed)

    def _unpack(self) -> None:
        import zstandard

        if self._frame is None:
            if self._frames and self._begin is _begin_gzip:
                self._packed = self._packed.lstrip(b"\0")  # gzip allows zeros after a member
                if not self._packed:
                    return
            self._packed += self._source.read(1) if len(self._packed) == 1 else b""
            self._frame = self._begin(self._packed)
            self._frames += 1
            _check_frames(self._frames)
        try:
            plain = self._frame.decompress(self._packed)
        except (zlib.error, zstandard.ZstdError) as fault:
            raise ValueError(_told(fault)) from fault
        self._packed = self._frame.unused_data if self._frame.eof else b""
        self._frame = None if self._frame.eof else self._frame
        self._plain, self._plain_bytes = memoryview(plain), self._plain_bytes + len(plain)
        _check_ratio(self._plain_bytes, self._packed_bytes)
        check_size(self._plain_bytes)


def _begin_gzip(start: bytes) -> Any:
    if not start.startswith(_GZIP_MAGIC):
        raise ValueError(f"Not a gzipped file ({start[:2]!r})")
    return zlib.decompressobj(wbits=31)


def _begin_zstd(_: bytes) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()


_BEGIN: dict[str, Callable[[bytes], Any]] = {GZIP: _begin_gzip, ZSTD: _begin_zstd}


def _told(fault: Exception) -> str:
    if "too much memory" in str(fault):
        window = f"{MAX_WINDOW_BYTES >> 20} MiB"
        return f"is packed with a window of more than {window}; pack it again without --long or --ultra ({fault})"
    return f"is damaged, or not packed as its name says ({fault})"
