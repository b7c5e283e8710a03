"""What every tool must do alike: help, errors, streams, exit statuses, outputs that are whole or absent.

The tools are those of pyproject.toml. A new one needs a row in `table.TOOLS`, which says how it is called and what its
inputs are; the tests here then run for it. Most run a tool in this process, which saves importing torch each time;
signals, full disks and times need a process of their own. What takes long is marked `soak` and left to `make soak`.
"""
