package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestPutUDP(t *testing.T) {
	tests := []struct {
		name     string
		src, dst string
		payload  string
		df       bool
		want     string
	}{
		{"IPv4", "192.0.2.1:40000", "198.51.100.9:53", "multihop", true, `
45 00 00 24 00 00 40 00 40 11 4e 8b c0 00 02 01 c6 33 64 09  // IPv4: DF, no identification, TTL 64
9c 40 00 35 00 10 c4 57                                      // UDP: 40000 to 53, length 16
6d 75 6c 74 69 68 6f 70                                      // "multihop"`},
		{"IPv6, odd length", "[2001:db8::1]:40000", "[2001:db8:5::9]:53", "multiho", true, `
60 00 00 00 00 0f 11 40                          // IPv6: payload 15, hop limit 64
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
9c 40 00 35 00 0f 55 87                          // UDP: 40000 to 53, length 15
6d 75 6c 74 69 68 6f                             // "multiho"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := netip.MustParseAddrPort(tt.src), netip.MustParseAddrPort(tt.dst)
			b := bytes.Repeat([]byte{0xee}, 100)
			copy(b[UDPOverhead(dst.Addr()):], tt.payload)
			n := PutUDP(b, src, dst, len(tt.payload), tt.df)
			want := golden(t, tt.want)
			if !bytes.Equal(b[:n], want) {
				t.Errorf("got  % x\nwant % x", b[:n], want)
			}
			if b[n] != 0xee {
				t.Error("wrote past the packet")
			}
		})
	}
}

// TestPutUDPChecksum checks header and UDP checksum of every payload word, so
// that the sum that gives 0 is among them.
func TestPutUDPChecksum(t *testing.T) {
	for _, addrs := range [][2]netip.Addr{{host4, peer4}, {host6, peer6}} {
		src, dst := netip.AddrPortFrom(addrs[0], 40000), netip.AddrPortFrom(addrs[1], 51820)
		head := UDPOverhead(dst.Addr())
		b := make([]byte, head+2)
		ffff := 0
		for w := range 0x10000 {
			binary.BigEndian.PutUint16(b[head:], uint16(w))
			if n := PutUDP(b, src, dst, 2, w%2 == 0); n != len(b) {
				t.Fatalf("length %d, want %d", n, len(b))
			}
			m := parse(t, b)
			if m.Version == 4 && naiveSum(b[:20]) != 0xffff {
				t.Fatalf("IPv4 checksum: % x", b)
			}
			if m.Version == 4 && m.DF != (w%2 == 0) {
				t.Fatalf("DF: %v", m.DF)
			}
			switch check := binary.BigEndian.Uint16(b[m.L4+6:]); {
			case check == 0, l4Sum(b, &m) != 0xffff:
				t.Fatalf("UDP checksum %#x: % x", check, b)
			case check == 0xffff:
				ffff++
			}
			p, ok := UDPPayload(b, &m)
			if !ok || !bytes.Equal(p, b[head:]) || m.SrcPort != 40000 || m.DstPort != 51820 {
				t.Fatalf("read back: %v, % x, %+v", ok, p, m)
			}
		}
		if ffff == 0 {
			t.Error("no checksum of 0 was met")
		}
	}
}

func TestPutUDPLength(t *testing.T) {
	big := make([]byte, 70000)
	a4, a6 := netip.AddrPortFrom(host4, 1), netip.AddrPortFrom(host6, 1)
	tests := []struct {
		name string
		b    []byte
		a    netip.AddrPort
		n    int
		want int
	}{
		{"empty payload", big, a4, 0, 28},
		{"largest IPv4", big, a4, 65507, 65535},
		{"too large for IPv4", big, a4, 65508, 0},
		{"largest IPv6", big, a6, 65527, 65575},
		{"too large for IPv6", big, a6, 65528, 0},
		{"buffer too short", big[:60], a4, 33, 0},
		{"buffer exact", big[:60], a4, 32, 60},
		{"no buffer", nil, a6, 0, 0},
		{"negative", big, a4, -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := PutUDP(tt.b, tt.a, tt.a, tt.n, true)
			if n != tt.want {
				t.Fatalf("got %d, want %d", n, tt.want)
			}
			if n > 0 {
				if m := parse(t, tt.b); m.Len != n {
					t.Errorf("header says %d bytes, want %d", m.Len, n)
				}
			}
		})
	}
}

func TestUDPPayload(t *testing.T) {
	tests := []struct {
		name, packet string
		edit         func([]byte) []byte
		want         string
		ok           bool
	}{
		{"whole", udp4, set(0), "multihop", true},
		{"behind extension headers", chain6, set(0), "multihop", true},
		{"shorter than IP says", udp4, set(24, 0, 13), "multi", true},
		{"empty", udp4, set(24, 0, 8), "", true},
		{"length below the header", udp4, set(24, 0, 7), "", false},
		{"length past the packet", udp4, set(24, 0, 17), "", false},
		{"length 0", udp4, set(24, 0, 0), "", false},
		{"first fragment", udp4, set(6, 0x20), "", false},
		{"later fragment", udp4, set(6, 0, 1), "", false},
		{"TCP", tcp4, set(0), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := append(tt.edit(golden(t, tt.packet)), "beyond"...)
			m := parse(t, b)
			p, ok := UDPPayload(b, &m)
			if ok != tt.ok || string(p) != tt.want {
				t.Errorf("got %q, %v, want %q, %v", p, ok, tt.want, tt.ok)
			}
			if cap(p) != len(p) {
				t.Error("payload can be appended to in place")
			}
		})
	}
}
