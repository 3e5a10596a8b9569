"""What a client of MessagePack-RPC sees that was not written here: pynvim's session, and plain msgpack on a socket.

    test_foreign_client.py PORT      a fresh server; prints "ok NAME" or "FAIL NAME" and a closing line
"""
import signal
import socket
import sys
import traceback

import msgpack
from pynvim.msgpack_rpc import session

PORT = int(sys.argv[1])
BOUND_S = 60  # of the whole program: pynvim waits without end


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.code, self.message, self.detail = error


def connected():
    s = session("tcp", "127.0.0.1", PORT)
    s.error_wrapper = Refused
    return s


def refusal(s, method, *params):
    try:
        answer = s.request(method, *params)
    except Refused as no:
        return no
    raise AssertionError(f"{method} was not refused: {answer}")


def event(n, kind, qty, sku="APPLE", location="ST-1"):
    return {"v": 1, "source": "py", "n": n, "kind": kind, "sku": sku, "location": location, "qty": qty}


# ---- pynvim's session -----------------------------------------------------------------------------------------------


def pynvim_posts_reserves_and_reads():
    s = connected()
    hello = s.request("hello", {"v": 1, "client": "pynvim"})
    assert hello["v"] == 1 and hello["limits"]["lines"] == 100
    seq, outcomes = s.request("post", [event(1, "receipt", 12), event(2, "sale", 2), event(2, "sale", 2)])
    assert outcomes == ["applied", "applied", "duplicate"] and seq >= 2
    held = s.request("reserve", "py-1", [["APPLE", "ST-1", 3]], {"ttl_ms": 60000, "owner": "ünï"})
    assert held["state"] == "held" and held["lines"] == [["APPLE", "ST-1", 3]] and held["again"] is False
    assert s.request("reserve", "py-1", [["APPLE", "ST-1", 3]], {"ttl_ms": 60000, "owner": "ünï"})["again"] is True
    at, ats = s.request("ats", [["APPLE", "ST-1"], ["APPLE", "nowhere"]], {"min_seq": held["seq"]})
    assert ats == [7, None] and at >= held["seq"]
    cell = s.request("stock", [["APPLE", "ST-1"]])[1][0]
    assert (cell["on_hand"], cell["reserved"], cell["committed"], cell["ats"]) == (10, 3, 0, 7)
    assert s.request("commit", "py-1")["state"] == "committed"
    seen = s.request("reservation", "py-1")
    assert seen["state"] == "committed" and seen["owner"] == "ünï" and seen["lines"][0]["committed"] == 3
    assert s.request("outcome", "py-1")["known"] is True
    assert s.request("position", "py")["contiguous"] == 2
    page = s.request("scan", {"location": "ST-1"})
    assert [c[:2] + c[3:] for c in page["cells"]] == [["APPLE", "ST-1", 7, 10]] and page["cursor"] is None
    s.close()


def pynvim_gets_errors_with_code_message_and_detail():
    s = connected()
    no = refusal(s, "reserve", "py-2", [["APPLE", "ST-1", 1000]])
    assert no.code == "insufficient" and isinstance(no.message, str)
    assert no.detail["lines"][0]["asked"] == 1000 and no.detail["lines"][0]["available"] == 7
    assert refusal(s, "reservation", "nobody").code == "not_found"
    no = refusal(s, "extend", "py-1", 1000)
    assert (no.code, no.detail["state"]) == ("wrong_state", "committed")
    assert refusal(s, "reserve", "py-1", [["APPLE", "ST-1", 4]]).code == "conflict"
    assert refusal(s, "reserve", "py-3", [["APPLE", "ST-1", 1.0]]).code == "bad_request"
    assert refusal(s, "reserve", "py-3", [["APPLE", "ST-1", 2**63]]).code == "bad_request"
    assert refusal(s, "reserve").code == "bad_request"
    assert refusal(s, "reserve", "py-3", [["PEAR", "ST-1", 1]]).code == "unknown_sku"
    assert refusal(s, "frobnicate").code == "unknown_method"
    assert s.request("ats", [["APPLE", "ST-1"]])[1] == [7]
    s.close()


