"""Many messages, several hops, and what happens when the queue or the configuration changes."""

import asyncio
import contextlib
import socket
import time

import pytest
from remote_parts import CONTENT, DROP, HANG, Peer, activate, delivery, make_state, on_uvloop, relaying


def test_one_connection_serves_many_messages(tmp_path):
    """A batch for one hop goes over few connections, and none is opened per message."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", concurrencyremote="2")
            async with relaying(state) as queue:
                await queue.give(*[delivery(n) for n in range(1, 101)])
                await queue.results(*range(1, 101))
            assert len(peer.messages) == 100
            assert 1 <= len(peer.connections) <= 2

    on_uvloop(run())


def test_an_idle_connection_says_quit(tmp_path):
    """A connection without work is kept a second for more, then ended in peace."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                await queue.give(delivery(1))
                await queue.results(1)
                await queue.give(delivery(2))
                await queue.results(2)
                assert len(peer.connections) == 1
                async with asyncio.timeout(60):
                    while peer.connections[0][-1] != b"QUIT\r\n":  # noqa: ASYNC110  # the peer tells nobody
                        await asyncio.sleep(0.05)

    on_uvloop(run())


@pytest.mark.parametrize("concurrency", [1, 2, 20])
def test_a_hop_that_hangs_does_not_hold_up_others(tmp_path, concurrency):
    """Much mail for a dead host, and the mail for a living one still arrives."""

    async def run():
        async with Peer(greeting=HANG).serving() as dead, Peer().serving() as alive:
            routes = f"dead.example:{dead.route}\nalive.example:{alive.route}"
            state = make_state(tmp_path, smtproutes=routes, concurrencyremote=str(concurrency), timeoutremote="20")
            async with relaying(state) as queue:
                await queue.give(*[delivery(n, b"x@dead.example") for n in range(1, 10 * concurrency)])
                living = range(1000, 1030)
                await queue.give(*[delivery(n, b"x@alive.example") for n in living])
                assert set(await queue.results(*living, timeout=15)) == {"K", " "}

    on_uvloop(run())


def test_a_flood_for_a_hop_that_hangs_leaves_room_for_others(tmp_path):
    """More mail for a dead host than the credit: it does not count as in hand while it does not move."""

    async def run():
        async with Peer(greeting=HANG).serving() as dead, Peer().serving() as alive:
            routes = f"dead.example:{dead.route}\nalive.example:{alive.route}"
            state = make_state(tmp_path, smtproutes=routes, concurrencyremote="5", timeoutremote="20")
            async with relaying(state) as queue:
                await queue.give(*[delivery(n, b"x@dead.example") for n in range(1, 51)])
                await asyncio.sleep(1.5)
                await queue.give(*[delivery(n, b"x@alive.example") for n in range(1000, 1030)])
                await queue.results(*range(1000, 1030), timeout=15)

    on_uvloop(run())


def test_more_hops_than_connections_take_turns(tmp_path):
    """With two connections for six hops each hop gets its mail, a big batch notwithstanding."""

    async def run():
        async with Peer().serving() as peer:
            routes = "\n".join(f"h{n}.example:127.0.0.{n + 1}:{peer.port}" for n in range(6))
            state = make_state(tmp_path, smtproutes=routes, concurrencyremote="2")
            async with (
                asyncio.timeout(20),
                await asyncio.start_server(peer._serve, [f"127.0.0.{n + 1}" for n in range(1, 6)], peer.port),
                relaying(state) as queue,
            ):
                items = [delivery(n, b"x@h%d.example" % (n % 6 if n % 3 else 0)) for n in range(1, 121)]
                giving = asyncio.create_task(queue.give(*items))
                await queue.results(*range(1, 121))
                await giving
            assert len(peer.messages) == 120

    on_uvloop(run())


def test_more_hops_that_hang_than_connections_do_not_hold_up_others(tmp_path):
    """A connection whose peer is quiet does not count for other hops."""

    async def run():
        async with Peer(greeting=HANG).serving() as dead, Peer().serving() as alive:
            routes = "\n".join(f"dead{n}.example:127.0.0.{n + 2}:{dead.port}" for n in range(6))
            state = make_state(
                tmp_path, smtproutes=f"{routes}\nalive.example:{alive.route}", concurrencyremote="2", timeoutremote="20"
            )
            async with (
                await asyncio.start_server(dead._serve, [f"127.0.0.{n + 2}" for n in range(6)], dead.port),
                relaying(state) as queue,
            ):
                await queue.give(*[delivery(n, b"x@dead%d.example" % (n % 6)) for n in range(1, 13)])
                await queue.give(*[delivery(n, b"x@alive.example") for n in range(1000, 1005)])
                await queue.results(*range(1000, 1005), timeout=15)

    on_uvloop(run())


