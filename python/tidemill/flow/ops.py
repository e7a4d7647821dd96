"""Operators: the standard provider's, and what their older import paths name."""
import datetime as dt
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Iterable

from tidemill.flow import clock, settings
from tidemill.flow.errors import AirflowException, AirflowSkipException, DagRunAlreadyExists
from tidemill.flow.nodes import NOTSET, BaseOperator, DagRunState, Operator

SHELL_EXTENSIONS = (".sh", ".bash")


class EmptyOperator(BaseOperator):
    ui_color = "#e8f7e4"
    inherits_from_empty_operator = True

    def execute(self, context):
        pass


class DummyOperator(EmptyOperator):
    pass


# ---- skipping ----
class SkipMixin:
    inherits_from_skipmixin = True

    def skip(self, *args, tasks=None, **kwargs):
        """skip(dag_run, execution_date, tasks) of Airflow 2, skip(ti, tasks) of 3."""
        given = tasks if tasks is not None else next((a for a in reversed(args) if isinstance(a, (list, tuple, set))), [])
        from tidemill.flow import runtime
        runtime.skip([t.task_id if isinstance(t, Operator) else t for t in given])

    def skip_all_except(self, ti, branch_task_ids, **_):
        from tidemill.flow.nodes import TaskGroup
        dag = ti.task.dag
        chosen = {branch_task_ids} if isinstance(branch_task_ids, str) else set(branch_task_ids) if isinstance(branch_task_ids, Iterable) else set() if branch_task_ids is None else None
        if chosen is None or not all(isinstance(c, str) for c in chosen):
            raise AirflowException(f"'branch_task_ids' must be either None, a task ID, or an Iterable of IDs, but got {type(branch_task_ids).__name__!r}.")
        groups = dag.task_group.get_task_group_dict()
        wrong = {c for c in chosen if c not in dag.task_dict and c not in groups}
        prefix = ti.task.task_group.group_id if ti.task.task_group is not None else None
        if wrong and prefix:
            chosen = {f"{prefix}.{c}" if c in wrong and f"{prefix}.{c}" in dag.task_dict else c for c in chosen}
            wrong = {c for c in chosen if c not in dag.task_dict and c not in groups}
        if wrong:
            raise AirflowException(f"'branch_task_ids' must contain only valid task_ids. Invalid tasks found: {wrong}.")
        for c in list(chosen):
            if isinstance(groups.get(c), TaskGroup):
                chosen.discard(c)
                chosen |= {t.task_id for t in groups[c].get_roots()}
        follow = set(chosen)
        for c in chosen:
            follow |= dag.get_task(c).get_flat_relative_ids(upstream=False)
        runtime_skip = [i for i in ti.task.downstream_task_ids if i not in follow]
        from tidemill.flow import runtime
        runtime.skip(runtime_skip, followed=sorted(chosen))


class BranchMixIn(SkipMixin):
    def do_branch(self, context, branches_to_execute):
        context["ti"].log.info("Branch into %s", branches_to_execute)
        self.skip_all_except(context["ti"], branches_to_execute)
        return branches_to_execute


class BaseBranchOperator(BranchMixIn, BaseOperator):
    def choose_branch(self, context):
        raise NotImplementedError

    def execute(self, context):
        return self.do_branch(context, self.choose_branch(context))


# ---- Python ----
def callable_arguments(func, context, args, kwargs):
    """The context's values that the function names, or all where it takes **kwargs."""
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError):
        return kwargs
    if any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        return {**context, **kwargs}
    names = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    taken = set(list(parameters)[:len(args)])
    clash = [n for n in names if n in taken and n in context and n not in kwargs]
    if clash and parameters[clash[0]].kind == inspect.Parameter.POSITIONAL_OR_KEYWORD:
        raise ValueError(f"The key {clash[0]!r} in args is a part of kwargs and therefore reserved.")
    return {**{n: context[n] for n in names if n in context and n not in taken}, **kwargs}


