"""Runs the client: `python3 tests/e2e/sipe …`, or `python3 -m e2e.sipe …` with tests/ on the path."""

import runpy
import sys
from pathlib import Path

if __package__:
    from .commandline import main

    main(sys.argv[1:])
else:
    # Run by its path, this is no package, and the folder itself is on the path instead of tests/.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    runpy.run_module("e2e.sipe", run_name="__main__", alter_sys=True)
