# The first process of a simulated host: private copies of directories, then systemd, or nothing.
#
# $NAME: of the host.  $ROOT: its disk, of which $ROOT/{etc,opt,var} survive a power cycle.
# $PYTHON, $LIBRARIES and $TREE: what is to be seen in /opt, as services do not see the homes of
# users.  $INIT: systemd, or empty.
set -eu
for d in etc opt var; do
    mkdir -p "$ROOT/$d/upper" "$ROOT/$d/work"
    mount -t overlay overlay -o "lowerdir=/$d,upperdir=$ROOT/$d/upper,workdir=$ROOT/$d/work" "/$d"
done
mkdir -p /opt/python /opt/libraries /opt/tree
mount --bind -o ro "$PYTHON" /opt/python
mount --bind -o ro "$LIBRARIES" /opt/libraries
mount --bind -o ro "$TREE" /opt/tree
# a Python with a shared library looks for it where it was built
echo /opt/python/lib > /etc/ld.so.conf.d/00-python.conf
ldconfig
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/lock
mount -t proc proc /proc
hostname "$NAME"
echo "$NAME" > /etc/hostname

if test -z "$INIT"; then
    echo ready > "$ROOT/ready"
    trap : CHLD
    while :; do sleep 3600 & wait || true; done
fi

mount -t cgroup2 cgroup2 /sys/fs/cgroup
# of the machine's own services none is started here
for d in /lib/systemd/system/*.wants; do mount -t tmpfs -o mode=755 tmpfs "$d"; done
if ! test -e "$ROOT/installed"; then
    rm -rf /etc/systemd/system/* /etc/init.d/* /etc/rc?.d/* /etc/fstab /etc/masakari /etc/masakarimonitors
    mkdir -p /etc/systemd/journald.conf.d
    printf '[Journal]\nReadKMsg=no\nStorage=volatile\nRateLimitBurst=0\n' > /etc/systemd/journald.conf.d/test.conf
    mkdir -p /etc/systemd/system/multi-user.target.wants
    ln -s /dev/null /etc/systemd/system/systemd-remount-fs.service
    for u in systemd-journald.service systemd-journald.socket; do
        ln -s "/lib/systemd/system/$u" /etc/systemd/system/multi-user.target.wants/
    done
    : > "$ROOT/installed"
fi
exec env -i container=masakari PATH="$PATH" LANG=C.UTF-8 SYSTEMD_LOG_TARGET=journal-or-kmsg \
    /lib/systemd/systemd --system --unit=multi-user.target --log-level=warning
