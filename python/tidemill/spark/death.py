"""No JVM without us: a process started here is killed by the kernel when we end, however we end. Linux only."""
import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: nothing may be looked up between fork and exec


def die_with(parent):
    """Between fork and exec. spark-submit's scripts only ever exec, so the JVM keeps this."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)


def bind_jvm():
    """From now on the JVM that PySpark starts dies with this thread's process. Call it from the main thread, before the session."""
    from pyspark import java_gateway

    start, me = java_gateway.Popen, os.getpid()

    def popen(*args, **kwargs):
        before = kwargs.get("preexec_fn")

        def after_fork():
            if before:
                before()
            die_with(me)

        kwargs["preexec_fn"] = after_fork
        return start(*args, **kwargs)

    java_gateway.Popen = popen
