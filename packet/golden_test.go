package packet

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// Whole packets, header by header, with correct checksums. 192.0.2.1 and
// 2001:db8::1 are this host, 198.51.100.9 and 2001:db8:5::9 the other end,
// 203.0.113.1 and 2001:db8:9::1 a router between.

const tcp4 = `
45 00 00 3c 1c 46 40 00 40 06 32 38 c0 00 02 01 c6 33 64 09  // IPv4: DF, TTL 64, TCP, 192.0.2.1 to 198.51.100.9
c0 00 01 bb 11 22 33 44 00 00 00 00 a0 02 fa f0  // TCP: 49152 to 443, SYN, window 64240
a7 4a 00 00
02 04 05 b4 04 02 08 0a 00 a1 b2 c3 00 00 00 00  // MSS 1460, SACK permitted, timestamps, NOP, window scale 7
01 03 03 07
`

const udp4 = `
45 00 00 24 1c 46 00 00 40 11 72 45 c0 00 02 01 c6 33 64 09  // IPv4: UDP
9c 40 00 35 00 10 c4 57  // UDP: 40000 to 53, length 16
6d 75 6c 74 69 68 6f 70  // "multihop"
`

const options4 = `
47 00 00 28 1c 46 40 00 40 01 28 46 c0 00 02 01  // IPv4: IHL 7
c6 33 64 09 01 07 07 04 00 00 00 00
08 00 06 fa 12 34 00 01 70 69 6e 67  // ICMP: echo request
`

const tcp6 = `
60 00 00 00 00 28 06 40  // IPv6: TCP, 2001:db8::1 to 2001:db8:5::9
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
c0 00 01 bb 11 22 33 44 00 00 00 00 a0 02 fa f0  // TCP: 49152 to 443, SYN
38 08 00 00
02 04 05 b4 04 02 08 0a 00 a1 b2 c3 00 00 00 00  // MSS 1460, SACK permitted, timestamps, NOP, window scale 7
01 03 03 07
`

const chain6 = `
60 00 00 00 00 48 00 40  // IPv6: hop-by-hop options follow
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
2b 00 05 02 00 00 01 00  // hop-by-hop: router alert, PadN; routing follows
2c 02 04 00 00 00 00 00 20 01 0d b8 00 07 00 00  // routing: type 4, no segments left; fragment follows
00 00 00 00 00 00 00 01
3c 00 00 00 de ad be ef  // fragment: atomic; destination options follow
11 01 01 0c 00 00 00 00 00 00 00 00 00 00 00 00  // destination options: PadN; UDP follows
9c 40 00 35 00 10 55 15 6d 75 6c 74 69 68 6f 70  // UDP: 40000 to 53, "multihop"
`

const error4 = `
45 c0 00 38 1c 46 00 00 40 01 5f bc cb 00 71 01 c0 00 02 01  // IPv4: ICMP, 203.0.113.1 to 192.0.2.1
03 03 9c 1f 00 00 00 00  // ICMP: port unreachable
45 00 00 24 1c 46 00 00 39 11 79 45 c0 00 02 01 c6 33 64 09  // IPv4, quoted: UDP, 192.0.2.1 to 198.51.100.9, TTL 57
9c 40 00 35 00 10 c4 57  // UDP, quoted: 40000 to 53, payload cut
`

const error6 = `
60 00 00 00 00 58 3a 40  // IPv6: ICMPv6, 2001:db8:9::1 to 2001:db8::1
20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
02 00 36 bd 00 00 05 00  // ICMPv6: packet too big, MTU 1280
60 00 00 00 00 28 06 39  // IPv6, quoted: TCP, 2001:db8::1 to 2001:db8:5::9, hop limit 57
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
c0 00 01 bb 11 22 33 44 00 00 00 00 a0 02 fa f0  // TCP, quoted: 49152 to 443, SYN
38 08 00 00 02 04 05 b4 04 02 08 0a 00 a1 b2 c3
00 00 00 00 01 03 03 07
`

var (
	host4 = netip.MustParseAddr("192.0.2.1")
	peer4 = netip.MustParseAddr("198.51.100.9")
	host6 = netip.MustParseAddr("2001:db8::1")
	peer6 = netip.MustParseAddr("2001:db8:5::9")
)

// golden returns the bytes of a packet above, without its comments.
func golden(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "//")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parse returns what Parse finds in a valid packet.
func parse(t testing.TB, b []byte) Meta {
	t.Helper()
	var m Meta
	if v := m.Parse(b); v != OK {
		t.Fatalf("Parse: %v of % x", v, b)
	}
	return m
}

// goldens are the seeds of the fuzz targets.
var goldens = []string{tcp4, udp4, options4, tcp6, chain6, error4, error6}

// naiveSum is RFC 1071 word by word.
func naiveSum(pieces ...[]byte) uint16 {
	var sum uint64
	for _, b := range pieces {
		for i := 0; i < len(b); i += 2 {
			w := uint64(b[i]) << 8
			if i+1 < len(b) {
				w |= uint64(b[i+1])
			}
			sum += w
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// residue is the number of 16 bits that a one's complement sum stands for:
// 0xffff is another 0. A correct checksum makes it 0.
func residue(sum uint16) uint16 { return sum % 0xffff }

// l4Sum is the sum of a whole packet's upper layer with its pseudo-header.
func l4Sum(b []byte, m *Meta) uint16 {
	addrs := b[12:20]
	if m.Version == 6 {
		addrs = b[8:40]
	}
	n := m.Len - m.L4
	pseudo := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, 0, 0, m.Proto}
	if m.Version == 4 && m.Proto == ProtoICMP {
		addrs, pseudo = nil, nil
	}
	return naiveSum(addrs, pseudo, b[m.L4:m.Len])
}
