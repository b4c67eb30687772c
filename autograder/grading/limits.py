"""What a learner's code may use: values, so that they can travel with a notebook to wherever it is run."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Bytes, numbers and seconds. All hold for one notebook unless they say otherwise.

    memory: bytes of all its processes together, shared memory and /tmp included where a cgroup counts them.
    disk: bytes of all files in its folder; /tmp has as much, /dev/shm half of it. file_size: bytes of one file.
    processes: processes and threads. output_size: bytes of output that one cell keeps.
    cell_timeout: seconds for one cell; a test cell, which waits for answers, has three times as many.
    total_timeout: seconds for the whole notebook, whoever is waiting for whom; after it nothing runs.
    restarts: how often a process that ended is started again.
    preload: modules that its process has imported before its code runs, as `import` takes them.
    walls: whether its code runs behind bubblewrap. hidden: files and folders that it must not see, wherever they lie.
    """

    memory: int = 2 * 2**30
    disk: int = 512 * 2**20
    file_size: int = 64 * 2**20
    processes: int = 256
    output_size: int = 2**20
    cell_timeout: float = 60
    total_timeout: float = 300
    restarts: int = 10
    preload: str = "numpy"
    walls: bool = True
    hidden: tuple[str, ...] = ()
