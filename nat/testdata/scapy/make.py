#!/usr/bin/python3
"""Writes the golden packets of ../../scapy_test.go to a folder:

    ./make.py .

Each case is a packet that scapy (Debian package python3-scapy) builds for one
address, and again for another: lengths and checksums are scapy's. What nat
makes of the first must be the second, byte for byte.
"""

import struct
import sys

from scapy.fields import BitField, ByteField, ShortField
from scapy.layers.inet import (ICMP, IP, TCP, UDP, IPOption_RR, IPOption_Router_Alert,
                               IPOption_Timestamp, in4_chksum)
from scapy.layers.inet6 import (HBHOptUnknown, ICMPv6DestUnreach, ICMPv6EchoReply,
                                ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6MLDMultAddrRec,
                                ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS,
                                ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig,
                                ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting, PadN, RouterAlert, in6_chksum)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import GRE
from scapy.layers.sctp import SCTP, SCTPChunkData, SCTPChunkInit
from scapy.packet import NoPayload, Packet, Raw, bind_layers
from scapy.utils import checksum

TUN = {4: "192.0.2.1", 6: "2001:db8::1"}
HOP = {4: "10.64.0.7", 6: "fd00:64::7"}
FAR = {4: "198.51.100.9", 6: "2001:db8:5::9"}
ROUTER = {4: "203.0.113.1", 6: "2001:db8:9::1"}


def pseudo(ip, proto, n):
    """The pseudo-header, for what in4_chksum and in6_chksum do not know."""
    if isinstance(ip, IP):
        return bytes(IP(src=ip.src, dst=ip.dst))[12:20] + struct.pack("!HH", proto, n)
    return bytes(IPv6(src=ip.src, dst=ip.dst))[8:40] + struct.pack("!II", n, proto)


class UDPLite(Packet):
    """RFC 3828. cover: bytes under the checksum, 0: all."""
    name = "UDP-Lite"
    fields_desc = [ShortField("sport", 40000), ShortField("dport", 7000), ShortField("cover", 0),
                   ShortField("chksum", 0)]

    def post_build(self, p, pay):
        p += pay
        c = checksum(pseudo(self.underlayer, 136, len(p)) + p[:self.cover or len(p)]) or 0xffff
        return p[:6] + struct.pack("!H", c) + p[8:]


class DCCP(Packet):
    """RFC 4340: a DCCP-Request with short sequence numbers left out."""
    name = "DCCP"
    fields_desc = [ShortField("sport", 40000), ShortField("dport", 5001), ByteField("offset", 5),
                   BitField("ccval", 0, 4), BitField("cscov", 0, 4), ShortField("chksum", 0),
                   BitField("res", 0, 3), BitField("type", 0, 4), BitField("x", 1, 1),
                   ByteField("reserved", 0), BitField("seq", 0x112233445566, 48),
                   BitField("service", 0x6d756c74, 32)]

    def post_build(self, p, pay):
        p += pay
        sum4or6 = in4_chksum if isinstance(self.underlayer, IP) else in6_chksum
        return p[:6] + struct.pack("!H", sum4or6(33, self.underlayer, p)) + p[8:]


for header in (IP, IPv6):
    field = "proto" if header is IP else "nh"
    bind_layers(header, UDPLite, {field: 136})
    bind_layers(header, DCCP, {field: 33})


def comment(layer):
    name = layer.name
    if isinstance(layer, (IP, IPv6)):
        return "%s: %s > %s" % (name, layer.src, layer.dst)
    if isinstance(layer, TCP):
        return "TCP: %d > %d, %s" % (layer.sport, layer.dport, layer.flags)
    if isinstance(layer, (UDP, UDPLite, DCCP, SCTP)):
        return "%s: %d > %d" % (name, layer.sport, layer.dport)
    if isinstance(layer, Raw):
        return "payload"
    return name


def lines(packet, data, prefix=""):
    """The bytes of data, header by header as packet has them; data may be cut."""
    text = ""
    while not isinstance(packet, NoPayload) and data:
        n = len(packet) - len(packet.payload)
        head, data = data[:n], data[n:]
        note = "  // " + prefix + comment(packet) + (", cut" if len(head) < n else "")
        for i in range(0, len(head), 16):
            text += head[i:i + 16].hex(" ") + note + "\n"
            note = ""
        packet = packet.payload
    return text


