"""The command-line tools, one module each: parse, check, call the library, report."""

import signal
import sys
from pathlib import PurePath

# Until `run` handles signals, Ctrl-C ends a tool, or one of its worker processes, without a traceback.
_is_tool = PurePath(sys.argv[0]).name.startswith(("kd-", "kdtools"))
if _is_tool and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
