"""What a process knows of the project: filled once by the worker from the configuration the engine gives it."""

version = 2  # the dialect whose rules hold for the file being loaded: 2 or 3
dags_dir = "dags"
project_dir = "."
data_dir = ".tidemill"
variables = {}
connections = {}
default_version = 2
loading = False  # a DAG file is being loaded: what is missing becomes a placeholder where that helps
journal = None  # where ends are noted before they are told
file = None  # the DAG file of this process
ask = None  # in a task: asks the engine (a dict in, its answer out)
warnings = []  # of the file being loaded: {"line", "column", "error", "hint"}


def question(op, **arguments):
    """Asks the engine; outside a running task there is nobody to ask."""
    if ask is None:
        return None
    answer = ask({"op": op, **arguments})
    if isinstance(answer, dict) and set(answer) == {"error"}:
        from tidemill.flow.errors import AirflowException
        raise AirflowException(answer["error"])
    return answer


def warn(error, hint=""):
    """Something to say about the file being loaded, at the line that is being run."""
    import sys
    frame = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(dags_dir):
        frame = frame.f_back
    warnings.append({"file": frame.f_code.co_filename if frame else file, "line": frame.f_lineno if frame else 0, "column": 0, "error": error, "hint": hint, "warning": True})
