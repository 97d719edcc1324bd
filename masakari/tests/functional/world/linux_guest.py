"""A tiny real Linux guest: Debian's cloud kernel, busybox and qemu-ga, all in an initramfs."""

import json
import os
import pathlib
import re
import shutil
import subprocess

from masakari.tests.functional.program import wait

PACKAGES = pathlib.Path("/var/lib/masakari-tests/guest")
"""Unpacked there by tools/install-servers."""
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci")
MODULES += ("virtio_console", "virtio_blk")
MEMORY_MIB = 96
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in /mod/*.ko; do insmod $m; done
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vport1p1 -o -e /dev/vport0p1 ] && break; sleep 0.1; done
port=$(ls /dev/vport*p1)
case $agent in
    ours) sh /agent 0<>$port 1>&0 & ;;
    *) qemu-ga -p $port -m virtio-serial -t /run & ;;
esac
while :; do sleep 3600; done
"""
AGENT = """\
# answers as an agent does, until it is told to go bad: then garbage, and a megabyte, in turn
next=
while :; do
    read -r line || { sleep 0.1; continue; }
    case $next$line in
        garbage*) echo '}{ garbage'; next=megabyte ;;
        megabyte*) next=garbage; dd if=/dev/zero bs=4096 count=256 2>/dev/null | tr '\\0' x ;;
        *guest-sync*) id=${line##*:}; echo "{\\"return\\":${id%%\\}*}}" ;;
        *) echo '{"return":{}}' ;;
    esac
    case $line in *go-bad*) next=garbage ;; esac
done
"""


def missing() -> str | None:
    """Why there can be none on this machine, or None."""
    if not (PACKAGES / "usr/sbin/qemu-ga").exists() or shutil.which("cpio") is None:
        return "the packages of a guest are not there; as root on Debian, make test fetches them"
    return None


def build(directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """(kernel, initrd) in the *directory*."""
    root = directory / "root"
    for name in ("bin", "dev", "proc", "sys", "run", "tmp", "mod", "etc", "lib64"):
        (root / name).mkdir(parents=True)
    libraries = root / "lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    shutil.copy(PACKAGES / "bin/busybox", root / "bin")
    agent = PACKAGES / "usr/sbin/qemu-ga"
    shutil.copy(agent, root / "bin")
    path = f"{PACKAGES}/usr/lib/x86_64-linux-gnu"
    said = subprocess.run(
        ["ldd", agent],
        env=os.environ | {"LD_LIBRARY_PATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for library in re.findall(r"=> (/\S+)", said):
        shutil.copy(library, libraries)
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
    for n, name in enumerate(MODULES):
        for found in PACKAGES.glob(f"lib/modules/*/kernel/**/{name}.ko"):
            shutil.copy(found, root / f"mod/{n}-{name}.ko")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    (root / "agent").write_text(AGENT)
    initrd = directory / "initrd.gz"
    packed = f"find . | cpio -o -H newc --quiet | gzip -1 > {initrd}"
    subprocess.run(["sh", "-c", packed], cwd=root, check=True)
    shutil.rmtree(root)
    (kernel,) = PACKAGES.glob("boot/vmlinuz-*")
    return kernel, initrd


def execute(domain, command: str) -> None:
    """Have the guest's agent run a shell command; nobody waits for its end."""
    import libvirt
    import libvirt_qemu

    arguments = {"path": "/bin/sh", "arg": ["-c", command]}
    asked = json.dumps({"execute": "guest-exec", "arguments": arguments})

    def is_asked() -> bool:
        try:
            libvirt_qemu.qemuAgentCommand(domain, asked, 10, 0)
        except libvirt.libvirtError as e:
            if "not available for now" not in str(e):  # then nothing was sent
                raise
            return False
        return True

    wait("the agent is available", is_asked, 120)


def go_bad(domain) -> None:
    """From now on the agent of a guest with agent=ours says what no agent says."""
    import libvirt_qemu

    libvirt_qemu.qemuAgentCommand(domain, json.dumps({"execute": "go-bad"}), 10, 0)