class Error:
    """An ICMP error, and the packet that it quotes, of which n bytes."""

    def __init__(self, head, quoted, n=None):
        self.head, self.quoted, self.n = head, quoted, n
        self.quote = bytes(quoted)[:n]

    def __bytes__(self):
        return bytes(self.head / Raw(self.quote))

    def lines(self):
        b = bytes(self)
        n = len(b) - len(self.quote)
        return lines(self.head, b[:n]) + lines(self.quoted, self.quote, "quoted ")


class Fragment:
    """Bytes start to end of a packet's payload, or of an Error's."""

    def __init__(self, packet, start, end):
        self.ip = packet.head if isinstance(packet, Error) else packet
        b = bytes(packet)
        if isinstance(self.ip, IP):
            ihl = (b[0] & 15) * 4
            payload = b[ihl:]
            header = IP(b[:ihl])
            header.remove_payload()
            header.len = header.chksum = None
            header.frag, header.flags = start // 8, "MF" if end < len(payload) else 0
        else:
            payload = b[40:]
            header = IPv6(b[:40])
            header.plen = None
            header /= IPv6ExtHdrFragment(nh=b[6], offset=start // 8, m=int(end < len(payload)), id=0xdeadbeef)
            header.nh = 44
        self.packet = header / Raw(payload[start:end])

    def __bytes__(self):
        return bytes(self.packet)

    def lines(self):
        return lines(self.packet, bytes(self.packet))


def section(packet):
    if hasattr(packet, "lines"):
        return packet.lines()
    return lines(packet, bytes(packet))


class Group:
    """The cases of one file."""

    def __init__(self, name):
        self.name, self.text = name, "// Written by make.py. Do not edit.\n"

    def add(self, version, out, name, build):
        """build makes the packet between an address and FAR: from it if out."""
        self.text += "\n== %s, IPv%d, %s\n" % (name, version, "source" if out else "destination")
        for when, ours in (("before", TUN[version]), ("after", HOP[version])):
            src, dst = (ours, FAR[version]) if out else (FAR[version], ours)
            self.text += when + "\n" + section(build(src, dst))

    def out(self, version, name, build):
        self.add(version, True, name, build)

    def into(self, version, name, build):
        self.add(version, False, name, build)


def all_ones(header):
    """A UDP datagram whose checksum comes to 0: the word that makes it so for
    HOP is found by leaving it out once."""
    def build(src, dst):
        hop = HOP[4] if header is IP else HOP[6]
        trial = header(src=hop, dst=dst) / UDP(sport=40000, dport=53) / Raw(b"\0\0")
        word = struct.unpack("!H", bytes(trial)[-4:-2])[0]
        p = header(src=src, dst=dst) / UDP(sport=40000, dport=53) / Raw(struct.pack("!H", word))
        assert src != hop or bytes(p)[-4:-2] == b"\xff\xff"
        return p
    return build


def tcp(**more):
    fields = dict(sport=49152, dport=443, seq=0x11223344, ack=0x55667788, flags="PA", window=64240)
    fields.update(more)
    return TCP(**fields)


SYN = dict(flags="S", ack=0, options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (0xa1b2c3, 0)), ("NOP", None), ("WScale", 7)])
HELLO = Raw(b"multihop!")  # an odd number of bytes
LONG = Raw(bytes(i * 7 & 255 for i in range(75)))


def uppers():
    """Everything that is the same over IPv4 and IPv6: name, upper layer."""
    return [
        ("TCP SYN with options", tcp(**SYN)),
        ("TCP data", tcp() / HELLO),
        ("TCP RST with urgent pointer", tcp(flags="RU", urgptr=7)),
        ("UDP", UDP(sport=40000, dport=53) / HELLO),
        ("UDP, empty", UDP(sport=40000, dport=53)),
        ("UDP without a checksum", UDP(sport=40000, dport=53, chksum=0) / HELLO),
        ("UDP-Lite over all", UDPLite() / HELLO),
        ("UDP-Lite over the header", UDPLite(cover=8) / HELLO),
        ("UDP-Lite over 13 bytes", UDPLite(cover=13) / HELLO),
        ("DCCP", DCCP() / HELLO),
        ("SCTP INIT", SCTP(sport=5000, dport=5001, tag=0) / SCTPChunkInit(init_tag=9, init_tsn=7)),
        ("SCTP DATA", SCTP(sport=5000, dport=5001, tag=9) / SCTPChunkData(data=b"data")),
        ("GRE around our address", GRE(proto=0x800, chksum_present=1) / IP(src=TUN[4], dst=HOP[4]) / UDP(sport=1, dport=2) / HELLO),
        ("ESP", ESP(spi=0x1000, seq=5, data=b"ciphertext" * 3)),
    ]


