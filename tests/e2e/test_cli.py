"""The command line: answers without an instance, answers of an instance, mistakes with places and hints."""
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from instance import ROOT, Instance, binary, command, copy_of, environment  # noqa: E402


def test_sql_needs_no_instance(tmp_path):
    run = command("sql", "SELECT 1 AS one, 'x' AS s; SELECT cast('1.5' AS decimal(10,2)) AS d", "--json", project=str(tmp_path), data=str(tmp_path / "d"))
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0
    assert lines[0] == {"columns": [{"name": "one", "type": "int"}, {"name": "s", "type": "string"}], "rows": [[1, "x"]]}
    assert lines[1]["columns"] == [{"name": "d", "type": "decimal(10,2)"}] and lines[1]["rows"] == [["1.50"]]
    run = command("sql", "SELECT 1/0", "--json", project=str(tmp_path), data=str(tmp_path / "d"))
    error = json.loads(run.stdout)["error"]
    assert run.returncode == 1 and error["class"] == "DIVIDE_BY_ZERO" and error["sqlstate"] == "22012" and (error["line"], error["column"]) == (1, 8)
    run = command("sql", project=str(tmp_path), data=str(tmp_path / "d"), input="SELECT 2;\nSELECT 3;\n")
    assert run.returncode == 0 and "2" in run.stdout and "3" in run.stdout


def test_mistakes_of_the_command_line(tmp_path):
    run = command("upp")
    assert run.returncode == 2 and "Did you mean `tidemill up`?" in run.stderr
    run = command("up", "--until-idel")
    assert run.returncode == 2 and "Did you mean --until-idle?" in run.stderr
    run = command("up", str(tmp_path / "nowhere"))
    assert run.returncode == 1 and "there is no project directory" in run.stderr
    run = command("topic", "list", project=str(tmp_path), data=str(tmp_path / "d"))
    assert run.returncode != 0 and "no instance of this project answers" in run.stderr
    assert command("version", "--json").stdout.startswith('{"version"')


def test_check_finds_what_is_wrong(tmp_path):
    project = copy_of("examples/users", str(tmp_path))
    run = command("check", project)
    assert run.returncode == 0, run.stdout + run.stderr
    with open(os.path.join(project, "pipelines", "created_users.sql"), "a") as f:
        f.write("\nCREATE STREAMING TABLE broken USING cassandra OPTIONS (keyspace 'spark_streams', table 'created_users') AS\n  SELEC id FROM STREAM users_created;\n")
    with open(os.path.join(project, "tables", "z.cql"), "w") as f:
        f.write("CREATE TABLE spark_streams.t (id uuid PRIMARY KEY, x txt);\n")
    with open(os.path.join(project, "dags", "bad.py"), "w") as f:
        f.write("from airflow import DAG\nx = 1 +\n")
    run = command("check", project, "--json")
    found = json.loads(run.stdout)
    places = {(os.path.basename(p["file"]), p["line"]) for p in found["problems"]}
    assert run.returncode == 1 and not found["ok"]
    assert {("z.cql", 1), ("bad.py", 2)} <= places and any(f == "created_users.sql" for f, _ in places), found


def test_a_taken_port_is_named(tmp_path):
    project = copy_of("examples/users", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        env = environment(str(tmp_path / "d"), TIDEMILL_LISTEN_KAFKA="127.0.0.1:%d" % port)
        run = subprocess.run([binary(), "up", project, "--until-idle"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
        assert run.returncode != 0 and str(port) in run.stderr and "listen.kafka" in run.stderr, run.stderr


def test_an_instance_answers(tmp_path):
    os.makedirs(str(tmp_path / "p" / "tables"))
    project = str(tmp_path / "p")
    with open(os.path.join(project, "tables", "t.cql"), "w") as f:
        f.write("CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n"
                "CREATE TABLE IF NOT EXISTS k.t (id int PRIMARY KEY, v text);\nINSERT INTO k.t (id, v) VALUES (1, 'one');\n")
    with Instance(project) as i:
        def ask(*args, **more):
            return command(*args, project=project, data=i.data, **more)
        run = ask("cql", "SELECT * FROM k.t", "--json")
        assert json.loads(run.stdout) == {"columns": [{"name": "id", "type": "int"}, {"name": "v", "type": "text"}], "rows": [[1, "one"]]}, run.stdout + run.stderr
        run = ask("cql", "SELECT * FROM k.nothing", "--json")
        assert run.returncode == 1 and json.loads(run.stdout)["error"]["code"] == "0x2200"
        run = ask("sql", "SELECT id + 1 AS n, v FROM k.t", "--json")
        assert json.loads(run.stdout)["rows"] == [[2, "one"]], run.stdout + run.stderr
        run = ask("topic", "produce", "words", input="a\nb\nk:c\n")
        assert run.returncode == 0 and "3 records" in run.stderr, run.stderr
        run = ask("topic", "tail", "words", "--json")
        assert [json.loads(line)["value"] for line in run.stdout.splitlines()] == ["a", "b", "k:c"]
        run = ask("topic", "list", "--json")
        assert [(t["name"], t["records"]) for t in json.loads(run.stdout)] == [("words", 3)]
        run = ask("sql", "SELECT CAST(value AS STRING) AS v FROM kafka.words ORDER BY 1", "--json")
        assert json.loads(run.stdout)["rows"] == [["a"], ["b"], ["k:c"]], run.stdout + run.stderr
        # A second instance on the same data says so and ends.
        second = subprocess.run([binary(), "up", project], env=environment(i.data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, timeout=30)
        assert second.returncode != 0 and "in use" in second.stderr + second.stdout or "another" in second.stderr, second.stderr


def test_another_project_is_not_taken_for_this_one(tmp_path):
    one = copy_of("examples/users", str(tmp_path))
    two = tmp_path / "two"
    (two / "pipelines").mkdir(parents=True)
    with Instance(one) as i:
        def ask(project, words=("topic", "list")):
            env = environment(str(tmp_path / "no-data"), TIDEMILL_LISTEN_HTTP="127.0.0.1:%d" % i.http)
            return subprocess.run([binary(), *words, "--project", str(project)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        run = ask(two)
        assert run.returncode != 0 and "no instance of this project answers" in run.stderr and one in run.stderr
        assert ask(one).returncode == 0
        (tmp_path / "link").symlink_to(one)
        assert ask(tmp_path / "link").returncode == 0
        (tmp_path / "empty").mkdir()
        assert ask(tmp_path / "empty").returncode == 0  # no project: whoever answers is meant
        assert "2" in ask(two, ("sql", "SELECT 1 + 1")).stdout  # from this process
