"""`hosts:` of the project: names and addresses of tutorials (broker:29092, cassandra:9042) lead to Tidemill's own doors.
Python's sockets are patched; confluent-kafka, which has its own in C, gets its configuration patched."""
import socket
import sys

_routes = {}  # (name, port or 0) -> (host, port or 0)
client_name = None  # of the task at work: its Kafka clients carry it as their client id where the code gives none


def _route(host, port):
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        return host, port
    name = host.lower().rstrip(".")
    try:
        number = int(port) if port is not None else 0
    except (TypeError, ValueError):
        return host, port
    found = _routes.get((name, number)) or _routes.get((name, 0))
    if not found:
        return host, port
    return found[0], found[1] or port


def install(routes):
    for name, port, to_host, to_port in routes:
        _routes[(name.lower(), port)] = (to_host, to_port)
    if not _routes:
        return
    real_getaddrinfo, real_gethostbyname, real_connect, real_connect_ex = socket.getaddrinfo, socket.gethostbyname, socket.socket.connect, socket.socket.connect_ex

    def getaddrinfo(host, port, *args, **kwargs):
        return real_getaddrinfo(*_route(host, port), *args, **kwargs)

    def gethostbyname(host):
        return real_gethostbyname(_route(host, None)[0])

    def address_of(address):
        if isinstance(address, tuple) and len(address) >= 2:
            host, port = _route(address[0], address[1])
            return (host, port, *address[2:])
        return address

    def connect(self, address):
        return real_connect(self, address_of(address))

    def connect_ex(self, address):
        return real_connect_ex(self, address_of(address))

    socket.getaddrinfo, socket.gethostbyname = getaddrinfo, gethostbyname
    socket.socket.connect, socket.socket.connect_ex = connect, connect_ex
    sys.meta_path.insert(0, _Clients())


def rewrite(servers):
    """host:port lists in bootstrap.servers."""
    out = []
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        scheme, _, host = host.rpartition("://")
        to = _route(host, port)
        out.append(f"{scheme}://{to[0]}:{to[1]}" if scheme else f"{to[0]}:{to[1]}")
    return ",".join(out)


def _patched(cls):
    class Patched(cls):
        def __init__(self, *args, **kwargs):
            args = tuple(_config(a) if isinstance(a, dict) else a for a in args)
            super().__init__(*args, **_config(kwargs))

    Patched.__name__, Patched.__qualname__, Patched.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Patched


def _config(config):
    named = {"client.id": client_name} if client_name and "client.id" not in config else {}
    return named | {k: rewrite(v) if k in ("bootstrap.servers", "metadata.broker.list") and isinstance(v, str) else v for k, v in config.items()}


def _named(cls):
    """kafka-python's class: with the task's name as client id."""
    real = cls.__init__

    def __init__(self, *args, **configs):
        if client_name and configs.get("client_id") is None:
            configs["client_id"] = client_name
        real(self, *args, **configs)

    cls.__init__ = __init__
    return cls


class _Clients:
    """Changes the classes of Kafka's clients right after they were imported."""
    names = {"confluent_kafka.cimpl": (_patched, ("Producer", "Consumer", "_AdminClientImpl")), "kafka.producer.kafka": (_named, ("KafkaProducer",))}

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        import importlib.util
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return None
        real_exec = spec.loader.exec_module

        class Loader:
            def create_module(self, s):
                return spec.loader.create_module(s)

            def exec_module(self, module):
                real_exec(module)
                change, classes = _Clients.names[name]
                for n in classes:
                    if hasattr(module, n):
                        setattr(module, n, change(getattr(module, n)))

        wrapped = importlib.util.spec_from_loader(name, Loader(), origin=spec.origin)
        return wrapped