def ipv4():
    g = Group("ipv4")
    for name, upper in uppers():
        g.out(4, name, lambda s, d: IP(src=s, dst=d, id=7206) / upper)
        g.into(4, name, lambda s, d: IP(src=s, dst=d, id=7206) / upper)
    g.out(4, "UDP, the checksum becomes 0xffff", all_ones(IP))
    g.out(4, "echo request", lambda s, d: IP(src=s, dst=d) / ICMP(type=8, id=77, seq=3) / HELLO)
    g.into(4, "echo reply", lambda s, d: IP(src=s, dst=d) / ICMP(type=0, id=77, seq=3) / HELLO)
    g.out(4, "ICMP timestamp", lambda s, d: IP(src=s, dst=d) / ICMP(type=13, id=77, seq=3, ts_ori=1, ts_rx=2, ts_tx=3))
    g.out(4, "IP in IP", lambda s, d: IP(src=s, dst=d) / IP(src=TUN[4], dst=FAR[4]) / UDP(sport=1, dport=2) / HELLO)
    g.out(4, "DF, TOS, TTL 1", lambda s, d: IP(src=s, dst=d, flags="DF", tos=0xb9, ttl=1, id=0) / UDP(sport=1, dport=33434) / HELLO)
    for name, option in (("router alert", IPOption_Router_Alert()),
                         ("record route with our address", IPOption_RR(pointer=8, routers=[TUN[4], "0.0.0.0"])),
                         ("timestamp", IPOption_Timestamp(flg=0, timestamp=0x01020304))):
        g.out(4, "TCP behind option " + name, lambda s, d: IP(src=s, dst=d, options=[option]) / tcp() / HELLO)
        g.into(4, "UDP behind option " + name, lambda s, d: IP(src=s, dst=d, options=[option]) / UDP(sport=53, dport=40000) / HELLO)
    return g


CHAINS = [
    ("hop-by-hop", lambda: IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])),
    ("destination options", lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 10)])),
    ("routing, no segments left", lambda: IPv6ExtHdrRouting(type=0, segleft=0, addresses=[TUN[6]])),
    ("fragment, atomic", lambda: IPv6ExtHdrFragment(id=0xdeadbeef)),
    ("all four", lambda: IPv6ExtHdrHopByHop(options=[HBHOptUnknown(otype=0x1e, optdata=b"xy")])
     / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)])
     / IPv6ExtHdrRouting(type=0, segleft=0, addresses=[TUN[6], HOP[6]]) / IPv6ExtHdrFragment(id=1)),
]


def ipv6():
    g = Group("ipv6")
    for name, upper in uppers():
        g.out(6, name, lambda s, d: IPv6(src=s, dst=d, fl=0x12345, tc=0xb8) / upper)
        g.into(6, name, lambda s, d: IPv6(src=s, dst=d, hlim=1) / upper)
    g.out(6, "UDP, the checksum becomes 0xffff", all_ones(IPv6))
    mac = "02:00:00:00:00:07"
    for name, message in (
            ("echo request", ICMPv6EchoRequest(id=77, seq=3, data=b"multihop!")),
            ("echo reply", ICMPv6EchoReply(id=77, seq=3, data=b"multihop!")),
            ("router solicitation", ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
            ("router advertisement", ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptPrefixInfo(prefix="2001:db8::")),
            ("neighbour solicitation for our address", ICMPv6ND_NS(tgt=TUN[6]) / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
            ("neighbour advertisement of our address", ICMPv6ND_NA(tgt=TUN[6], S=1)),
            ("multicast listener report", ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(dst="ff02::fb")]))):
        g.out(6, name, lambda s, d: IPv6(src=s, dst=d, hlim=255) / message)
        g.into(6, name, lambda s, d: IPv6(src=s, dst=d, hlim=255) / message)
    for name, chain in CHAINS:
        g.out(6, "TCP behind " + name, lambda s, d: IPv6(src=s, dst=d) / chain() / tcp() / HELLO)
        g.into(6, "echo behind " + name, lambda s, d: IPv6(src=s, dst=d) / chain() / ICMPv6EchoRequest(id=1, data=b"odd"))
    return g


