"""The numbers of a valid configuration, as control files have them: seconds, bytes, counts."""

from typing import Any

from appliance.config import measures


def limits(tree: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Control files of one number each."""
    most, timeouts, queue = tree["limits"], tree["timeouts"], tree["queue"]
    return (
        ("concurrencylocal", queue["concurrency"]["local"]),
        ("concurrencyremote", queue["concurrency"]["remote"]),
        ("databytes", measures.message_size(most["message_size"])),
        ("freedisk", measures.queue_size(queue["free_disk"])),
        *((f"max{name}", most[name]) for name in ("commands", "errors", "hops", "recipients", "refusals", "sessions")),
        ("maxsessionsperclient", most["sessions_per_client"]),
        ("queuelifetime", measures.duration(queue["lifetime"])),
        ("queuesize", measures.queue_size(queue["size"])),
        ("timeoutconnect", measures.duration(timeouts["connect"])),
        ("timeoutremote", measures.duration(timeouts["remote"])),
        ("timeoutsession", measures.duration(timeouts["session"])),
        ("timeoutsmtpd", measures.duration(timeouts["smtpd"])),
    )


def programs(value: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """control/programlimits."""
    return (
        ("time", measures.duration(value["time"])),
        ("memory", measures.program_size(value["memory"])),
        ("processes", value["processes"]),
        ("file_size", measures.program_size(value["file_size"])),
    )


def bounces(value: dict[str, Any]) -> tuple[tuple[str, str | int], ...]:
    """control/bounces."""
    return (
        ("format", value["format"]),
        ("returnsize", measures.returned_size(value["return_size"])),
        ("reportafter", measures.report_time(value["report_after"])),
        ("delaynotice", measures.notice_time(value["delay_notice"])),
    )
