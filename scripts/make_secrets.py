"""Write every secret that docker-compose.yml needs into secrets/, at random; what is there already stays.

    python3 scripts/make_secrets.py [FOLDER] [--host factory.example.com]

Standard library only. The folder is closed to other users; the files in it are readable, because each container reads
its own as a user of its own. The TLS pair is a self-signed trial (made by `openssl`): replace it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Folder:
    """The secrets of one deployment."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self.path = path

    def keep(self, name: str, content: str) -> str:
        """The secret `name`: the one on disk, else `content`, written now."""
        file = self.path / name
        if not file.exists():
            file.write_text(content)
            file.chmod(0o444)
            print(f"made {file}")
        return file.read_text()


def password() -> str:
    return secrets.token_urlsafe(32)


def htpasswd(user: str, secret: str) -> str:
    """One line for nginx's auth_basic_user_file; salted SHA-1 suffices for 256 random bits."""
    salt = secrets.token_bytes(8)
    digest = hashlib.sha1(secret.encode() + salt).digest()  # noqa: S324 - the only salted scheme nginx and the standard library share
    return f"{user}:{{SSHA}}{base64.b64encode(digest + salt).decode()}\n"


def identities(access: str, secret: str) -> str:
    """SeaweedFS: one user that may do everything in the one bucket, and nobody else at all."""
    actions = [f"{action}:factory" for action in ("Admin", "Read", "Write", "List")]
    return json.dumps(
        {"identities": [{"name": "factory", "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions}]}
    )


def make(path: Path, host: str) -> None:
    folder = Folder(path)
    folder.keep("postgres_superuser_password", password())
    for role, name in (("app", "factory_database_url"), ("owner", "factory_migration_database_url")):
        secret = folder.keep(f"postgres_{role}_password", password())
        folder.keep(name, f"postgresql+psycopg://factory_{role}:{secret}@postgres:5432/factory")
    redis = folder.keep("redis_auth", f"requirepass {password()}\n").split()[1]
    folder.keep("factory_redis_url", f"redis://:{redis}@redis:6379/0")
    access, secret = folder.keep("factory_s3_access_key", secrets.token_hex(10)), folder.keep("factory_s3_secret_key", password())
    folder.keep("s3_identities", identities(access, secret))
    folder.keep("factory_link_secret", password())
    flower = folder.keep("factory_flower_password", password())
    folder.keep("flower_htpasswd", htpasswd("ops", flower))
    make_certificate(folder, host)


def make_certificate(folder: Folder, host: str) -> None:
    certificate, key = folder.path / "tls_certificate", folder.path / "tls_key"
    if certificate.exists() and key.exists():
        return
    if not shutil.which("openssl"):
        sys.exit(f"make_secrets: no openssl on PATH: put a certificate chain at {certificate} and its key at {key}")
    pair = ["-keyout", str(key), "-out", str(certificate)]
    name = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90"]
    subprocess.run([*request, *pair, *name], check=True, capture_output=True)
    for file in (certificate, key):
        file.chmod(0o444)
    print(f"made {certificate}, self-signed for {host}, 90 days: replace it before anybody trusts it")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "secrets")
    parser.add_argument("--host", default="localhost", help="the name in the trial certificate")
    given = parser.parse_args()
    make(given.folder, given.host)


if __name__ == "__main__":
    main()
