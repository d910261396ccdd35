"""A queue does not lie on a network file system."""

from pathlib import Path

import pytest

from appliance.queue.filesystem import TABLE, is_network, kind

TABLE_TEXT = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /mnt/nas rw - nfs4 nas:/export rw
31 22 0:41 / /mnt/nas/local rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/with\\040space rw shared:7 master:1 - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "name", "network"),
    [
        ("/var/lib/paperpath/queue", "ext4", False),
        ("/mnt/nas/state/queue", "nfs4", True),
        ("/mnt/nas/local/queue", "xfs", False),
        ("/mnt/nasty/queue", "ext4", False),
        ("/mnt/with space/queue", "fuse.sshfs", True),
    ],
)
def test_kind(path, name, network):
    """The file system is that of the deepest mount above the folder."""
    assert kind(Path(path), TABLE_TEXT) == name
    assert is_network(name) == network


def test_this_machine(tmp_path):
    """The machine that runs this test keeps its temporary files somewhere local."""
    assert not is_network(kind(tmp_path.resolve(), TABLE.read_text()))
