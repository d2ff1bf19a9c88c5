package nat

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"multihop/packet"
)

// Packets before and after 192.0.2.1 became 10.64.0.7, or 2001:db8::1 became
// fd00:64::7, header by header.

const tcp4Before = `
45 00 00 3c 1c 46 40 00 40 06 32 38 c0 00 02 01 c6 33 64 09  // IPv4: TCP from 192.0.2.1 to 198.51.100.9
c0 00 01 bb 11 22 33 44 00 00 00 00 a0 02 fa f0  // TCP: 49152 to 443, SYN
a7 4a 00 00
02 04 05 b4 04 02 08 0a 00 a1 b2 c3 00 00 00 00  // options
01 03 03 07
`

const udp6Before = `
60 00 00 00 00 10 11 40  // IPv6: UDP from 2001:db8::1 to 2001:db8:5::9
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
9c 40 00 35 00 10 55 15  // UDP: 40000 to 53
6d 75 6c 74 69 68 6f 70  // "multihop"
`

const error4Before = `
45 00 00 38 1c 46 00 00 40 01 60 7c cb 00 71 01 c0 00 02 01  // IPv4: ICMP from 203.0.113.1 to 192.0.2.1
03 03 9c 1f 00 00 00 00  // ICMP: port unreachable
45 00 00 24 1c 46 00 00 39 11 79 45 c0 00 02 01 c6 33 64 09  // IPv4, quoted: UDP from 192.0.2.1 to 198.51.100.9
9c 40 00 35 00 10 c4 57  // UDP, quoted: checksum, no payload
`

const error6Before = `
60 00 00 00 00 38 3a 40  // IPv6: ICMPv6 from 2001:db8:9::1 to 2001:db8::1
20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
03 00 d9 0b 00 00 00 00  // ICMPv6: hop limit exceeded
60 00 00 00 00 28 06 39  // IPv6, quoted: TCP from 2001:db8::1 to 2001:db8:5::9
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
c0 00 01 bb 11 22 33 44  // TCP, quoted: 8 bytes, no checksum
`

const tcp4After = `
45 00 00 3c 1c 46 40 00 40 06 e9 f2 0a 40 00 07 c6 33 64 09  // IPv4: TCP from 10.64.0.7 to 198.51.100.9
c0 00 01 bb 11 22 33 44 00 00 00 00 a0 02 fa f0  // TCP: 49152 to 443, SYN
5f 05 00 00
02 04 05 b4 04 02 08 0a 00 a1 b2 c3 00 00 00 00  // options
01 03 03 07
`

const udp6After = `
60 00 00 00 00 10 11 40  // IPv6: UDP from fd00:64::7 to 2001:db8:5::9
fd 00 00 64 00 00 00 00 00 00 00 00 00 00 00 07
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
9c 40 00 35 00 10 85 63  // UDP: 40000 to 53
6d 75 6c 74 69 68 6f 70  // "multihop"
`

const error4After = `
45 00 00 38 1c 46 00 00 40 01 18 37 cb 00 71 01 0a 40 00 07  // IPv4: ICMP from 203.0.113.1 to 10.64.0.7
03 03 e4 64 00 00 00 00  // ICMP: port unreachable
45 00 00 24 1c 46 00 00 39 11 31 00 0a 40 00 07 c6 33 64 09  // IPv4, quoted: UDP from 10.64.0.7 to 198.51.100.9
9c 40 00 35 00 10 7c 12  // UDP, quoted: checksum, no payload
`

const error6After = `
60 00 00 00 00 38 3a 40  // IPv6: ICMPv6 from 2001:db8:9::1 to fd00:64::7
20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 01
fd 00 00 64 00 00 00 00 00 00 00 00 00 00 00 07
03 00 39 a8 00 00 00 00  // ICMPv6: hop limit exceeded
60 00 00 00 00 28 06 39  // IPv6, quoted: TCP from fd00:64::7 to 2001:db8:5::9
fd 00 00 64 00 00 00 00 00 00 00 00 00 00 00 07
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
c0 00 01 bb 11 22 33 44  // TCP, quoted: 8 bytes, no checksum
`

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

func TestGolden(t *testing.T) {
	tests := []struct {
		name, before, after string
		translate           func(*Rewrite, []byte, *packet.Meta) packet.Verdict
	}{
		{"TCP over IPv4", tcp4Before, tcp4After, (*Rewrite).Source},
		{"UDP over IPv6", udp6Before, udp6After, (*Rewrite).Source},
		{"ICMP error", error4Before, error4After, (*Rewrite).Destination},
		{"ICMPv6 error", error6Before, error6After, (*Rewrite).Destination},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, after := golden(t, tt.before), golden(t, tt.after)
			there, back := rewrite(t, tun4, hop4), rewrite(t, hop4, tun4)
			if before[0]>>4 == 6 {
				there, back = rewrite(t, tun6, hop6), rewrite(t, hop6, tun6)
			}
			b := bytes.Clone(before)
			for _, step := range []struct {
				r    Rewrite
				want []byte
			}{{there, after}, {back, before}} {
				m := parse(t, b)
				if v := tt.translate(&step.r, b, &m); v != packet.OK {
					t.Fatalf("verdict %v", v)
				}
				if !bytes.Equal(b, step.want) {
					t.Errorf("to %v:\ngot  % x\nwant % x", step.r.to, b, step.want)
				}
				if m != parse(t, b) {
					t.Errorf("Meta does not describe the packet: %+v", m)
				}
			}
		})
	}
}