def test_a_hop_that_failed_twice_is_left_alone_for_a_second(tmp_path):
    """Mail that comes meanwhile fails as the last did; later mail is tried."""

    async def run():
        async with Peer(greeting=b"421 not now").serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                begun = time.monotonic()
                for number in range(1, 20):
                    await queue.give(delivery(number))
                    assert await queue.results(number) == "Z"
                assert len(peer.connections) == 2 or time.monotonic() - begun > 1
                await asyncio.sleep(1.1)
                peer.answers["greeting"] = b"220 hi"
                await queue.give(delivery(100))
                assert await queue.results(100) == "K"

    on_uvloop(run())


def test_trap_27_the_next_address_is_tried(tmp_path):
    """An address that refuses, and one that does not want to talk, are passed over."""

    async def run():
        async with Peer(greeting=b"554 no").serving() as rude, Peer().serving() as good:
            hosts = tmp_path / "hosts"
            hosts.write_text("127.0.0.2 relay\n127.0.0.3 relay\n127.0.0.1 relay\n")
            state = make_state(tmp_path, smtproutes=f":relay:{good.port}")
            extra = await asyncio.start_server(rude._serve, "127.0.0.3", good.port)
            async with extra, relaying(state) as queue:
                queue.remote._resolver._hosts._path = str(hosts)
                await queue.give(delivery(1))
                assert await queue.results(1) == "K"
            assert (len(rude.connections), len(good.messages)) == (1, 1)

    on_uvloop(run())


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_trap_27_a_host_that_puts_the_first_message_off_is_passed_over(tmp_path, step):
    """Its neighbour is asked at once, for a minute first; if all put it off, that is the answer, once for each."""

    async def run():
        async with Peer(**{step: b"451 4.7.1 not now"}).serving() as busy, Peer().serving() as good:
            hosts = tmp_path / "hosts"
            hosts.write_text("127.0.0.3 relay\n127.0.0.1 relay\n")
            state = make_state(tmp_path, smtproutes=f":relay:{good.port}")
            extra = await asyncio.start_server(busy._serve, "127.0.0.3", good.port)
            async with extra, relaying(state) as queue:
                queue.remote._resolver._hosts._path = str(hosts)
                await queue.give(delivery(1))
                assert await queue.results(1) == "K"
                await queue.give(delivery(2))
                assert await queue.results(2) == "K"
                assert (len(busy.connections), len(good.messages)) == (1, 2)
                good.answers[step] = b"452 4.3.1 full"
                await asyncio.sleep(1.2)  # the connection in use is given up
                await queue.give(delivery(3))
                assert await queue.results(3) == "Z"
                assert len(busy.connections) <= 2

    on_uvloop(run())


def test_a_hop_that_takes_two_connections_is_not_pressed_for_more(tmp_path):
    """421 to a further connection is nobody's failure: all mail goes by the two that are open."""

    async def run():
        class Small(Peer):
            open = 0

            async def _talk(self, reader, writer):
                self.open += 1
                self.answers["greeting"] = b"220 hi" if self.open <= 2 else b"421 too many"
                try:
                    await super()._talk(reader, writer)
                finally:
                    self.open -= 1

            async def _answer(self, writer, step, line):
                await asyncio.sleep(0.002)
                return await super()._answer(writer, step, line)

        async with Small().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                await queue.give(*[delivery(n) for n in range(1, 151)])
                assert set(await queue.results(*range(1, 151))) == {"K", " "}
            assert len(peer.messages) == 150
            assert len(peer.connections) < 8

    on_uvloop(run())


