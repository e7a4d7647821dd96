"""Our Cassandra door over a store in a fresh folder, for the interop tests."""
import shutil
import subprocess
import tempfile

import clients


class Door:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="tidemill-cql-")
        self.process = subprocess.Popen([clients.built("cassandra_server"), self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *failure):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert failure[0] or status == 0, f"the server ended with {status}"
