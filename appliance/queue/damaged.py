"""What has been set aside of a damaged queue, in words for people. Imports nothing, for health asks every few seconds."""

from pathlib import Path


def notes(queue: Path) -> list[str]:
    """A sentence for each folder."""
    found = []
    for folder in sorted(queue.glob("damaged-*")):
        if (folder / "report").exists():
            found.append(f"{folder}: damage was found in the queue; read its report, then remove the folder")
        else:
            found.append(f"{folder}: damage was found in the queue; what can be read of it is being recovered")
    return found
