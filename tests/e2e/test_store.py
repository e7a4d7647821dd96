"""`store: cassandra://…` against our own Cassandra door, which stands in for a real Cassandra where none is installed (tests/stack/test_store.py does
the same, and more, against the real one): same rows as in the embedded store, nothing lost and nothing twice when either side dies, and what is said
when it cannot be reached."""
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "vectors")]
import instance  # noqa: E402
import programs  # noqa: E402
import store_cases as cases  # noqa: E402
from ports import pump  # noqa: E402


@pytest.fixture
def data(tmp_path):
    os.makedirs(str(tmp_path / "data"))
    return str(tmp_path / "data")


class Door:
    """tests/programs/cassandra_server on a directory: killed, it comes back at the same port with what it acknowledged."""

    def __init__(self, folder, port=0):
        self.folder, self.port = str(folder), port
        self.start()

    def start(self):
        self.process = subprocess.Popen([programs.program("cassandra_server"), self.folder, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.kill()

    @property
    def url(self):
        return "cassandra://127.0.0.1:%d?local_dc=datacenter1" % self.port


def test_every_type_reads_back_as_from_the_embedded_store(tmp_path):
    embedded = cases.types_run(tmp_path / "a", "e2e", str(tmp_path / "da"))
    assert len(embedded[0]["rows"]) == 4 and embedded[4]["rows"], embedded[4]
    with Door(tmp_path / "door") as door:
        outside = cases.types_run(tmp_path / "b", "e2e", str(tmp_path / "db"), TIDEMILL_STORE=door.url)
    for a, b in zip(embedded, outside):
        assert a == b


def test_same_rows_and_commands(tmp_path, data):
    project, feed = cases.project(tmp_path / "p", "e2e"), cases.Feed()
    with Door(tmp_path / "door") as door:
        os.environ["TIDEMILL_STORE"] = door.url  # for the commands that find the instance
        try:
            with instance.Instance(project, data=data) as up:
                assert up.get("/health")["doors"]["cassandra"] == 0  # ours is not opened
                feed.send(project, data, 3000)
                up.wait(lambda: cases.all_read(up, 3000))
                cases.same(cases.tables(up, "e2e"), feed.expected())
                ask = instance.command("cql", "--json", "SELECT count(*) FROM e2e.events", project=project, data=data)
                assert '"rows":[[3000]]' in ask.stdout.replace(" ", ""), ask.stdout + ask.stderr
                shell = instance.command("cql", "--json", project=project, data=data, input="USE e2e; SELECT n FROM counts WHERE word = 'none';\nSELECT nope FROM counts;\n")
                assert '"rows":[]' in shell.stdout.replace(" ", "") and '"code":"0x2200"' in shell.stdout.replace(" ", ""), shell.stdout
                letters = instance.command("cql", "SELECT * FROM tidemill.dead_letters", project=project, data=data)
                assert letters.returncode and "tidemill sql" in letters.stderr
                names = {t["keyspace"] + "." + t["name"]: t for t in up.get("/api/tables")}
                assert {"e2e.counts", "e2e.events", "tidemill.dead_letters"} <= set(names)
                up.wait(lambda: {t["name"]: t["rows"] for t in up.get("/api/tables")}["events"] == 3000)
                assert up.cql("USE e2e; SELECT count(*) FROM events")["rows"] == [[3000]]
            summary, status = instance.up_until_idle(project, data)
            assert status == 0
            rows = {t["name"]: t["rows"] for t in summary["tables"]}
            assert rows["events"] == 3000 and rows["counts"] == 4 and "dead_letters" not in rows
            away = Door(tmp_path / "elsewhere")
            away.kill()
        finally:
            del os.environ["TIDEMILL_STORE"]


@pytest.mark.once
def test_the_store_is_killed_and_comes_back(tmp_path, data):
    project, feed = cases.project(tmp_path / "p", "e2e", limit=700), cases.Feed(2)
    with Door(tmp_path / "door") as door, instance.Instance(project, data=data, TIDEMILL_STORE=door.url) as up:
        for _ in range(3):
            feed.send(project, data, 4000)
            time.sleep(random.uniform(0, 0.1))
            door.kill()
            said = up.wait(lambda: [f for f in up.get("/api/status")["findings"] if f["subject"] == "store"])
            assert "127.0.0.1:%d" % door.port in said[0]["what"], said
            feed.send(project, data, 500)
            up.wait(lambda: "waits: Cassandra at 127.0.0.1" in up.output())
            door.start()
        up.wait(lambda: cases.all_read(up, feed.next))
        up.wait(lambda: not [f for f in up.get("/api/status")["findings"] if f["subject"] == "store"])
        cases.same(cases.tables(up, "e2e"), feed.expected())
        assert "goes on" in up.output()


@pytest.mark.once
def test_tidemill_is_killed_in_the_middle_of_batches(tmp_path, data):
    project, feed = cases.project(tmp_path / "p", "e2e", limit=300), cases.Feed(3)
    with Door(tmp_path / "door") as door:
        for _ in range(6):
            up = instance.Instance(project, data=data, TIDEMILL_STORE=door.url).start()
            feed.send(project, data, 3000)
            time.sleep(random.uniform(0, 0.15))
            up.kill()
        with instance.Instance(project, data=data, TIDEMILL_STORE=door.url) as up:
            up.wait(lambda: not any(p["state"] == "failed" for p in up.get("/api/status")["pipelines"]))
            summary = up.wait(lambda: cases.settled(up, "e2e", feed))
            cases.same(summary, feed.expected())


# ---- what is said before the pipeline starts ----


def test_what_cannot_be_is_said_before_the_start(tmp_path, data):
    project = cases.project(tmp_path / "p", "e2e")
    cases.refused(project, data, "cassandra://me:s3cret@127.0.0.1:1", "no Cassandra answers at 127.0.0.1:1", "connection refused", "next:")
    cases.refused(project, data, "cassandra://me:s3cret@127.0.0.1:1?local_bc=x", "local_dc")
    cases.refused(project, data, "cassandra//me:s3cret@127.0.0.1", "cassandra://", "127.0.0.1")
    with Door(tmp_path / "door") as door:
        cases.refused(project, data, door.url.replace("datacenter1", "paris"), "paris", "datacenter1")
        with open(os.path.join(project, "tables", "02.cql"), "w", encoding="utf-8") as f:
            f.write("USE e2e;\n-- a comment\nCREATE TABLE IF NOT EXISTS\n  broken (a int PRIMARI KEY);\n")
        cases.refused(project, data, door.url, "02.cql:4:")
        with open(os.path.join(project, "tables", "02.cql"), "w", encoding="utf-8") as f:
            f.write("USE nowhere;\n")
        cases.refused(project, data, door.url, "02.cql:1:1", "Keyspace 'nowhere' does not exist")
        os.unlink(os.path.join(project, "tables", "02.cql"))
        with open(os.path.join(project, "pipelines", "zz.sql"), "w", encoding="utf-8") as f:
            f.write(cases.ONE_QUERY % ("e2e", "missing", "word"))
        cases.refused(project, data, door.url, "zz.sql:2", "couldn't find table missing in keyspace e2e", "tables/*.cql")
        with open(os.path.join(project, "pipelines", "zz.sql"), "w", encoding="utf-8") as f:
            f.write(cases.ONE_QUERY % ("e2e", "counts", "wort"))
        cases.refused(project, data, door.url, "columns not found in table e2e.counts: wort")

def test_dag_files_reach_the_real_one_under_the_usual_names(tmp_path, data):
    """A task connects to cassandra:9042 and to localhost:9042, as tutorials do, and says which address it came to."""
    project = cases.project(tmp_path / "p", "e2e")
    os.makedirs(os.path.join(project, "dags"))
    with open(os.path.join(project, "dags", "probe.py"), "w", encoding="utf-8") as f:
        f.write("import socket\nfrom datetime import datetime\nfrom airflow import DAG\nfrom airflow.operators.python import PythonOperator\n\n\n"
                "def probe():\n    for host in ('cassandra', 'localhost'):\n        s = socket.create_connection((host, 9042), timeout=5)\n"
                "        s.sendall(bytes.fromhex('040000000500000000'))  # OPTIONS\n        answer = s.recv(9)\n"
                "        with open(%r, 'a') as out:\n            out.write('%%s %%d %%d\\n' %% (host, s.getpeername()[1], answer[4]))\n\n\n"
                "with DAG('probe', start_date=datetime(2026, 1, 1), schedule=None, catchup=False):\n    PythonOperator(task_id='probe', python_callable=probe)\n"
                % str(tmp_path / "probed"))
    with Door(tmp_path / "door") as door:
        summary, status = instance.up_until_idle(project, data, "--trigger", "probe", TIDEMILL_STORE=door.url)
        assert status == 0, summary
        with open(str(tmp_path / "probed")) as f:
            assert f.read() == "cassandra %d 6\nlocalhost %d 6\n" % (door.port, door.port)  # SUPPORTED


# ---- TLS ----


class TlsFront:
    """TLS in front of a port, for whoever trusts the certificate."""

    def __init__(self, folder, to, names):
        self.to, self.certificate, key = to, os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.certificate, "-days", "2", "-subj",
                        "/CN=node", "-addext", "subjectAltName=" + names], check=True, stderr=subprocess.DEVNULL)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            inside = self.context.wrap_socket(client, server_side=True)
        except OSError:
            return
        behind = socket.create_connection(("127.0.0.1", self.to))
        back = threading.Thread(target=pump, args=(behind, inside), daemon=True)
        back.start()
        pump(inside, behind)
        back.join()


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl command makes the certificate")
def test_tls_with_a_certificate_that_is_trusted_and_names_the_host(tmp_path, data):
    project, feed = cases.project(tmp_path / "p", "e2e"), cases.Feed(4)
    with Door(tmp_path / "door") as door:
        front = TlsFront(str(tmp_path), door.port, "IP:127.0.0.1")
        url = "cassandra://127.0.0.1:%d" % front.port
        with instance.Instance(project, data=data, TIDEMILL_STORE=url + "?ssl_ca=" + front.certificate) as up:
            feed.send(project, data, 2000)
            up.wait(lambda: cases.all_read(up, 2000))
            cases.same(cases.tables(up, "e2e"), feed.expected())
        run = subprocess.run([instance.binary(), "cql", "--json", "SELECT count(*) FROM e2e.events", "--project", project], stdout=subprocess.PIPE,
                             env=instance.environment(data, TIDEMILL_STORE=url + "?ssl=true&ssl_ca=" + front.certificate))
        assert b"2000" in run.stdout, run.stdout
        cases.refused(project, data, url + "?ssl=true", "its certificate is not accepted", "ssl_ca")
        cases.refused(project, data, url, "ssl=true")
        cases.refused(project, data, door.url + "&ssl=true", "TLS: ")
        other = TlsFront(str(tmp_path), door.port, "DNS:elsewhere")
        url = "cassandra://127.0.0.1:%d?ssl_ca=%s" % (other.port, other.certificate)
        cases.refused(project, data, url, "IP address mismatch", "ssl_check_hostname")
        with instance.Instance(project, data=data, TIDEMILL_STORE=url + "&ssl_check_hostname=false") as up:
            assert cases.query(up, "SELECT count(*) FROM e2e.events") == [[2000]]
