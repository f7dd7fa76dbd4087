#!/usr/bin/env python3
"""The cloud-config of a machine that serves an authority, with the files of deploy/systemd: user-data.py URL SHA256 > user-data

URL is where the machine gets the program from, over HTTPS, and SHA256 what it must be."""

import pathlib
import re
import sys

FILES = {
    "/etc/systemd/system/wardein.service": "systemd/wardein.service",
    "/etc/sysusers.d/wardein.conf": "systemd/wardein.sysusers",
    "/etc/tmpfiles.d/wardein.conf": "systemd/wardein.tmpfiles",
    "/usr/local/sbin/wardein-install": "cloud-init/wardein-install",
}

HEAD = """\
#cloud-config
# A machine that serves a Wardein authority. It holds no secret: every process of the machine can read this.
locale: C.UTF-8
package_update: true
packages: [ca-certificates, curl, postgresql-client, systemd-timesyncd]
write_files:
"""

# Without an authority in its directory the service is enabled, and does not start.
TAIL = """\
runcmd:
  - [systemd-sysusers, /etc/sysusers.d/wardein.conf]
  - [systemd-tmpfiles, --create, /etc/tmpfiles.d/wardein.conf]
  - [/usr/local/sbin/wardein-install, "{url}", "{sha256}"]
  - [systemctl, daemon-reload]
  - [systemctl, enable, --now, wardein.service]
"""


def main() -> None:
    if len(sys.argv) != 3 or not re.fullmatch(r"(https|file)://[!#-\[\]-~]+", sys.argv[1]) or not re.fullmatch("[0-9a-f]{64}", sys.argv[2]):
        sys.exit("usage: user-data.py https://HOST/PATH SHA256 > user-data")
    here = pathlib.Path(__file__).parent.parent
    said = HEAD
    for path, source in FILES.items():
        mode = "0755" if "/sbin/" in path else "0644"
        said += f"  - path: {path}\n    permissions: \"{mode}\"\n    content: |\n"
        said += "".join(f"      {line}\n" if line else "\n" for line in (here / source).read_text().splitlines())
    print(said + TAIL.format(url=sys.argv[1], sha256=sys.argv[2]), end="")


main()