def test_a_report_that_was_lost_is_made_again(tmp_path):
    """If the queue dies before it keeps a report, the message is not sent twice."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                await queue.give(delivery(1, b"a@x.example", b"b@x.example"))
                assert await queue.results(1) == "KK"
                await queue.stop()
                queue.reports.clear()
                await queue.start()
                await queue.give(delivery(1, b"a@x.example", b"b@x.example"))
                await queue.give(delivery(2, b"a@x.example"))
                assert await queue.results(1, 2) == "KK K"
            assert len(peer.messages) == 2

    on_uvloop(run())


def test_an_answer_to_a_dot_counts_although_the_queue_is_gone(tmp_path):
    """The queue restarts while a peer thinks about a message: it is not sent again."""

    async def run():
        dot, gone = asyncio.Event(), asyncio.Event()

        class Slow(Peer):
            async def _answer(self, writer, step, line):
                if step == "DOT":
                    dot.set()
                    await gone.wait()
                return await super()._answer(writer, step, line)

        async with Slow().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                await queue.give(delivery(1))
                await dot.wait()
                await queue.stop()
                gone.set()
                await asyncio.sleep(0.3)
                await queue.start()
                await queue.give(delivery(1))
                assert await queue.results(1) == "K"
                assert b"report of it was lost" in queue.reports[1][0].text
            assert len(peer.messages) == 1

    on_uvloop(run())


def test_what_was_not_sent_is_dropped_when_the_queue_goes(tmp_path):
    """The queue hands it out again: sending it without a lease would double it."""

    async def run():
        async with Peer(MAIL=HANG).serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", timeoutremote="20")
            async with relaying(state) as queue:
                await queue.give(delivery(1), delivery(2))
                await peer.heard(b"MAIL")
                await queue.stop()
                peer.answers["MAIL"] = b"250 ok"
                await queue.start()
                await queue.give(delivery(1), delivery(2))
                assert await queue.results(1, 2) == "K K"
            assert len(peer.messages) == 2

    on_uvloop(run())


def test_a_new_generation_decides_from_the_next_attempt_on(tmp_path):
    """A changed route is followed without a restart."""

    async def run():
        async with Peer().serving() as old, Peer().serving() as new:
            both = f"old.example:{old.route}\nnew.example:{new.route}"
            state = make_state(tmp_path, smtproutes=f"{both}\n:{old.route}")
            async with relaying(state) as queue:
                await queue.give(delivery(1))
                await queue.results(1)
                activate(state, "two", smtproutes=f"{both}\n:{new.route}", helohost="other.example")
                await asyncio.sleep(0.4)
                await queue.give(delivery(2))
                await queue.results(2)
            assert (len(old.messages), len(new.messages)) == (1, 1)
            assert new.connections[0][0] == b"EHLO other.example\r\n"

    on_uvloop(run())


def test_a_route_with_tls_defers_its_mail(tmp_path):
    """It is never sent in clear."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", routesecurity=':{"tls": "required"}')
            async with relaying(state) as queue:
                await queue.give(delivery(1))
                assert await queue.results(1) == "Z"
                assert b"TLS or AUTH" in queue.reports[1][0].text
            assert not peer.connections

    on_uvloop(run())


def test_a_peer_that_drops_each_connection_at_once_is_not_asked_in_a_loop(tmp_path):
    """All that waits is deferred after one round."""

    async def run():
        async with Peer(greeting=DROP).serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                await queue.give(*[delivery(n) for n in range(1, 101)])
                assert set(await queue.results(*range(1, 101))) == {"Z", " "}
            assert len(peer.connections) <= 4

    on_uvloop(run())


def test_what_is_in_hand_is_finished_at_the_end(tmp_path):
    """A stop waits for the answer to a dot, begins nothing more, and reports."""

    async def run():
        async with Peer().serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}")
            async with relaying(state) as queue:
                answer = peer._answer

                async def slow(writer, step, line):
                    await asyncio.sleep(0.5 if step == "DOT" else 0)
                    return await answer(writer, step, line)

                peer._answer = slow
                await queue.give(delivery(1))
                await peer.heard(b"DATA")
            assert queue.reports[1][0].result == "K"
            assert peer.messages == [CONTENT.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")]

    on_uvloop(run())


def test_a_connection_that_does_not_come_about_is_given_up(tmp_path):
    """After timeoutconnect the mail is deferred, and the address is left alone for a while."""

    async def run():
        with socket.socket() as full, contextlib.ExitStack() as fill:
            full.bind(("127.0.0.1", 0))
            full.listen(0)  # a full backlog drops what knocks
            for _ in range(3):
                knock = fill.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(full.getsockname())
            state = make_state(tmp_path, smtproutes=f":127.0.0.1:{full.getsockname()[1]}")
            async with relaying(state) as queue:
                await queue.give(delivery(1))
                assert await queue.results(1) == "Z"
                assert b"no answer in time. (#4.4.1)" in queue.reports[1][0].text
                await queue.give(delivery(2))
                assert await queue.results(2) == "Z"
                assert b"did not answer lately" in queue.reports[2][0].text  # without another try

    on_uvloop(run())
