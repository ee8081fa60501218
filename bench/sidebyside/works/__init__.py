"""What is measured, a file each: NAME, WHAT (one sentence), and measure(field) → results for JSON."""

from __future__ import annotations

from types import ModuleType

from sidebyside.works import bodies, buffers, connections, growth, keepalive, polls, storm, workers

WORKS: dict[str, ModuleType] = {
    work.NAME: work for work in (keepalive, connections, storm, bodies, polls, buffers, growth, workers)
}
