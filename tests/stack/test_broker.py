"""`broker: kafka://…` on real Kafkas: the adapter's own tests, the offsets that lag tools see, user and password, records that only a real one brings."""
import os
import subprocess

import pytest

import broker_cases as cases
import conftest
import instance

SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
JAAS = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="s3cret";'


@pytest.fixture(params=["kafka39", "kafka4"])
def address(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def names(address, prefix):
    yield prefix
    cases.delete_topics(address, prefix)


def test_the_adapters_own_tests(address):
    """tests/unit/kafka/broker_kafka_test.c, which `make test` runs against our own door."""
    run = subprocess.run([os.path.join(os.path.dirname(instance.binary()), "tests", "kafka_broker_kafka_test")], env=dict(os.environ, TM_TEST_KAFKA="kafka://" + address),
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=300)
    cases.delete_topics(address, "broker_ut_")
    assert run.returncode == 0, run.stdout[-4000:]


@pytest.mark.parametrize("sink", ["", ", processing.guarantee 'exactly_once_v2'"])
def test_topic_to_topic_and_tables(address, names, tmp_path, sink):
    cases.make_topic(address, names + "in", 3)
    top = cases.project(tmp_path / "p", address, prefix=names, sink=sink, view=", kafka.group.id '%sgroup'" % names)
    with cases.open_project(top, str(tmp_path / "data")) as up:
        feed = cases.Feed(address, names + "in", 5000, 5000)
        feed.start()
        feed.join(60)
        cases.check(up, address, names, 5000)
    out = subprocess.run([os.path.join(cases.HERE, "kafka4.sh"), "tool", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", address, "--describe",
                          "--group", names + "group"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=120).stdout
    lags = [line.split()[5] for line in out.splitlines() if names + "in" in line]
    assert lags == ["0", "0", "0"], out


def make_certificates(folder):
    """An authority, ca.pem, and what it signed for 127.0.0.1, with its key in one file."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "kafka.key", "-out", "kafka.csr", "-subj", "/CN=kafka")
    openssl("x509", "-req", "-in", "kafka.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "kafka.crt", "-days", "2", "-extfile", "names")
    (folder / "kafka.pem").write_text((folder / "kafka.key").read_text() + (folder / "kafka.crt").read_text())


@pytest.mark.parametrize("name", ["kafka39", "kafka4"])
def test_tls_and_scram(tmp_path, name):
    """The address that docs/broker.md shows, and what it says of an old librdkafka."""
    conftest.install(name)
    port = cases.free_ports(3)[2]
    keys = tmp_path / "keys"
    make_certificates(keys)
    kafka = cases.Kafka(name, tmp_path / "kafka", listeners=["SASLTLS://127.0.0.1:%d" % port],
                        options=["sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN", "listener.name.sasltls.scram-sha-512.sasl.jaas.config=" + SCRAM,
                                 "listener.name.sasltls.plain.sasl.jaas.config=" + JAAS, "ssl.keystore.type=PEM", "ssl.keystore.location=%s" % (keys / "kafka.pem")]).start()
    try:
        kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server", kafka.address, "--alter", "--add-config", "SCRAM-SHA-512=[password=s3cret]",
                   "--entity-type", "users", "--entity-name", "ann")
        cases.make_topic(kafka.address, "in", 1)
        address = "127.0.0.1:%d?security.protocol=SASL_SSL&sasl.mechanisms=SCRAM-SHA-512&sasl.username=ann&sasl.password=" % port
        authority = "&ssl.ca.location=%s" % (keys / "ca.pem")
        top, data = cases.project(tmp_path / "p", address + "wr0ng" + authority), str(tmp_path / "data")
        refused = instance.command("up", top, "--until-idle", data=data)
        assert refused.returncode != 0 and "uthentication" in refused.stderr and "wr0ng" not in refused.stderr, refused.stderr
        use_broker(top, address + "s3cret")
        refused = instance.command("up", top, "--until-idle", data=data)
        assert refused.returncode != 0 and "certificate" in refused.stderr and "s3cret" not in refused.stderr, refused.stderr
        use_broker(top, address + "s3cret" + authority)
        if name == "kafka4" and client_is_old():
            refused = instance.command("up", top, "--until-idle", data=data)
            assert refused.returncode != 0 and "2.6.1" in refused.stderr, refused.stderr
            use_broker(top, (address + "s3cret" + authority).replace("SCRAM-SHA-512", "PLAIN"))
        all_go_through(kafka, top, data)
    finally:
        kafka.stop()


def client_is_old():
    version = subprocess.run(["pkg-config", "--modversion", "rdkafka"], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
    return tuple(map(int, version.split(".")[:3])) < (2, 6, 1)


def use_broker(top, address):
    with open(os.path.join(top, "tidemill.yaml"), "w", encoding="utf-8") as f:
        f.write("broker: kafka://%s\n" % address)


def all_go_through(kafka, top, data):
    feed = cases.Feed(kafka.address, "in", 100, 1000)
    feed.start()
    feed.join(60)
    summary, status = instance.up_until_idle(top, data)
    assert status == 0 and {t["name"]: t["records"] for t in summary["topics"]} == {"in": 100, "out": 100}


def test_user_and_password(tmp_path):
    conftest.install("kafka4")
    port = cases.free_ports(3)[2]
    kafka = cases.Kafka("kafka4", tmp_path / "kafka", listeners=["SASL://127.0.0.1:%d" % port],
                        options=["sasl.enabled.mechanisms=PLAIN", "listener.name.sasl.plain.sasl.jaas.config=" + JAAS]).start()
    try:
        cases.make_topic(kafka.address, "in", 1)
        top, data = cases.project(tmp_path / "p", "ann:wrong@127.0.0.1:%d" % port), str(tmp_path / "data")
        refused = instance.command("up", top, "--until-idle", data=data)
        assert refused.returncode != 0
        assert "uthentication" in refused.stderr and "wrong" not in refused.stderr, refused.stderr
        use_broker(top, "ann:s3cret@127.0.0.1:%d" % port)
        all_go_through(kafka, top, data)
    finally:
        kafka.stop()
