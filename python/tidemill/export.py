"""`tidemill dag export`: what a real Airflow needs beside the DAG files. Reads the project, writes a folder, tells what it wrote.

Connections, variables and pools have the shape that `airflow connections|variables|pools import` takes, in 2.x and 3.x. What is
secret goes to secrets.env alone (mode 0600), which Airflow reads from the environment before it asks its database; without
--secrets that file holds the names only."""
import ast
import json
import os
import re
import sys

from tidemill import check, worker
from tidemill.flow import settings, stores

SECRET = re.compile(r"(access_token|api_?key|authorization|passphrase|passwd|password|private_?key|secret|token|keyfile_dict|service_account)", re.I)  # what Airflow masks, by name
ADDRESS = re.compile(r"([A-Za-z][\w.-]*):(\d{2,5})")
# Modules whose distribution has another name, where no installed package says it.
DISTRIBUTIONS = {"kafka": "kafka-python", "cassandra": "cassandra-driver", "confluent_kafka": "confluent-kafka", "yaml": "PyYAML", "dateutil": "python-dateutil", "bs4": "beautifulsoup4",
                 "sklearn": "scikit-learn", "PIL": "pillow", "dotenv": "python-dotenv", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "google": "google-cloud"}
GROUPED_PROVIDERS = {"apache", "atlassian", "cncf", "common", "dbt", "microsoft"}  # airflow.providers.apache.kafka is one provider, airflow.providers.http.hooks is http
WITH_AIRFLOW = {"airflow"}
# Airflow brings them in versions of its own choice: named, not pinned.
CHOSEN_BY_AIRFLOW = {"attrs", "croniter", "Flask", "httpx", "Jinja2", "jinja2", "jsonschema", "packaging", "pendulum", "psutil", "pydantic", "python-dateutil", "PyYAML", "requests", "rich", "SQLAlchemy", "tenacity"}


