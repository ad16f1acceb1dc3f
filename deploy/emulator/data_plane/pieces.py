"""How an answer is cut into pieces on its way: not where its events end, and in bad times within a character."""

import codecs
from random import Random

from deploy.emulator.model.faults import Faults

_CUT_CHANCE = 0.3
GARBAGE = b'data: {"id": "chatcmpl-broken", "choi\n\n'


class StreamCut(Exception):
    """The stream ends here, as a fault has it."""


class Cutter:
    """One stream's bytes on their way through the worker, which decodes each network chunk by itself.

    A chunk mostly is what the engine sent at once; a part of it may come with the next one instead.
    """

    def __init__(self, random: Random, faults: Faults) -> None:
        self._random = random
        self._faults = faults
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, data: bytes) -> list[str]:
        """What the worker yields now."""
        size = self._faults.piece_bytes
        self._held += data
        if size is None:
            cut = len(self._held)
            if self._random.random() < _CUT_CHANCE:
                cut = self._random.randrange(1, cut + 1)
            return self._texts([self._take(cut)])
        chunks = [self._take(size) for _ in range(len(self._held) // size)]
        return self._texts(chunks)

    def end(self) -> list[str]:
        """What is left."""
        return self._texts([self._take(len(self._held))])

    def _take(self, size: int) -> bytes:
        chunk, self._held = self._held[:size], self._held[size:]
        return chunk

    def _texts(self, chunks: list[bytes]) -> list[str]:
        if self._faults.split_characters:
            texts = [chunk.decode(errors="replace") for chunk in chunks]
        else:
            texts = [self._decoder.decode(chunk) for chunk in chunks]
        return [text for text in texts if text]


class Spoiler:
    """Does to one stream of bytes what faults have it: garbles every n-th piece, ends it after some."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._count = 0

    def spoil(self, piece: bytes) -> bytes:
        """The piece as it goes on.

        Raises:
            StreamCut: It does not go on.
        """
        if self._faults.cut_after is not None and self._count >= self._faults.cut_after:
            raise StreamCut
        self._count += 1
        if self._faults.garble_every and self._count % self._faults.garble_every == 0:
            return GARBAGE
        return piece
