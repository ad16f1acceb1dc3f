from bench.answer import Answer

HEAD = b"HTTP/1.1 200 OK\r\n"
STREAM = HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'10\r\ndata: {"a":1}\n\n\r\n'
END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def test_a_whole_answer_is_whole_at_its_last_byte_and_not_before() -> None:
    answer = Answer()
    whole = []
    for piece in (HEAD + b"Content-Length: 4\r\n\r\nab", b"c", b"d"):
        answer.feed(piece)
        whole.append(answer.whole)
    assert whole == [False, False, True]
    assert (answer.status, answer.stream) == (200, False)


def test_events_are_counted_once_however_the_bytes_are_cut() -> None:
    text = STREAM + EVENT * 3 + END
    for size in range(1, len(text)):
        answer = Answer()
        begun = sum(answer.feed(text[start : start + size]) for start in range(0, len(text), size))
        assert (begun, answer.events, answer.whole, answer.status) == (4, 4, True, 200), size


def test_a_stream_without_its_end_marker_is_not_whole() -> None:
    answer = Answer()
    answer.feed(STREAM + EVENT + b"0\r\n\r\n")
    assert not answer.whole
