"""Base images where none can be pulled: Debian (and Ubuntu) by debootstrap, trimmed as the official slim image is, and imported under its name.
Certificate authorities that this machine trusts beside Debian's (a proxy's) are trusted in it as well."""
import os
import re
import shutil
import subprocess
import tempfile

from engine import HOME, Skip, say

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
MIRRORS = {"bookworm": "http://deb.debian.org/debian", "noble": "http://archive.ubuntu.com/ubuntu"}


def certificates(path):
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", f.read(), re.S)
    except OSError:
        return []


def trust_what_we_trust(root):
    known = set(certificates(os.path.join(root, BUNDLE.lstrip("/"))))
    more = [c for c in certificates(BUNDLE) if c not in known]
    folder = os.path.join(root, "usr/local/share/ca-certificates")
    os.makedirs(folder, exist_ok=True)
    for n, text in enumerate(more):
        with open(os.path.join(folder, "host-%d.crt" % n), "w", encoding="ascii") as f:
            f.write(text + "\n")
    if more:
        subprocess.run(["chroot", root, "update-ca-certificates"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def trim(root):
    """What the official slim images leave out."""
    for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "var/lib/apt/lists", "var/cache/apt", "var/log"):
        path = os.path.join(root, folder)
        for name in os.listdir(path) if os.path.isdir(path) else ():
            full = os.path.join(path, name)
            shutil.rmtree(full) if os.path.isdir(full) and not os.path.islink(full) else os.unlink(full)
    for folder in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "usr/share/man/man1"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)


def debootstrap(suite):
    """A fresh root of the suite in a new folder."""
    if not shutil.which("debootstrap"):
        raise Skip("no debootstrap, and the base image cannot be pulled")
    os.makedirs(HOME, exist_ok=True)
    root = tempfile.mkdtemp(prefix=suite + "-", dir=HOME)
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "--components=main" + (",universe" if "ubuntu" in MIRRORS[suite] else "")]
    script = []
    if "ubuntu" in MIRRORS[suite]: # Debian's debootstrap may know neither the suite (all of Ubuntu's are one script) nor Ubuntu's keys
        command += [] if os.path.exists("/usr/share/keyrings/ubuntu-archive-keyring.gpg") else ["--no-check-gpg"]
        script = ["/usr/share/debootstrap/scripts/gutsy"]
    got = subprocess.run([*command, suite, root, MIRRORS[suite], *script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    if got.returncode != 0:
        shutil.rmtree(root, ignore_errors=True)
        raise Skip("debootstrap %s: %s" % (suite, got.stdout.strip().splitlines()[-1:]))
    os.chmod(root, 0o755)
    trust_what_we_trust(root)
    return root


def debian(engine, image="debian:bookworm-slim", suite="bookworm"):
    """The image under its official name: there already, pulled, or made."""
    if engine.has(image):
        return
    if engine.pull(image):
        say("%s pulled" % image)
        return
    say("%s cannot be pulled: debootstrap and docker import" % image)
    root = debootstrap(suite)
    try:
        trim(root)
        # Node brings authorities of its own; where the machine trusts more, it must be told.
        change = ["--change", "ENV NODE_EXTRA_CA_CERTS=" + BUNDLE, "--change", 'CMD ["bash"]']
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", *change, "-", image], env=engine.env, stdin=tar.stdout, stdout=subprocess.DEVNULL, check=True)
        tar.stdout.close()
        assert tar.wait() == 0
    finally:
        shutil.rmtree(root, ignore_errors=True)
