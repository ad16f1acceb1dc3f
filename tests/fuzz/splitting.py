"""Cuts bytes into pieces as a network may: where is drawn from the fuzzer's input itself."""


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The pieces of ``data``, and ``data`` itself, without the first four bytes, which say how large pieces are."""
    sizes, data = data[:4], data[4:]
    pieces = []
    at = turn = 0
    while at < len(data):
        size = 1 + (sizes[turn % 4] if sizes else 0)
        pieces.append(data[at : at + size])
        at += size
        turn += 1
    return pieces, data
