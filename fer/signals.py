"""Which signals ask a program to end, beside Ctrl-C."""

import signal


def endings() -> tuple[signal.Signals, ...]:
    """SIGTERM, and SIGHUP of a terminal that is closed, unless whoever started the program had it ignored, as nohup does."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) == signal.SIG_IGN:
        return (signal.SIGTERM,)
    return (signal.SIGTERM, hangup)
