"""The benchmark's own arithmetic: medians and ratios, the document's markers, the account of a process tree."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # bench/ is no part of the installed package

from bench import plan, table
from bench.arrivals import Maildir
from bench.contestant import Start
from bench.process_tree import ProcessTree

BURN = "import time\nwhile time.process_time() < {seconds}: pass"


def run(name, scenario, rate, cpu_ms, **more):
    figures = {"rate": rate, "cpu_ms": cpu_ms, "lost": 0, "duplicated": 0, "problem": None}
    return {"contestant": name, "scenario": scenario, **figures, **more}


def raw(*runs, latency=()):
    contestants = {
        "paperpath": {"title": "Paperpath", "version": "1", "missing": None},
        "postfix": {"title": "Postfix", "version": "3.7", "missing": None},
        "exim": {"title": "Exim", "version": "", "missing": "no package"},
    }
    machine = {"cores": 2, "kernel": "6", "file_system": "ext4", "fsync_ms": 0.2}
    head = {"when": "today", "commit": "abc", "rounds": 3, "settings": {"messages": 10, "size": 4096}}
    return {
        **head,
        "machine": machine,
        "limits": {},
        "contestants": contestants,
        "runs": list(runs),
        "latency": list(latency),
    }


def row(text, start):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rates_are_medians_with_a_ratio_to_postfix():
    """Three runs become their median, half their range in percent, and how often Postfix's that is."""
    runs = [run("paperpath", "maildir-each", rate, 0.4) for rate in (1900.0, 2000.0, 2100.0)]
    runs += [run("postfix", "maildir-each", rate, 2.0) for rate in (500.0, 400.0, 900.0)]
    text = table.render(raw(*runs))
    assert row(text, "to Maildir, a connection each")[1:] == ["2,000 ±5% (4.00 x)", "500 ±50%"]
    assert row(text, "… CPU ms")[1:] == ["0.40 (0.20 x)", "2.00"]


def test_a_server_that_is_not_there_is_named_with_its_reason():
    """A contestant without a package has no column but a line below the table."""
    text = table.render(raw())
    assert "* Exim: not available: no package" in text
    assert "Exim" not in text.splitlines()[2]


def test_a_stalled_run_shows_why_and_counts_no_figure():
    """Where a server stalled there is no rate; its unfinished run is told apart from lost mail."""
    text = table.render(raw(run("postfix", "relay-each", 3.0, 9.0, problem="stalled: 6 of 10 arrived", lost=4)))
    assert row(text, "relayed, a connection each")[2] == "stalled: 6 of 10 arrived"
    assert row(text, "lost / duplicated")[2] == "0 / 0 (1 runs not finished)"


def test_lost_and_doubled_mail_is_added_up():
    """Every message that did not come, or came twice, in any run stands in the table."""
    runs = [run("paperpath", "maildir-each", 9.0, 1.0, lost=1), run("paperpath", "relay-each", 9.0, 1.0, duplicated=2)]
    assert row(table.render(raw(*runs)), "lost / duplicated")[1] == "1 / 2"


def test_latency_is_over_the_messages_of_all_rounds():
    """The 50th and 95th percentile are taken over single messages, not over rounds."""
    slow, fast = (
        {"contestant": "postfix", "visible_ms": [4.0] * 10},
        {"contestant": "postfix", "visible_ms": [2.0] * 11},
    )
    text = table.render(raw(latency=[slow, fast]))
    assert row(text, "one message")[1:] == ["-", "2.00 / 4.00"]


def test_the_document_keeps_everything_outside_the_markers():
    """--write replaces what stands between the markers and refuses a document without them."""
    document = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.put_between_markers(document, "new") == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"
    with pytest.raises(ValueError, match="must stand in the document"):
        table.put_between_markers("nothing here", "new")


def test_no_contestant_always_runs_first():
    """Each turn begins with another one, and rounds end with the budget."""
    assert [plan.in_turn(["a", "b", "c"], turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]
    assert plan.another_round(0, 3, elapsed=900, expected=0, budget=600)
    assert not plan.another_round(1, 3, elapsed=400, expected=300, budget=600)


@pytest.mark.parametrize("use_cgroup", [True, False])
def test_cpu_time_of_a_tree_counts_children_that_have_ended(tmp_path, use_cgroup):
    """A server that forks for each message pays for its children too, and for a daemon that has detached itself."""
    child, orphan = BURN.format(seconds=0.15), BURN.format(seconds=0.1) + "\ntime.sleep(60)"
    script = tmp_path / "server.py"
    script.write_text(
        "import subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {child!r}])\n"
        f"subprocess.run([sys.executable, '-c', 'import subprocess, sys; subprocess.Popen([sys.executable, \"-c\", sys.argv[1]])', {orphan!r}])\n"
        "open('ready', 'w').close()\n"
        "time.sleep(60)\n"
    )
    tree = ProcessTree(Start([sys.executable, str(script)], tmp_path), tmp_path, use_cgroup=use_cgroup)
    try:
        deadline = time.monotonic() + 20
        while tree.cpu_seconds() < 0.24 or not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline, (tree.cpu_seconds(), tree.log.read_text())
            time.sleep(0.02)
        members = tree.members()
        assert len(members) == 2
        assert tree.memory() > 2 << 20
    finally:
        tree.stop(patience=2)
    assert not any(Path(f"/proc/{pid}").exists() for pid in members)


def test_the_watcher_counts_links_and_renames_and_knows_each_message(tmp_path):
    """A Maildir is filled by rename or by link; the account afterwards is by Message-Id."""
    for name in ("tmp", "new"):
        (tmp_path / name).mkdir()
    with Maildir(tmp_path) as maildir:
        for number, place in ((1, os.rename), (2, os.link), (2, os.rename)):
            file = tmp_path / "tmp" / "message"
            file.unlink(missing_ok=True)
            file.write_text(f"From: <a@b.example>\nMessage-Id: <{number}@b.example>\n\nbody\n")
            place(file, tmp_path / "new" / f"{time.monotonic_ns()}")
        assert maildir.wait(5) == 3
        assert maildir.message_ids() == {b"<1@b.example>": 1, b"<2@b.example>": 2}


def test_an_earlier_run_can_be_shown_again(tmp_path):
    """`--table FILE` measures nothing and prints the table of that run."""
    import json

    file = tmp_path / "run.json"
    file.write_text(json.dumps(raw(run("postfix", "maildir-each", 500.0, 2.0))))
    command = [sys.executable, "-m", "bench.run", "--table", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert row(shown.stdout, "to Maildir, a connection each")[2] == "500"