def errors4():
    g = Group("errors4")
    unreachable = lambda code: ICMP(type=3, code=code)
    for name, upper in uppers() + [("echo request", ICMP(type=8, id=77, seq=3) / HELLO)]:
        g.into(4, "port unreachable about " + name, lambda s, d: Error(
            IP(src=ROUTER[4], dst=d, id=9) / unreachable(3), IP(src=d, dst=s, ttl=57) / upper))
        g.into(4, "time exceeded about 8 bytes of " + name, lambda s, d: Error(
            IP(src=ROUTER[4], dst=d, id=9) / ICMP(type=11, code=0), IP(src=d, dst=s, ttl=1) / upper, 28))
        g.out(4, "port unreachable from us about " + name, lambda s, d: Error(
            IP(src=s, dst=d, tos=0xc0) / unreachable(3), IP(src=d, dst=s) / upper))
    udp = UDP(sport=40000, dport=53) / HELLO
    g.into(4, "fragmentation needed about TCP", lambda s, d: Error(
        IP(src=ROUTER[4], dst=d) / ICMP(type=3, code=4, nexthopmtu=1400), IP(src=d, dst=s, flags="DF") / tcp() / LONG))
    g.into(4, "parameter problem about an IP header alone", lambda s, d: Error(
        IP(src=ROUTER[4], dst=d) / ICMP(type=12, code=0, ptr=20), IP(src=d, dst=s) / udp, 20))
    for n in (24, 26, 28, 29, 38):
        g.into(4, "host unreachable about %d bytes of TCP" % n, lambda s, d: Error(
            IP(src=ROUTER[4], dst=d) / unreachable(1), IP(src=d, dst=s) / tcp() / HELLO, n))
    for n in (22, 32, 40, None):
        g.into(4, "host unreachable about UDP behind an option, %s bytes" % (n or "all"), lambda s, d: Error(
            IP(src=ROUTER[4], dst=d) / unreachable(1),
            IP(src=d, dst=s, options=[IPOption_RR(pointer=8, routers=[TUN[4], "0.0.0.0"])]) / udp, n))
    g.into(4, "time exceeded behind an option", lambda s, d: Error(
        IP(src=ROUTER[4], dst=d, options=[IPOption_Router_Alert()]) / ICMP(type=11), IP(src=d, dst=s) / udp))
    g.into(4, "reassembly time exceeded about a first fragment", lambda s, d: Error(
        IP(src=FAR[4], dst=d) / ICMP(type=11, code=1), Fragment(IP(src=d, dst=s) / UDP() / LONG, 0, 32).packet))
    g.into(4, "host unreachable about a later fragment", lambda s, d: Error(
        IP(src=ROUTER[4], dst=d) / unreachable(1), Fragment(IP(src=d, dst=s) / UDP() / LONG, 32, 64).packet))
    return g


