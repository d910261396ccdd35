"""The report of a run as Markdown: the table beside the peers, the goals, each experiment. Pure."""

from bench import goals, table
from bench.experiments import EXPERIMENTS
from bench.table import Raw


def render(raw: Raw) -> str:
    """All that was measured; an experiment that was not says why."""
    parts = [table.render(raw) if raw["rounds"] else table.caption(raw)]
    reached = goals.from_peers(raw)
    sections = []
    for name, found in raw.get("experiments", {}).items():
        experiment = EXPERIMENTS[name]
        if found["problem"]:
            sections.append(f"### {experiment.TITLE}\n\nNot measured: {found['problem']}")
            continue
        reached += experiment.goals(found["raw"])
        sections.append(f"### {experiment.TITLE}\n\n{experiment.table(found['raw'])}")
    if reached:
        parts.append(f"### Goals\n\n{goals.render(reached)}")
    return "\n\n".join([*parts, *sections])
