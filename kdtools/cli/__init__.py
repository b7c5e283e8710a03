"""One short module per tool: parse, check, call the library, report."""

import signal
import sys
from pathlib import PurePath

# Until `run` takes over, Ctrl-C ends a tool without Python's traceback; its workers too, which begin here as well.
if PurePath(sys.argv[0]).name.startswith("kd-") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