def errors6():
    g = Group("errors6")
    for name, upper in uppers() + [("echo request", ICMPv6EchoRequest(id=77, seq=3, data=b"multihop!"))]:
        g.into(6, "port unreachable about " + name, lambda s, d: Error(
            IPv6(src=ROUTER[6], dst=d) / ICMPv6DestUnreach(code=4), IPv6(src=d, dst=s, hlim=57) / upper))
        g.into(6, "hop limit exceeded about 8 bytes of " + name, lambda s, d: Error(
            IPv6(src=ROUTER[6], dst=d) / ICMPv6TimeExceeded(), IPv6(src=d, dst=s, hlim=1) / upper, 48))
        g.out(6, "port unreachable from us about " + name, lambda s, d: Error(
            IPv6(src=s, dst=d) / ICMPv6DestUnreach(code=4), IPv6(src=d, dst=s) / upper))
    g.into(6, "packet too big about TCP", lambda s, d: Error(
        IPv6(src=ROUTER[6], dst=d) / ICMPv6PacketTooBig(mtu=1300), IPv6(src=d, dst=s) / tcp() / LONG))
    g.into(6, "parameter problem about an IPv6 header alone", lambda s, d: Error(
        IPv6(src=ROUTER[6], dst=d) / ICMPv6ParamProblem(code=1, ptr=6), IPv6(src=d, dst=s) / tcp(), 40))
    for name, chain in CHAINS:
        for n in (46, 56, None):
            g.into(6, "no route about TCP behind %s, %s bytes" % (name, n or "all"), lambda s, d: Error(
                IPv6(src=ROUTER[6], dst=d) / ICMPv6DestUnreach(code=0), IPv6(src=d, dst=s) / chain() / tcp() / HELLO, n))
    g.into(6, "hop limit exceeded behind a hop-by-hop header", lambda s, d: Error(
        IPv6(src=ROUTER[6], dst=d) / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)]) / ICMPv6TimeExceeded(),
        IPv6(src=d, dst=s) / UDP(sport=40000, dport=53) / HELLO))
    g.into(6, "reassembly time exceeded about a first fragment", lambda s, d: Error(
        IPv6(src=FAR[6], dst=d) / ICMPv6TimeExceeded(code=1), Fragment(IPv6(src=d, dst=s) / UDP() / LONG, 0, 32).packet))
    g.into(6, "no route about a later fragment", lambda s, d: Error(
        IPv6(src=ROUTER[6], dst=d) / ICMPv6DestUnreach(code=0), Fragment(IPv6(src=d, dst=s) / UDP() / LONG, 32, 64).packet))
    return g


def fragments():
    g = Group("fragments")
    option = [IPOption_RR(pointer=8, routers=[TUN[4], "0.0.0.0"])]
    for version, name, packet in (
            (4, "TCP", lambda s, d: IP(src=s, dst=d, id=7) / tcp() / LONG),
            (4, "UDP", lambda s, d: IP(src=s, dst=d, id=7) / UDP(sport=40000, dport=53) / LONG),
            (4, "UDP without a checksum", lambda s, d: IP(src=s, dst=d, id=7) / UDP(sport=40000, dport=53, chksum=0) / LONG),
            (4, "UDP behind an option", lambda s, d: IP(src=s, dst=d, id=7, options=option) / UDP(sport=40000, dport=53) / LONG),
            (4, "DCCP", lambda s, d: IP(src=s, dst=d, id=7) / DCCP() / LONG),
            (4, "echo", lambda s, d: IP(src=s, dst=d, id=7) / ICMP(type=8, id=77) / LONG),
            (6, "TCP", lambda s, d: IPv6(src=s, dst=d) / tcp() / LONG),
            (6, "UDP", lambda s, d: IPv6(src=s, dst=d) / UDP(sport=40000, dport=53) / LONG),
            (6, "UDP behind destination options", lambda s, d: IPv6(src=s, dst=d) / IPv6ExtHdrDestOpt(
                options=[PadN(optdata=b"\0" * 4)]) / UDP(sport=40000, dport=53) / LONG),
            (6, "echo", lambda s, d: IPv6(src=s, dst=d) / ICMPv6EchoRequest(id=77, data=LONG.load))):
        for part, start, end in (("first", 0, 32), ("middle", 32, 64), ("last", 64, 1000)):
            g.out(version, "%s fragment of %s" % (part, name), lambda s, d: Fragment(packet(s, d), start, end))
            g.into(version, "%s fragment of %s" % (part, name), lambda s, d: Fragment(packet(s, d), start, end))
    g.into(4, "first fragment of an error with the quoted checksum", lambda s, d: Fragment(Error(
        IP(src=ROUTER[4], dst=d) / ICMP(type=3, code=3), IP(src=d, dst=s) / UDP(sport=40000, dport=53) / LONG), 0, 40))
    g.into(6, "first fragment of an error with the quoted checksum", lambda s, d: Fragment(Error(
        IPv6(src=ROUTER[6], dst=d) / ICMPv6DestUnreach(code=4), IPv6(src=d, dst=s) / UDP(sport=40000, dport=53) / LONG), 0, 64))
    return g


if __name__ == "__main__":
    for group in (ipv4(), ipv6(), errors4(), errors6(), fragments()):
        with open("%s/%s.txt" % (sys.argv[1], group.name), "w") as f:
            f.write(group.text)
