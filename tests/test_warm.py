"""The scripts that tests start in the place of the real ones: they end, read, write and obey signals as those do."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from contract.running import run_script, run_tool, wait_for
from warm import PYTHON, TOOLS, Warm


def test_words_streams_folder_environment_and_status(warm: Warm, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, sys.stdin.read(), os.getcwd()); sys.exit(int(os.environ['STATUS']))"
    done = subprocess.run(
        [warm.script(PYTHON), "-c", code, "a word"],
        cwd=tmp_path,
        env=os.environ | {"STATUS": "3"},
        input="what is read",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"['-c', 'a word'] what is read {tmp_path}\n"


def test_every_tool_is_there(warm: Warm) -> None:
    for tool in TOOLS:
        expected, result = run_tool(tool, "--help"), run_script(tool, "--help", warm=warm)
        assert result == expected
        assert b"--help" in result.stdout


WAITING = """
import os, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(9))
open(sys.argv[1], "w").write(f"{os.getpid()}\\n")
time.sleep(60)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGUSR1, 9), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_signals_reach_it(number: int, status: int, warm: Warm, tmp_path: Path) -> None:
    note = tmp_path / "note"
    process = subprocess.Popen([warm.script(PYTHON), "-c", WAITING, note])
    wait_for(lambda: note.exists() and note.read_text().endswith("\n"), process)
    process.send_signal(number)
    assert process.wait(60) == status
    while Path(f"/proc/{int(note.read_text())}").exists():  # else it would outlive the tests
        os.sched_yield()
