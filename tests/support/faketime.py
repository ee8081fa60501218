"""A process whose clock runs faster than ours, with Debian's libfaketime: 1,860 s of a held poll in 19 s.

    subprocess.run([*faketime(speed=100), sys.executable, "-m", "lyncgate", ...])

Wall clock, CLOCK_MONOTONIC and the time-outs of epoll, poll, select and sleep all run at `speed`; children
share their parent's clock, files keep their real times.  asyncio needs nothing else.  Limits of 0.9.10:

- A thread that waits with a time-out, as in `threading.Event().wait(5)`, waits for ever: CLOCK_MONOTONIC
  counts from 1970 here, and Python hands a deadline by it to sem_clockwait, which libfaketime lets through.
- Whoever talks to the process keeps real time.  A connect time-out of 5 s is 0.05 s of the other side's at
  speed 100, so do not overdo it on a busy machine.
- A process that is ended by a signal leaves two small files in /dev/shm.
"""

from pathlib import Path

from support.requirements import require


def faketime(*, speed: int) -> list[str]:
    """What to put before a command so that its clock runs `speed` times as fast.

    Not the `faketime` program: that stays between as the command's parent, and a signal sent to it ends it
    and leaves the command running.  This becomes the command.
    """
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    require(bool(libraries), "faketime")
    return [require("env", "coreutils"), f"LD_PRELOAD={libraries[0]}", f"FAKETIME=+0 x{speed}"]
