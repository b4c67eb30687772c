"""What can go wrong that is nobody's answer."""


class MachineFault(Exception):
    """The machine's: no kernel, no walls, no memory, no disk. No grade follows from it."""


class KernelGone(Exception):
    """A kernel ended or had to be ended; the message says why.

    late: it was ended here, because it took too long. killed: it ended by SIGKILL and nothing here sent it, so that
    somebody else may have: the machine's memory guard, a person.
    """

    def __init__(self, why: str, late: bool = False, killed: bool = False):
        super().__init__(why)
        self.late, self.killed = late, killed
