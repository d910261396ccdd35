"""A peer that does anything at any time: each delivery has one report, and no report lies."""

import asyncio
import random

import pytest
from remote_parts import CONTENT, DROP, Peer, delivery, make_state, on_uvloop, relaying

ANSWERS = {
    "greeting": [b"421 busy", b"554 no", DROP],
    "EHLO": [b"502 what", b"421 no", b"250 plain", DROP],
    "MAIL": [b"421 enough", b"451 later", b"550 no", b"???", DROP],
    "RCPT": [b"450 later", b"550 no", b"250-a\r\n250 b", DROP],
    "DATA": [b"451 later", b"554 no", b"421 bye", b"250 eh", DROP],
    "DOT": [b"451 later", b"554 no", b"421 bye", b"nonsense", DROP],
    "RSET": [b"421 bye", b"500 no", DROP],
}


class Mad(Peer):
    """Answers as it should most of the time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.accepted: list[bytes] = []

    async def _answer(self, writer, step, line):
        answer = self.answers.get(step, b"500 what?")
        if step in ANSWERS and self.random.random() < 0.06:
            answer = self.random.choice(ANSWERS[step])
        if step == "DOT" and answer is self.answers["DOT"]:
            self.accepted.append(line)
        if answer is DROP:
            raise ConnectionResetError
        writer.write(answer + b"\r\n")
        if self.random.random() < 0.2:
            await asyncio.sleep(0)
        return answer


@pytest.mark.parametrize("seed", range(8))
def test_no_report_lies(tmp_path, seed):
    """What is reported done was accepted; what was accepted and not reported done had its answer lost."""

    async def run():
        async with Mad(seed).serving() as peer:
            state = make_state(tmp_path, smtproutes=f":{peer.route}", concurrencyremote="5", timeoutremote="5")
            async with relaying(state) as queue:
                items = [delivery(n, b"u%d@x.example" % n, content=b"No: %d\n" % n + CONTENT) for n in range(1, 301)]
                giving = asyncio.create_task(queue.give(*items))
                await queue.results(*range(1, 301))
                await giving
                for number in range(1, 301):
                    (report,) = queue.reports[number]
                    accepted = sum(line.startswith(b"No: %d\r\n" % number) for line in peer.accepted)
                    lost = b"Possible duplicate" in report.text
                    assert accepted == (report.result == "K") or (lost and accepted <= 1), report
                # most of it must get through, whatever some answers were
                assert sum(reports[0].result == "K" for reports in queue.reports.values()) > 100

    on_uvloop(run())
