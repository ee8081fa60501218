"""The real SIPE client (Debian's pidgin-sipe on libpurple), signed in once and without a display.

SIPE is a Lync client nobody here wrote, so whatever it accepts from the edge is evidence.  This package
loads it with ctypes, lets it sign one user in against servers on this machine, and tells what it did.

    python3 tests/e2e/sipe --help           run it by hand (Python >= 3.11, standard library only)
    from e2e.sipe.run import run_sipe       run it from a test

From the outside in: `__main__` is the command line, `client` the run, `journal` what is written down;
`loop`, `resolver`, `certificates` and `xmlfix` are the four places where we stand between SIPE and the
machine; `purple` is the C interface; `names`, `transcript` and `outcome` are pure.

Names that no rule maps do not exist for the client, so nothing leaves the machine.  What it logs holds
passwords and tickets: use test accounts only.
"""
