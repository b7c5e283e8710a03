"""The scripts of examples/slurm, run by hand: what SLURM would set is given in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "slurm"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))} | {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin",
    "OMP_NUM_THREADS": "1",
    "PREDICT": "--device cpu --backend torch",  # which spares an export
}
SECONDS = 600  # that a script may take on a busy machine


@dataclass(frozen=True)
class Scripts:
    """Runs scripts with these variables."""

    environment: dict[str, str]

    def start(self, script: str, *words: str | Path, folder: Path, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", EXAMPLE / script, *words],
            cwd=folder,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, *words: str | Path, folder: Path, **more: str) -> tuple[int, str, str]:
        """Status, standard output and standard error."""
        process = self.start(script, *words, folder=folder, **more)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out, err