class Sources:
    """What the DAG files and the project's modules that they import name: modules, addresses, environment variables."""

    def __init__(self):
        self.modules, self.providers, self.addresses, self.environment, self.seen = set(), set(), {}, {}, set()

    def folders(self, path):
        return [f for f in (os.path.dirname(path), settings.dags_dir, os.path.join(settings.project_dir, "plugins")) if os.path.isdir(f)]

    def own(self, name, path):
        """The project's file behind a module, if it is one."""
        relative = name.replace(".", os.sep)
        for folder in self.folders(path):
            for candidate in (relative + ".py", os.path.join(relative, "__init__.py")):
                if os.path.isfile(os.path.join(folder, candidate)):
                    return os.path.join(folder, candidate)
            if os.path.isdir(os.path.join(folder, relative)):
                return os.path.join(folder, relative)
        return None

    def imported(self, name, names, path):
        if name.startswith("airflow.providers"):
            parts = name.split(".")[2:] or names[:1]
            if len(parts) == 1 and parts[0] in GROUPED_PROVIDERS:
                parts += names[:1]
            if parts:
                self.providers.add("-".join(parts[:2] if parts[0] in GROUPED_PROVIDERS else parts[:1]))
            return
        top = name.split(".")[0]
        found = self.own(name, path) or self.own(top, path)
        if found:
            if os.path.isfile(found):
                self.read(found)
            for n in names:
                inner = self.own(name + "." + n, path)
                if inner and os.path.isfile(inner):
                    self.read(inner)
        elif top not in WITH_AIRFLOW and top not in getattr(sys, "stdlib_module_names", sys.builtin_module_names):
            self.modules.add(top)

    def read(self, path):
        if path in self.seen:
            return
        self.seen.add(path)
        try:
            with open(path, "rb") as f:
                tree = ast.parse(f.read())
        except (OSError, SyntaxError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for a in node.names:
                    self.imported(a.name, [], path)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                self.imported(node.module, [a.name for a in node.names], path)
            elif isinstance(node, ast.ImportFrom):
                folder = os.path.dirname(path)
                for n in ([node.module] if node.module else [a.name for a in node.names]):
                    beside = os.path.join(folder, *[".."] * (node.level - 1), n.replace(".", os.sep) + ".py")
                    if os.path.isfile(beside):
                        self.read(os.path.normpath(beside))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for part in node.value.split(","):
                    address = ADDRESS.fullmatch(part.strip())
                    if address:
                        self.addresses.setdefault((address.group(1), int(address.group(2))), os.path.basename(path))
            name = environment_variable(node)
            if name and name not in ("HOME", "PATH", "USER") and not name.startswith("AIRFLOW_"):
                self.environment.setdefault(name, os.path.basename(path))


def environment_variable(node):
    """NAME of os.environ["NAME"], os.environ.get("NAME", …), os.getenv("NAME")."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ" and isinstance(node.slice, ast.Constant):
        return node.slice.value if isinstance(node.slice.value, str) else None
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv") and node.args and isinstance(node.args[0], ast.Constant):
        return node.args[0].value if isinstance(node.args[0].value, str) else None
    return None


def requirements(sources):
    """One line per distribution, pinned to what the DAGs run with here."""
    from importlib import metadata
    try:
        installed = metadata.packages_distributions()
    except AttributeError:  # Python 3.9
        installed = {}
    lines = {}
    for module in sources.modules:
        name = (installed.get(module) or [DISTRIBUTIONS.get(module, module)])[0]
        try:
            lines[name] = name if name in CHOSEN_BY_AIRFLOW else f"{name}=={metadata.version(name)}"
        except metadata.PackageNotFoundError:
            lines[name] = name
    for provider in sources.providers:
        name = "apache-airflow-providers-" + provider
        lines[name] = name
    return [lines[k] for k in sorted(lines, key=str.lower)]


def stored_variables():
    """Those that tasks have set; they win over the configuration's."""
    path = os.path.join(settings.data_dir, "dag.db")
    if not os.path.exists(path):
        return {}, {}
    import sqlite3
    db = sqlite3.connect("file:%s?mode=ro" % path.replace("?", "%3f"), uri=True)
    try:
        return dict(db.execute("SELECT key, value FROM variable")), dict(db.execute("SELECT name, slots FROM pool"))
    except sqlite3.Error:
        return {}, {}
    finally:
        db.close()


FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


def as_connection(conn_id, text):
    """(fields, those that are secret)"""
    conn = stores.Connection.of(conn_id, text)
    fields = {n: getattr(conn, n) for n in FIELDS if getattr(conn, n) not in (None, "")}
    hidden = [n for n in ("password",) if n in fields]
    if "extra" in fields and SECRET.search(fields["extra"]):
        hidden.append("extra")
    return fields, hidden


def quoted(value):
    """For an environment file that a shell, systemd and docker compose read alike: no quoting where none is needed."""
    if re.fullmatch(r"[\w./:@%+,=-]*", value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


class Folder:
    def __init__(self, path):
        self.path, self.written = path, []
        os.makedirs(path, exist_ok=True)

    def write(self, name, text, about, secret=False):
        path = os.path.join(self.path, name)
        temporary = path + ".new"
        if os.path.exists(temporary):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(temporary, path)
        self.written.append({"file": path, "holds": about, "secret": secret})

    def remove(self, name):
        """What an earlier export wrote and this one has no need for must not be imported."""
        try:
            os.unlink(os.path.join(self.path, name))
        except FileNotFoundError:
            pass


def pretty(value):
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def export(config, found):
    options, warnings = config["export"], []
    folder, sources = Folder(options["to"]), Sources()
    for f in found:
        sources.read(f["file"])
    dags = [d for f in found for d in f["dags"]]
    stored, pool_slots = stored_variables()

    secrets = {}  # environment variable -> value, or None where it is left out
    connections = {}
    for conn_id, text in settings.connections.items():
        fields, hidden = as_connection(conn_id, text)
        if hidden:
            secrets["AIRFLOW_CONN_" + conn_id.upper()] = json.dumps(fields, ensure_ascii=False, sort_keys=True)
        else:
            connections[conn_id] = fields
    variables = {}
    for name, value in {**settings.variables, **stored}.items():
        if SECRET.search(name):
            secrets["AIRFLOW_VAR_" + name.upper()] = value
        else:
            variables[name] = value
    pools = {}
    for task in (t for d in dags for t in d["tasks"]):
        if task["pool"] != "default_pool":
            pools[task["pool"]] = {"slots": pool_slots.get(task["pool"], 128), "description": "used by the project's DAGs", "include_deferred": False}

    commands = []
    for name, content, about in (("connections", connections, "connections without a secret"), ("variables", variables, "variables"), ("pools", pools, "pools that tasks name")):
        file = name + ".json"
        if content:
            folder.write(file, pretty(content), about)
            commands.append(f"airflow {name} import {os.path.join(folder.path, file)}")
        else:
            folder.remove(file)

    folder.write("requirements.txt", "".join(line + "\n" for line in requirements(sources)), "what the DAGs import, in the versions they run with here")
    folder.write("airflow.env", environment(dags, sources, warnings), "settings under which Airflow does with these DAGs what Tidemill did")
    if secrets:
        lines = ["# Airflow looks here before its database. Keep this file out of version control and readable by Airflow's user alone.\n"]
        for name, value in sorted(secrets.items()):
            lines.append(f"{name}={quoted(value)}\n" if options["secrets"] else f"#{name}=\n")
        folder.write("secrets.env", "".join(lines), f"{len(secrets)} secret{'s' if len(secrets) > 1 else ''}" + ("" if options["secrets"] else ": the names only (--secrets writes the values)"), secret=True)
        folder.write(".gitignore", "secrets.env\n", "keeps the secrets out of version control")
    else:
        folder.remove("secrets.env")
        folder.remove(".gitignore")
    hosts(folder, config, sources, warnings)
    return {"directory": folder.path, "files": folder.written, "dags": sorted(d["dag_id"] for d in dags), "import": commands, "warnings": warnings}


def environment(dags, sources, warnings):
    out = ["# For Airflow's processes: docker compose's env_file, systemd's EnvironmentFile, or `set -a; . airflow.env`.\n",
           f"AIRFLOW__CORE__DAGS_FOLDER={quoted(settings.dags_dir)}\n",
           "AIRFLOW__CORE__LOAD_EXAMPLES=False\n",
           "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False\n",
           "AIRFLOW__CORE__DEFAULT_TIMEZONE=utc\n"]
    plugins = os.path.join(settings.project_dir, "plugins")
    if os.path.isdir(plugins):
        out.append(f"AIRFLOW__CORE__PLUGINS_FOLDER={quoted(plugins)}\n")
    versions = {d["version"] for d in dags}
    if versions == {2, 3}:
        warnings.append("some DAG files are of Airflow 2, some of 3; the data intervals of a schedule are one setting for all: airflow.env keeps those of Airflow 2")
    if 2 in versions or not versions:
        out += ["# The DAG files are written for Airflow 2: these two keep its data intervals in Airflow 3 (Airflow 2 has them anyway).\n",
                "AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS=True\n", "AIRFLOW__SCHEDULER__CREATE_DELTA_DATA_INTERVALS=True\n"]
        if any(d["catchup"] for d in dags):
            out.append("AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT=True\n")
    for name, file in sorted(sources.environment.items()):
        value = os.environ.get(name)
        shown = quoted(value) if value is not None and not SECRET.search(name) else ""
        out.append(f"# read by {file}\n{'' if shown else '#'}{name}={shown}\n")
    return "".join(out)


def hosts(folder, config, sources, warnings):
    """Names under which the DAGs reach their broker and their tables: Tidemill routes them, elsewhere the machine has to know them."""
    routes = {}
    for name, port, to_host, to_port in config["routes"]:
        routes.setdefault((name, port), (to_host, to_port))
    lines = {}
    for (name, port), file in sorted(sources.addresses.items()):
        to = routes.get((name.lower(), port)) or routes.get((name.lower(), 0))
        if not to:
            continue
        host, to_port = to[0], to[1] or port
        if name != "localhost" and not name[0].isdigit():
            lines[name] = f"{host} {name}\n"
        if to_port != port:
            warnings.append(f"{file} connects to {name}:{port}; here that leads to {host}:{to_port}. Airflow needs a broker or a store that listens on port {port} under that name")
    if lines:
        folder.write("hosts", "# Lines for /etc/hosts (or extra_hosts of a compose file) of the machines on which Airflow's tasks run.\n" + "".join(lines[k] for k in sorted(lines)), "names that the DAGs use for their broker and store")
    else:
        folder.remove("hosts")


def main():
    config = worker.read_config()
    import airflow  # noqa: F401
    found = [check._one(path) for path in config["files"]]
    errors = [e for f in found for e in f["errors"] if not e.get("warning")]
    if errors:
        answer = {"errors": errors}
    else:
        answer = export(config, found)
    with os.fdopen(3, "w", encoding="utf-8") as out:
        json.dump(answer, out)


if __name__ == "__main__":
    main()
