"""Loads one DAG file: its dialect, its DAGs, or where it went wrong."""
import ast
import importlib.machinery
import os
import re
import sys
import time
import traceback
import types

from tidemill.flow import dag as dags, describe, errors, nodes, runtime, settings

OLD_CONTEXT = re.compile(r"\b(execution_date|next_ds|prev_ds|yesterday_ds|tomorrow_ds|next_execution_date|prev_execution_date)\b")
OLDEST_MODULES = re.compile(r"airflow\.(operators|sensors|hooks)\.\w+_(operator|sensor|hook)s?$|airflow\.contrib")
OLDEST_NAMES = {"provide_context"}


def dialect_of(source):
    """("1.10" | "2.x" | "3.x" | None, version): by the imports and arguments that only one of them has."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None, settings.default_version
    sdk = oldest = two = three = False
    for node in ast.walk(tree):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names] if isinstance(node, ast.Import) else []
        for m in modules:
            sdk |= m == "airflow.sdk" or m.startswith("airflow.sdk.")
            oldest |= bool(OLDEST_MODULES.match(m)) or m in ("airflow.operators.subdag_operator",)
            two |= m in ("airflow.operators.dummy", "airflow.utils.dates", "airflow.operators.subdag", "airflow.datasets") or m.startswith("airflow.decorators")
            if isinstance(node, ast.ImportFrom) and m == "airflow.operators" or m == "airflow.utils" and isinstance(node, ast.ImportFrom) and any(a.name == "dates" for a in node.names):
                two = True
        if isinstance(node, ast.keyword):
            oldest |= node.arg in OLDEST_NAMES
            two |= node.arg in ("schedule_interval", "concurrency", "task_concurrency", "sla", "sla_miss_callback", "default_view", "timetable", "fail_stop")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{{" in node.value and OLD_CONTEXT.search(node.value):
            two = True
        if isinstance(node, ast.arg) and OLD_CONTEXT.fullmatch(node.arg):
            two = True
    if sdk:
        return "3.x", 3
    if oldest:
        return "1.10", 2
    if two:
        return "2.x", 2
    return ("3.x", 3) if settings.default_version == 3 or three else ("2.x", 2)


def _place(e, path):
    """Line and column in the DAG file: of the error itself, or of the call that led to it."""
    if isinstance(e, SyntaxError) and e.filename:
        return e.filename, e.lineno or 0, e.offset or 0
    found = None
    for frame, line in traceback.walk_tb(e.__traceback__):
        name = frame.f_code.co_filename
        if os.path.abspath(name) == path or os.path.abspath(name).startswith(settings.dags_dir + os.sep):
            column = 0
            try:
                positions = list(frame.f_code.co_positions())  # Python 3.11 and newer
                at = positions[_last_instruction(e.__traceback__, frame) // 2]
                column = (at[2] or 0) + 1 if at[0] == line else 0
            except Exception:
                column = 0
            found = (name, line, column)
    return found or (path, 0, 0)


def _last_instruction(tb, frame):
    while tb is not None:
        if tb.tb_frame is frame:
            return tb.tb_lasti
        tb = tb.tb_next
    return 0


HINTS = [
    (lambda e: isinstance(e, errors.DuplicateTaskIdFound), "give each task of the DAG its own task_id"),
    (lambda e: isinstance(e, errors.AirflowDagCycleException), "a task cannot wait for itself, not even through others: take one >> out"),
    (lambda e: isinstance(e, (IndentationError, SyntaxError)), "Python cannot read the file from there on"),
    (lambda e: isinstance(e, (ConnectionError, TimeoutError, OSError)) and not isinstance(e, FileNotFoundError),
     "code at module level runs each time the file is loaded: do requests inside the task's function"),
    (lambda e: isinstance(e, FileNotFoundError), "relative paths start at the project's directory"),
]


def problem(e, path):
    file, line, column = _place(e, path)
    hint = runtime.missing_package_hint(e) or next((text for test, text in HINTS if test(e)), "")
    text = "".join(traceback.format_exception(type(e), e, runtime._user_part(e.__traceback__))).strip()
    message = e.msg if isinstance(e, SyntaxError) else str(e)
    return {"file": file, "line": line, "column": column, "error": f"{type(e).__name__}: {message}" if message else type(e).__name__, "detail": text[-3000:], "hint": hint}


class Loaded:
    def __init__(self, path):
        self.path, self.dags, self.errors, self.dialect, self.version = path, {}, [], None, settings.default_version

    def definition(self):
        out = {"file": self.path, "dialect": self.dialect, "dags": [], "errors": list(self.errors)}
        for dag in self.dags.values():
            try:
                out["dags"].append(describe.checked(describe.describe_dag(dag, self.dialect)))
            except Exception as e:
                out["errors"].append({**problem(e, self.path), "line": dag.line or problem(e, self.path)["line"]})
        return out


def module_name(path):
    """Siblings import each other by their file's name, so a DAG file is loaded under another one."""
    return "tidemill_dag_" + re.sub(r"\W", "_", os.path.relpath(path, settings.dags_dir))


def load(path):
    """Runs the file. Never raises for what the file does."""
    result = Loaded(path)
    settings.warnings.clear()
    dags.registered.clear()
    dags.made.clear()
    nodes.dag_stack.items.clear()
    nodes.group_stack.items.clear()
    try:
        with open(path, "rb") as f:
            source = f.read()
    except OSError as e:
        result.errors.append(problem(e, path))
        return result
    result.dialect, result.version = dialect_of(source)
    settings.version, settings.loading = result.version, True
    for folder in (os.path.dirname(path), settings.dags_dir, os.path.join(settings.project_dir, "plugins")):
        if folder not in sys.path and os.path.isdir(folder):
            sys.path.insert(0, folder)
    module = types.ModuleType(module_name(path))
    module.__file__ = path
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None, origin=path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, path, "exec"), module.__dict__)
    except SystemExit as e:
        result.errors.append({**problem(e, path), "error": f"SystemExit: the file ended itself with {e.code!r} while it was loaded"})
    except BaseException as e:
        result.errors.append(problem(e, path))
    finally:
        settings.loading = False
    if result.errors:
        return result
    found = [v for v in list(module.__dict__.values()) if isinstance(v, dags.DAG)] + list(dags.registered)
    for dag in found:
        if dag.dag_id in result.dags and result.dags[dag.dag_id] is not dag:
            result.errors.append({"file": path, "line": dag.line, "column": 0, "error": f"AirflowDagDuplicatedIdException: DAG id {dag.dag_id!r} is used twice", "hint": "give each DAG its own dag_id"})
            continue
        result.dags[dag.dag_id] = dag
    for dag in result.dags.values():
        dag.fileloc = dag.fileloc or path
    result.errors += [{"file": path, "line": 0, "column": 0, "hint": "", **w} for w in settings.warnings]
    return result


def project_modules():
    """Files of the project that were imported: when one changes, the DAG file is loaded again."""
    out = []
    for m in list(sys.modules.values()):
        file = getattr(m, "__file__", None)
        if isinstance(file, str) and file.startswith(settings.project_dir + os.sep) and file.endswith(".py") and "site-packages" not in file:
            out.append(file)
    return sorted(set(out))


def timed_load(path):
    start = time.monotonic()
    return load(path), time.monotonic() - start
