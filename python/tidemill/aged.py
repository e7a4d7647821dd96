"""Packages that are too old for the Python they are installed for. Ubuntu 24.04's python3-kafka (2.0.2) brings a copy of six whose importer
Python 3.12 no longer asks: `import kafka` ends there with "No module named 'kafka.vendor.six.moves'". The six that is installed beside it is
the same library, so it stands in for such a copy."""
import importlib.machinery
import importlib.util
import sys

COPIES = ("kafka.vendor.six",)


def install():
    if sys.version_info >= (3, 12):
        sys.meta_path.insert(0, Finder())


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name not in COPIES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        try:
            with open(spec.origin, encoding="utf-8") as f:
                if "def find_spec" in f.read():
                    return None  # a copy that knows newer Pythons
            import six
        except (AttributeError, OSError, ImportError):
            return None
        return importlib.util.spec_from_loader(name, Copy(six), origin=spec.origin)


class Copy:
    def __init__(self, six):
        self.six = six

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__dict__.update({k: v for k, v in vars(self.six).items() if not k.startswith("__")})
        sys.modules[module.__name__ + ".moves"] = self.six.moves
