"""Runs a static valkeep in a root that holds nothing but what deploy/Dockerfile puts there, and lets it ask "AWS".

usage: static.py PROGRAM

It must need no loader, know time zones, find an address through DNS, and trust a server by the roots in
/etc/ssl/certs/ca-certificates.crt. DNS answers on port 53 of loopback; who may not listen there is told, and the name
is put into /etc/hosts instead.
"""

import datetime
import http.server
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "aws.valkeep.test"
NAMESERVER = "127.53.53.53"
# Names Europe/London; there is no /usr/share/zoneinfo.
WINDOW = pathlib.Path(__file__).resolve().parents[2] / "manifests" / "valid" / "rollout.yaml"
ACCOUNT = "111122223333"
ANSWER = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/valkeep/static</Arn><UserId>A:static</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>""".encode()


class Sts(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


def certificates(folder):
    """A root of our own and a server that it vouches for."""

    def certificate(subject, key, issuer, issuer_key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("root", root_key, "root", root_key, x509.BasicConstraints(ca=True, path_length=None))
    server = certificate(
        NAME, key, "root", root_key,
        x509.SubjectAlternativeName([x509.DNSName(NAME)]),
        x509.BasicConstraints(ca=False, path_length=None),
    )
    (folder / "roots.pem").write_bytes(root)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(server + pem)


def serve_https(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def serve_dns(asked):
    """Answers every question for an A record with 127.0.0.1, and says that there are no others."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((NAMESERVER, 53))

    def answer():
        while True:
            query, client = listener.recvfrom(512)
            end = 12
            labels = []
            while query[end]:
                labels.append(query[end + 1 : end + 1 + query[end]].decode())
                end += 1 + query[end]
            asked.append(".".join(labels))
            question = query[12 : end + 5]
            is_address = query[end + 1 : end + 3] == b"\0\1"
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1]) if is_address else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if is_address else 0, 0, 0)
            listener.sendto(head + question + record, client)

    threading.Thread(target=answer, daemon=True).start()


def main(program):
    program = str(pathlib.Path(program).resolve())
    headers = subprocess.run(["readelf", "--program-headers", program], check=True, capture_output=True, text=True)
    if "INTERP" in headers.stdout:
        sys.exit(f"static: {program} needs a loader")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        certificates(folder)
        port = serve_https(folder)
        asked = []
        (folder / "resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        try:
            serve_dns(asked)
            by = "DNS"
        except PermissionError as error:
            print(f"static: DNS is not tried, port 53 is not ours ({error}); the name is in /etc/hosts", file=sys.stderr)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
            by = "/etc/hosts"

        def run(roots, *arguments):
            # What ECS puts into a container (hosts, resolv.conf), what the image has, and nothing else.
            command = ["bwrap", "--unshare-user", "--unshare-pid", "--uid", "65532", "--gid", "65532", "--clearenv"]
            command += ["--ro-bind", program, "/valkeep", "--proc", "/proc", "--dev", "/dev"]
            command += ["--ro-bind", str(WINDOW), "/window.yaml"]
            for name in ("resolv.conf", "hosts"):
                command += ["--ro-bind", str(folder / name), f"/etc/{name}"]
            if roots:
                command += ["--ro-bind", str(folder / "roots.pem"), "/etc/ssl/certs/ca-certificates.crt"]
            for name, value in {
                "AWS_ENDPOINT_URL": f"https://{NAME}:{port}",
                "AWS_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "static",
                "AWS_SECRET_ACCESS_KEY": "static",
            }.items():
                command += ["--setenv", name, value]
            return subprocess.run([*command, "--", "/valkeep", *arguments], capture_output=True, text=True, timeout=120)

        version = run(False, "--version")
        if version.returncode != 0:
            sys.exit(f"static: {version.stderr}")
        window = run(False, "validate", "/window.yaml")
        if window.returncode != 0:
            sys.exit(f"static: a time zone is not known: {window.stdout}{window.stderr}")
        policy = run(True, "iam-policy", "--store", "s3://bucket/docs/")
        if policy.returncode != 0 or ACCOUNT not in policy.stdout:
            sys.exit(f"static: AWS could not be asked: {policy.stderr}")
        if by == "DNS" and NAME not in asked:
            sys.exit(f"static: nobody asked DNS for {NAME}: {asked}")
        untrusted = run(False, "iam-policy", "--store", "s3://bucket/docs/")
        if untrusted.returncode == 0:
            sys.exit("static: a server was trusted without any roots")
        size = os.path.getsize(program) // 1_000_000
        print(f"static: {version.stdout.strip()} runs in an empty root, asks {by} and trusts its roots ({size} MB)")


main(*sys.argv[1:])
