"""What a worker's report means for a delivery and its message.  Pure: states in, decisions out."""

from collections.abc import Sequence

from appliance.errors import Result
from appliance.lease import Report
from appliance.message.qsbmf import GAVE_UP

NO_REPORT = Report(Result.TEMPORARY, b"The delivery program gave no result for this recipient.")


class Outcome:
    """The recipients of one attempt, by what became of them."""

    __slots__ = ("deferred", "done", "failed")

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.deferred: list[tuple[bytes, bytes]] = []  # recipient, text
        self.failed: list[tuple[bytes, bytes]] = []


def judge(recipients: tuple[bytes, ...], reports: Sequence[Report], last: bool) -> Outcome:
    """Match results with recipients; missing ones are temporary, and if there are too many, all are (guarantee 9).

    last: a temporary failure counts as permanent, the message is too old (guarantee 7).
    """
    outcome = Outcome()
    if len(reports) > len(recipients):  # whose result is whose?
        reports = ()
    missing = len(recipients) - len(reports)
    for recipient, report in zip(recipients, [*reports, *[NO_REPORT] * missing], strict=True):
        if report.result is Result.DONE:
            outcome.done.append(recipient)
        elif report.result is Result.PERMANENT:
            outcome.failed.append((recipient, report.text))
        elif last:
            text = report.text
            outcome.failed.append((recipient, text + (b"" if text.endswith(b"\n") else b"\n") + GAVE_UP))
        else:
            outcome.deferred.append((recipient, report.text))
    return outcome
