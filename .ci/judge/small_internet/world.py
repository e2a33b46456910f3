"""DNS of a small internet: knot with a signed zone, and unbound, which validates it, on one machine."""
import os
import subprocess

from faults.machines import must
from faults.process import within, run

ZONE = "house."
REVERSE = "5.1.11.in-addr.arpa."


class World:
    """Starts both servers on a machine of `network`. Records are lines of a zone file; `ttl` is in seconds."""

    def __init__(self, network, ttl=1):
        self.ttl = ttl
        self.folder = network.folder / "dns"
        self.folder.mkdir()
        self.namespace, self.knot = network.machine()
        # The resolver has an address of its own on the same machine.
        self.resolver = "11.1.5.253"
        must("ip", "-n", self.namespace, "addr", "add", f"{self.resolver}/24", "dev", "eth0")
        self.records, self.serial, self.programs = {ZONE: [], REVERSE: []}, 1, []
        self.write()
        (self.folder / "knot.conf").write_text(f"""
server:
    rundir: {self.folder}
    listen: {self.knot}@53
database:
    storage: {self.folder}
policy:
  - id: signed
    algorithm: ECDSAP256SHA256
template:
  - id: default
    storage: {self.folder}
    file: %s.zone
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
  - domain: {ZONE}
    dnssec-signing: on
    dnssec-policy: signed
  - domain: {REVERSE}
""")
        self.start("knotd", "-c", self.folder / "knot.conf")
        assert within(20, lambda: self.knotc("zone-status", ZONE).returncode == 0), "knot did not start"
        keys = within(20, lambda: run("keymgr", "-c", self.folder / "knot.conf", ZONE, "ds").stdout.strip())
        anchor = [line for line in keys.splitlines() if " 2 " in line][0]
        (self.folder / "unbound.conf").write_text(f"""
server:
    username: ""
    chroot: ""
    directory: "{self.folder}"
    pidfile: "{self.folder}/unbound.pid"
    interface: {self.resolver}
    access-control: 11.1.5.0/24 allow
    do-daemonize: no
    use-syslog: no
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    local-zone: "11.in-addr.arpa." nodefault
    domain-insecure: "{REVERSE}"
    cache-max-ttl: {ttl}
    cache-max-negative-ttl: 1
stub-zone:
    name: "{ZONE}"
    stub-addr: {self.knot}
stub-zone:
    name: "{REVERSE}"
    stub-addr: {self.knot}
remote-control:
    control-enable: no
""")
        self.start("unbound", "-c", self.folder / "unbound.conf")

    def start(self, *command):
        log = open(self.folder / f"{command[0]}.log", "ab")
        self.programs.append(subprocess.Popen(["ip", "netns", "exec", self.namespace, *map(str, command)],
                                              stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def knotc(self, *command):
        return run("knotc", "-c", self.folder / "knot.conf", "-s", self.folder / "knot.sock", *command)

    def write(self):
        for zone, records in self.records.items():
            begin = f"$TTL {self.ttl}\n@ SOA ns.house. host.house. {self.serial} 3600 600 86400 1\n@ NS ns.house.\n"
            if zone == ZONE:
                begin += f"ns.house. A {self.knot}\n"
            (self.folder / f"{zone}zone").write_text(begin + "".join(f"{record}\n" for record in records))

    def add(self, *records, zone=ZONE):
        """Adds records and waits until the zone has them; the resolver remembers an answer for a second."""
        self.records[zone] += records
        self.serial += 1
        self.write()
        self.knotc("-b", "zone-reload", zone)
        for name, kind in (record.split()[:2] for record in records if not record.split()[0].isdigit()):
            within(10, lambda: self.answer(name.rstrip("."), kind).strip())

    def remove(self, start, zone=ZONE):
        """Removes the records that begin so, and waits until the resolver has forgotten them."""
        gone = [record for record in self.records[zone] if record.startswith(start)]
        self.records[zone] = [record for record in self.records[zone] if record not in gone]
        self.serial += 1
        self.write()
        self.knotc("-b", "zone-reload", zone)
        for name, kind in (record.split()[:2] for record in gone):
            within(10, lambda: '"' not in self.answer(name.rstrip("."), kind))

    def machine(self, name, address):
        """Names a machine, forwards and backwards."""
        self.add(f"{name}. A {address}")
        self.add(f"{address.rsplit('.', 1)[1]} PTR {name}.", zone=REVERSE)

    def use(self, namespace):
        """Lets the programs of a namespace ask this resolver."""
        folder = f"/etc/netns/{namespace}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/resolv.conf", "w") as file:
            file.write(f"nameserver {self.resolver}\n")

    def answer(self, name, kind):
        return must("ip", "netns", "exec", self.namespace, "kdig", f"@{self.resolver}", "+short", "+dnssec", name, kind)

    def close(self):
        for program in self.programs:
            program.terminate()
            program.wait(20)


def quoted(text):
    """A text as a TXT record has it, in pieces of at most 255 bytes."""
    return " ".join('"%s"' % text[at:at + 255] for at in range(0, len(text), 255))