def told(watcher, seq):
    """The changes up to a position."""
    changes, reached = [], 0
    while reached < seq:
        kind, method, params = watcher.next_message()
        assert kind == "notification" and method in ("changed", "reached")
        changes += params if method == "changed" else []
        reached = params[-1][0] if method == "changed" else params[0]
    return changes


def pynvim_watches():
    watcher, other = connected(), connected()
    since = watcher.request("watch", {"sku": "APPLE", "full": True})["seq"]
    assert refusal(watcher, "watch", {}).code == "limit"
    other.request("reserve", "py-4", [["APPLE", "ST-1", 7]])
    release = other.request("release", "py-4")
    changes = told(watcher, release["seq"])
    assert changes[0][0] > since and [c[1:3] for c in changes] == [["APPLE", "ST-1"]] * len(changes)
    assert changes[0][4] == 7 and all(c[5] == 10 for c in changes) and changes[-1][0] == release["seq"]
    if len(changes) == 2:  # not merged
        assert [c[3] for c in changes] == [0, 7] and [c[6] for c in changes] == ["out", "back"]
    late = connected()
    assert late.request("watch", {"since": since})["seq"] == since
    assert told(late, changes[-1][0])[-1][:4] == [changes[-1][0], "APPLE", "ST-1", 7]
    no = refusal(connected(), "watch", {"since": 2**52})
    assert no.code == "behind" and no.detail["seq"] >= since
    for s in (watcher, other, late):
        s.close()


# ---- plain msgpack on a socket --------------------------------------------------------------------------------------


class Line:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), 20)
        self.unpacker = msgpack.Unpacker()

    def send(self, *messages):
        self.socket.sendall(b"".join(msgpack.packb(m) for m in messages))

    def next(self):
        """The next message; None: the server has closed."""
        while True:
            for message in self.unpacker:
                return message
            data = self.socket.recv(65536)
            if not data:
                return None
            self.unpacker.feed(data)


def plain_msgpack_pipelines_and_matches_by_number():
    line = Line()
    numbers = [0, 2**32 - 1] + list(range(100, 1100))
    line.send(*[[0, n, "ats", [[["APPLE", "ST-1"]]]] for n in numbers], [2, "hello", ["ignored"]])
    answers = {a[1]: a for a in (line.next() for _ in numbers)}
    assert sorted(answers) == sorted(numbers)
    assert all(a[0] == 1 and a[2] is None and a[3][1] == [7] for a in answers.values())


def plain_msgpack_commands_are_executed_in_the_order_sent():
    line = Line()
    line.send([0, 1, "reserve", ["py-5", [["APPLE", "ST-1", 7]]]], [0, 2, "reserve", ["py-6", [["APPLE", "ST-1", 1]]]],
              [0, 3, "release", ["py-5"]], [0, 4, "reserve", ["py-6", [["APPLE", "ST-1", 1]]]], [0, 5, "release", ["py-6"]])
    answers = {a[1]: a for a in (line.next() for _ in range(5))}
    assert answers[2][2][0] == "insufficient" and all(answers[n][2] is None for n in (1, 3, 4, 5))


def plain_msgpack_bytes_are_no_strings():
    line = Line()
    line.send([0, 7, "ats", [[[b"APPLE", "ST-1"]]]])
    assert line.next()[2][0] == "bad_request"
    line.send([0, 8, "ats", [[["APPLE", "ST-1"]]]])
    assert line.next()[3][1] == [7]


def plain_msgpack_nested_too_deep_is_answered_and_closed():
    line = Line()
    deep = []
    for _ in range(20):
        deep = [deep]
    line.send([0, 9, "ats", deep])
    answer = line.next()
    assert answer[1] == 9 and answer[2][0] == "bad_request"
    assert line.next() is None


def main():
    passed = failed = 0
    signal.alarm(BOUND_S)
    for test in (pynvim_posts_reserves_and_reads, pynvim_gets_errors_with_code_message_and_detail, pynvim_watches,
                 plain_msgpack_pipelines_and_matches_by_number, plain_msgpack_commands_are_executed_in_the_order_sent,
                 plain_msgpack_bytes_are_no_strings, plain_msgpack_nested_too_deep_is_answered_and_closed):
        try:
            test()
            print("ok", test.__name__)
            passed += 1
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc(file=sys.stdout)
            print("FAIL", test.__name__)
            failed += 1
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
