"""What kind of file system the queue lies on (a network one forgets locks and syncs)."""

from pathlib import Path

# a sync there may be a promise, and a lock may be lost with the network
NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "ceph",
    "fuse",
    "glusterfs",
    "lustre",
    "afs",
    "gfs2",
    "ocfs2",
    "beegfs",
    "virtiofs",
)
TABLE = Path("/proc/self/mountinfo")


def kind(path: Path, table: str) -> str:
    """The type of the file system that holds `path`, by a mount table in the form of mountinfo (proc(5))."""
    best, found = -1, "unknown"
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4].encode().decode("unicode_escape")
        inside = mount == "/" or path == Path(mount) or Path(mount) in path.parents
        if inside and len(mount) >= best:  # the last mount on a place hides the earlier ones
            best, found = len(mount), right.split(" ")[0]
    return found


def is_network(name: str) -> bool:
    """Whether a queue may not lie there."""
    return name.startswith(NETWORK)