class PythonOperator(BaseOperator):
    template_fields = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers = {"templates_dict": "json", "op_args": "py", "op_kwargs": "py"}
    ui_color = "#ffefeb"
    shallow_copy_attrs = ("python_callable", "op_kwargs")

    def __init__(self, *, python_callable, op_args=None, op_kwargs=None, templates_dict=None, templates_exts=None, show_return_value_in_logs=True, provide_context=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise AirflowException("`python_callable` param must be callable")
        self.python_callable = python_callable
        self.op_args, self.op_kwargs = op_args or (), op_kwargs or {}
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = templates_exts
        self.show_return_value_in_logs = show_return_value_in_logs

    def execute(self, context):
        if self.templates_dict is not None:
            context["templates_dict"] = self.templates_dict
        self.op_kwargs = self.determine_kwargs(context)
        result = self.execute_callable()
        self.log.info("Done. Returned value was: %s", result if self.show_return_value_in_logs else "not shown")
        return result

    def determine_kwargs(self, context):
        return callable_arguments(self.python_callable, context, self.op_args, dict(self.op_kwargs))

    def execute_callable(self):
        result = self.python_callable(*self.op_args, **self.op_kwargs)
        if inspect.iscoroutine(result):
            import asyncio
            return asyncio.run(result)
        return result


class BranchPythonOperator(BaseBranchOperator, PythonOperator):
    def choose_branch(self, context):
        return PythonOperator.execute(self, context)


class ShortCircuitOperator(PythonOperator, SkipMixin):
    def __init__(self, *, ignore_downstream_trigger_rules=True, **kwargs):
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context):
        condition = super().execute(context)
        self.log.info("Condition result is %s", condition)
        if condition:
            self.log.info("Proceeding with downstream tasks...")
            return condition
        if not self.downstream_task_ids:
            self.log.info("No downstream tasks; nothing to do.")
            return condition
        self.log.info("Skipping downstream tasks...")
        tasks = self.get_flat_relatives(upstream=False) if self.ignore_downstream_trigger_rules else self.get_direct_relatives(upstream=False)
        self.skip(tasks=[t for t in tasks if not t.is_teardown])
        return condition


class _ForeignPython(PythonOperator):
    """The callable's source runs in another interpreter; arguments and result travel by pickle."""

    def __init__(self, *, python_callable, use_dill=False, serializer=None, expect_airflow=True, expect_pendulum=False, string_args=None, skip_on_exit_code=None, env_vars=None,
                 inherit_env=True, **kwargs):
        if inspect.isfunction(python_callable) and python_callable.__name__ == "<lambda>":
            raise ValueError(f"{type(self).__name__} only supports functions for python_callable arg")
        super().__init__(python_callable=python_callable, **kwargs)
        self.string_args, self.env_vars, self.inherit_env = string_args or [], env_vars, inherit_env
        self.skip_on_exit_code = [] if skip_on_exit_code is None else [skip_on_exit_code] if isinstance(skip_on_exit_code, int) else list(skip_on_exit_code)

    def determine_kwargs(self, context):
        plain = {k: v for k, v in context.items() if isinstance(v, (str, int, float, bool, list, type(None))) or k == "params"}
        try:
            return callable_arguments(self.python_callable, plain, self.op_args, dict(self.op_kwargs))
        except ValueError:
            return dict(self.op_kwargs)

    def source(self):
        import textwrap
        text = textwrap.dedent(inspect.getsource(self.python_callable))
        while text.lstrip().startswith("@"):
            lines = text.lstrip().splitlines(keepends=True)
            depth, n = 0, 0
            for n, line in enumerate(lines):
                depth += line.count("(") - line.count(")")
                if depth == 0:
                    break
            text = "".join(lines[n + 1:])
        return text

    def run_in(self, python):
        import pickle
        import subprocess
        import tempfile
        with tempfile.TemporaryDirectory(prefix="venv-call") as folder:
            paths = [os.path.join(folder, n) for n in ("script.in", "script.out", "script.py")]
            with open(paths[0], "wb") as f:
                pickle.dump({"args": list(self.op_args), "kwargs": dict(self.op_kwargs)}, f)
            with open(paths[2], "w") as f:
                f.write(f"import pickle, sys\n{self.source()}\nwith open(sys.argv[1], 'rb') as f:\n    given = pickle.load(f)\n"
                        f"result = {self.python_callable.__name__}(*given['args'], **given['kwargs'])\nwith open(sys.argv[2], 'wb') as f:\n    pickle.dump(result, f)\n")
            env = {**(os.environ if self.inherit_env else {}), **(self.env_vars or {})}
            env.pop("PYTHONPATH", None)
            done = subprocess.run([python, *paths[2:], *paths[:2]], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in done.stdout.splitlines():
                self.log.info("%s", line)
            if done.returncode in self.skip_on_exit_code and done.returncode:
                raise AirflowSkipException(f"Process exited with code {done.returncode}. Skipping.")
            if done.returncode:
                raise AirflowException(f"Process returned non-zero exit status {done.returncode}.\n{done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ''}")
            with open(paths[1], "rb") as f:
                return pickle.load(f)


class PythonVirtualenvOperator(_ForeignPython):
    template_fields = ("templates_dict", "requirements", "index_urls", "op_kwargs", "index_urls_from_connection_ids", "op_args", "venv_cache_path")
    template_ext = (".txt",)

    def __init__(self, *, python_callable, requirements=None, python_version=None, system_site_packages=True, pip_install_options=None, index_urls=None,
                 index_urls_from_connection_ids=None, venv_cache_path=None, **kwargs):
        super().__init__(python_callable=python_callable, **kwargs)
        self.requirements = [requirements] if isinstance(requirements, str) else list(requirements or [])
        self.python_version, self.system_site_packages, self.pip_install_options = python_version, system_site_packages, pip_install_options or []
        self.index_urls, self.index_urls_from_connection_ids, self.venv_cache_path = index_urls, index_urls_from_connection_ids, venv_cache_path

    def execute_callable(self):
        if not self.requirements:
            return self.run_in(sys.executable)
        import subprocess
        import tempfile
        with tempfile.TemporaryDirectory(prefix="venv") as folder:
            subprocess.run([sys.executable, "-m", "venv", *(["--system-site-packages"] if self.system_site_packages else []), folder], check=True)
            python = os.path.join(folder, "bin", "python")
            subprocess.run([python, "-m", "pip", "install", "-q", *self.pip_install_options, *self.requirements], check=True)
            return self.run_in(python)


class ExternalPythonOperator(_ForeignPython):
    template_fields = ("op_kwargs", "templates_dict", "op_args", "python")

    def __init__(self, *, python, python_callable, **kwargs):
        if not python:
            raise ValueError("Python Path must be defined in ExternalPythonOperator")
        super().__init__(python_callable=python_callable, **kwargs)
        self.python = python

    def execute_callable(self):
        return self.run_in(self.python)


class BranchPythonVirtualenvOperator(BaseBranchOperator, PythonVirtualenvOperator):
    def choose_branch(self, context):
        return PythonVirtualenvOperator.execute(self, context)


class BranchExternalPythonOperator(BaseBranchOperator, ExternalPythonOperator):
    def choose_branch(self, context):
        return ExternalPythonOperator.execute(self, context)


# ---- Bash ----
class SubprocessResult(tuple):
    exit_code = property(lambda self: self[0])
    output = property(lambda self: self[1])


class BashOperator(BaseOperator):
    template_fields = ("bash_command", "env", "cwd")
    template_fields_renderers = {"bash_command": "bash", "env": "json"}
    template_ext = SHELL_EXTENSIONS
    ui_color = "#f0ede4"

    def __init__(self, *, bash_command, env=None, append_env=False, output_encoding="utf-8", skip_exit_code=None, skip_on_exit_code=99, cwd=None, output_processor=None, **kwargs):
        super().__init__(**kwargs)
        self.bash_command, self.env, self.append_env, self.output_encoding, self.cwd = bash_command, env, append_env, output_encoding, cwd
        skip = skip_exit_code if skip_exit_code is not None else skip_on_exit_code
        self.skip_on_exit_code = [] if skip is None else [skip] if isinstance(skip, int) else list(skip)
        self.output_processor = output_processor
        self._process = None

    def execute(self, context):
        code, last = self.run_bash(self.bash_command, context)
        if code in self.skip_on_exit_code:
            raise AirflowSkipException(f"Bash command returned exit code {code}. Skipping.")
        if code != 0:
            raise AirflowException(f"Bash command failed. The command returned a non-zero exit code {code}.")
        return self.output_processor(last) if self.output_processor else last

    def run_bash(self, command, context):
        import shutil
        import subprocess
        import tempfile
        if self.cwd is not None:
            if not os.path.exists(self.cwd):
                raise AirflowException(f"Can not find the cwd: {self.cwd}")
            if not os.path.isdir(self.cwd):
                raise AirflowException(f"The cwd {self.cwd} must be a directory")
        env = dict(os.environ) if not self.env else {**(os.environ if self.append_env else {}), **{k: str(v) for k, v in self.env.items()}}
        from tidemill.flow import runtime
        env.update(runtime.airflow_env(context))
        with tempfile.TemporaryDirectory(prefix="airflowtmp") as folder:
            bash = shutil.which("bash") or "/bin/sh"
            self.log.info("Running command: %s", [bash, "-c", command])
            self._process = subprocess.Popen([bash, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.cwd or folder, env=env,
                                             preexec_fn=runtime.die_with_parent)
            self.log.info("Output:")
            last = ""
            for raw in self._process.stdout:
                last = raw.decode(self.output_encoding, errors="backslashreplace").rstrip()
                self.log.info("%s", last)
            code = self._process.wait()
            self.log.info("Command exited with return code %s", code)
        return code, last

    def on_kill(self):
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)


# ---- other standard operators ----
class LatestOnlyOperator(BaseBranchOperator):
    ui_color = "#e9ffdb"

    def choose_branch(self, context):
        if context["dag_run"].run_type == "manual":
            self.log.info("Manually triggered DAG_Run: allowing execution to proceed.")
            return list(self.downstream_task_ids)
        right = context["data_interval_end"] or clock.utcnow()
        width = (context["data_interval_end"] - context["data_interval_start"]) if context["data_interval_end"] else dt.timedelta()
        now = clock.utcnow()
        if right <= now < right + max(width, dt.timedelta(0)) or width <= dt.timedelta(0) and not self._newer_tick(context, now):
            self.log.info("Latest, allowing execution to proceed.")
            return list(self.downstream_task_ids)
        self.log.info("Not latest execution, skipping downstream.")
        return []

    def _newer_tick(self, context, now):
        following = context["dag_run"]._data.get("next_logical_date")
        return following is not None and clock.parse(following) <= now


class BranchDateTimeOperator(BaseBranchOperator):
    def __init__(self, *, follow_task_ids_if_true, follow_task_ids_if_false, target_lower, target_upper, use_task_execution_date=False, use_task_logical_date=False, **kwargs):
        super().__init__(**kwargs)
        if target_lower is None and target_upper is None:
            raise AirflowException("Both target_upper and target_lower are None. At least one must be defined to be compared to the current datetime")
        self.target_lower, self.target_upper = target_lower, target_upper
        self.follow_task_ids_if_true, self.follow_task_ids_if_false = follow_task_ids_if_true, follow_task_ids_if_false
        self.use_task_logical_date = use_task_execution_date or use_task_logical_date

    def choose_branch(self, context):
        now = context["logical_date"] if self.use_task_logical_date else clock.utcnow()
        now = now.astimezone(self.dag.timezone)

        def bound(v):
            if isinstance(v, dt.time):
                return clock.coerce_datetime(dt.datetime.combine(now.date(), v), self.dag.timezone)
            return clock.coerce_datetime(v, self.dag.timezone) if v is not None else None

        low, high = bound(self.target_lower), bound(self.target_upper)
        if isinstance(self.target_lower, dt.time) and isinstance(self.target_upper, dt.time) and high < low:
            high += dt.timedelta(days=1)
        inside = (low is None or low <= now) and (high is None or now <= high)
        return self.follow_task_ids_if_true if inside else self.follow_task_ids_if_false


class _Day(int):
    def __new__(cls, value, name):
        self = int.__new__(cls, value)
        self.name = name
        return self

    value = property(lambda self: int(self))


class WeekDay:
    MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = (_Day(i + 1, n) for i, n in enumerate(
        ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")))
    WEEKEND = {SATURDAY, SUNDAY}
    WORKING_DAYS = {MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY}

    @staticmethod
    def numbers(given):
        if isinstance(given, (str, int)):
            given = [given]
        out = set()
        for g in given:
            if isinstance(g, str):
                day = getattr(WeekDay, g.strip().upper(), None)
                if not isinstance(day, int):
                    raise AttributeError(f"Invalid Week Day passed: {g!r}")
                out.add(int(day))
            else:
                out.add(int(g))
        return out


class BranchDayOfWeekOperator(BaseBranchOperator):
    def __init__(self, *, follow_task_ids_if_true, follow_task_ids_if_false, week_day, use_task_logical_date=False, use_task_execution_day=False, **kwargs):
        super().__init__(**kwargs)
        self.follow_task_ids_if_true, self.follow_task_ids_if_false, self.week_day = follow_task_ids_if_true, follow_task_ids_if_false, week_day
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day
        self._days = WeekDay.numbers(week_day)

    def choose_branch(self, context):
        now = context["logical_date"] if self.use_task_logical_date else clock.utcnow()
        return self.follow_task_ids_if_true if now.astimezone(self.dag.timezone).isoweekday() in self._days else self.follow_task_ids_if_false


class TriggerDagRunOperator(BaseOperator):
    template_fields = ("trigger_dag_id", "trigger_run_id", "logical_date", "conf", "wait_for_completion", "skip_when_already_exists")
    template_fields_renderers = {"conf": "py"}
    ui_color = "#ffefeb"

    def __init__(self, *, trigger_dag_id, trigger_run_id=None, conf=None, logical_date=NOTSET, execution_date=None, reset_dag_run=False, wait_for_completion=False, poke_interval=60,
                 allowed_states=None, failed_states=None, skip_when_already_exists=False, fail_when_dag_is_paused=False, deferrable=False, python_callable=None, **kwargs):
        super().__init__(**kwargs)
        self.trigger_dag_id, self.trigger_run_id, self.conf = trigger_dag_id, trigger_run_id, conf
        self.logical_date = execution_date if logical_date is NOTSET else logical_date
        if self.logical_date is not None and not isinstance(self.logical_date, (str, dt.datetime)):
            raise TypeError(f"Expected str, datetime.datetime, or None for parameter 'logical_date'. Got {type(self.logical_date).__name__}")
        self.reset_dag_run, self.wait_for_completion, self.poke_interval = reset_dag_run, wait_for_completion, poke_interval
        self.allowed_states = [str.__str__(s) for s in allowed_states or [DagRunState.SUCCESS]]
        self.failed_states = [str.__str__(s) for s in ([DagRunState.FAILED] if failed_states is None else failed_states)]
        self.skip_when_already_exists, self.fail_when_dag_is_paused = skip_when_already_exists, fail_when_dag_is_paused

    def execute(self, context):
        when = self.logical_date
        if isinstance(when, str) and when:
            when = clock.parse(when)
        conf = self.conf or {}
        try:
            conf = json.loads(json.dumps(conf))
        except TypeError:
            raise AirflowException("conf parameter should be JSON Serializable") from None
        args = {"dag_id": self.trigger_dag_id, "conf": conf, "run_id": self.trigger_run_id}
        if when:
            args["logical_date"] = clock.convert_to_utc(when).isoformat()
        answer = settings.ask({"op": "trigger", **args})
        if "error" in answer and answer.get("exists"):
            if self.reset_dag_run:
                settings.question("clear", dag_id=self.trigger_dag_id, run_id=self.trigger_run_id)
                answer = {"run_id": self.trigger_run_id}
            elif self.skip_when_already_exists:
                raise AirflowSkipException("Skipping due to skip_when_already_exists is set to True and DagRunAlreadyExists")
            else:
                raise DagRunAlreadyExists(answer["error"])
        if "error" in answer:
            raise AirflowException(answer["error"])
        run_id = answer["run_id"]
        context["ti"].xcom_push(key="trigger_run_id", value=run_id)
        while self.wait_for_completion:
            state = (settings.question("run_get", dag_id=self.trigger_dag_id, run_id=run_id) or {}).get("state")
            if state in self.failed_states:
                raise AirflowException(f"{self.trigger_dag_id} failed with failed state {state}")
            if state in self.allowed_states:
                self.log.info("%s finished with allowed state %s", self.trigger_dag_id, state)
                return
            time.sleep(min(self.poke_interval, 0.2) if self.poke_interval < 1 else min(self.poke_interval, 1))


class EmailOperator(BaseOperator):
    template_fields = ("to", "subject", "html_content", "files")
    template_ext = (".html",)
    ui_color = "#e6faf9"

    def __init__(self, *, to, subject, html_content, files=None, cc=None, bcc=None, mime_subtype="mixed", mime_charset="utf-8", conn_id=None, custom_headers=None, from_email=None,
                 **kwargs):
        super().__init__(**kwargs)
        self.to, self.subject, self.html_content, self.files = to, subject, html_content, files or []
        self.cc, self.bcc, self.mime_subtype, self.mime_charset = cc, bcc, mime_subtype, mime_charset
        self.conn_id, self.custom_headers, self.from_email = conn_id or "smtp_default", custom_headers, from_email

    def execute(self, context):
        send_email(self.to, self.subject, self.html_content, files=self.files, cc=self.cc, bcc=self.bcc, conn_id=self.conn_id, from_email=self.from_email)


def send_email(to, subject, html_content, files=None, dryrun=False, cc=None, bcc=None, mime_subtype="mixed", mime_charset="utf-8", conn_id="smtp_default", from_email=None, **_):
    import smtplib
    from email.message import EmailMessage
    from tidemill.flow.stores import connection
    c = connection(conn_id)
    message = EmailMessage()
    people = [x.strip() for group in (to, cc, bcc) if group for x in (group.replace(";", ",").split(",") if isinstance(group, str) else group)]
    message["Subject"], message["From"], message["To"] = subject, from_email or c.login or "airflow@localhost", to if isinstance(to, str) else ", ".join(to)
    message.set_content(html_content, subtype="html", charset=mime_charset)
    for path in files or []:
        with open(path, "rb") as f:
            message.add_attachment(f.read(), maintype="application", subtype="octet-stream", filename=os.path.basename(path))
    with smtplib.SMTP(c.host or "localhost", c.port or 25, timeout=30) as server:
        if c.login and c.password:
            server.starttls()
            server.login(c.login, c.password)
        server.send_message(message, to_addrs=people)


class GenericTransfer(BaseOperator):
    template_fields = ("sql", "destination_table", "preoperator")
    template_ext = (".sql", ".hql")
    ui_color = "#b0f07c"

    def __init__(self, *, sql, destination_table, source_conn_id, destination_conn_id, preoperator=None, insert_args=None, **kwargs):
        super().__init__(**kwargs)
        self.sql, self.destination_table, self.source_conn_id, self.destination_conn_id = sql, destination_table, source_conn_id, destination_conn_id
        self.preoperator, self.insert_args = preoperator, insert_args or {}


class SubDagOperator(BaseOperator):
    ui_color, ui_fgcolor = "#555", "#fff"

    def __init__(self, *, subdag, session=None, conf=None, propagate_skipped_state=None, **kwargs):
        super().__init__(**kwargs)
        self.subdag, self.conf = subdag, conf

    def execute(self, context):
        answer = settings.ask({"op": "trigger", "dag_id": self.subdag.dag_id, "conf": self.conf or {}})
        if "error" in answer:
            raise AirflowException(answer["error"])
        while True:
            state = (settings.question("run_get", dag_id=self.subdag.dag_id, run_id=answer["run_id"]) or {}).get("state")
            if state == "failed":
                raise AirflowException(f"SubDAG {self.subdag.dag_id} failed")
            if state == "success":
                return
            time.sleep(0.05)


class _HumanOperator(BaseOperator):
    """Human in the loop: needs somebody to answer, which the page cannot do."""
    template_fields = ("subject", "body")

    def __init__(self, *, subject=None, options=None, body=None, defaults=None, multiple=False, params=None, notifiers=None, assigned_users=None, fail_on_reject=False, options_mapping=None,
                 response_timeout=None, ignore_downstream_trigger_rules=False, **kwargs):
        super().__init__(**kwargs)
        self.subject, self.options, self.body, self.defaults, self.multiple = subject, options, body, defaults, multiple

    def execute(self, context):
        raise AirflowException(f"{type(self).__name__} waits for a person's answer, which Tidemill cannot take")


class HITLOperator(_HumanOperator):
    pass


class ApprovalOperator(_HumanOperator):
    pass


class HITLBranchOperator(_HumanOperator):
    pass


class HITLEntryOperator(_HumanOperator):
    pass


# ---- providers that are not here ----
class UnavailableOperator(BaseOperator):
    """Stands for an operator of a provider that Tidemill does not bring: the file loads, the task fails when it runs."""
    provider_module = ""

    def __init__(self, **kwargs):
        known = set(inspect.signature(inspect.unwrap(BaseOperator.__init__)).parameters)
        for key in [k for k in kwargs if k not in known]:
            setattr(self, key, kwargs.pop(key))
        super().__init__(**kwargs)

    def execute(self, context):
        raise AirflowException(f"{self.provider_module}.{type(self).__name__} is not available: Tidemill does not bring this provider, and it is not installed for {sys.executable}")
