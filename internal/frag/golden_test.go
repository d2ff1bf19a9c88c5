package frag

import (
	"bytes"
	"testing"
)

// One datagram of 24 bytes in UDP, from 198.51.100.9 or 2001:db8:5::9, port
// 51820, to 192.0.2.1 or 2001:db8::1, port 40000; whole, and in two fragments:
// of 24 and 8 bytes of data (IPv4), of 16 and 16 (IPv6). All checksums are correct.

const whole4 = `
45 00 00 34 1c 46 00 00 40 11 72 35 c6 33 64 09 c0 00 02 01  // IPv4: length 52, identification 0x1c46
ca 6c 9c 40 00 20 2d d8                                      // UDP: length 32
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77              // "all of it, in tw"
6f 20 70 69 65 63 65 73                                      // "o pieces"
`

const first4 = `
45 00 00 2c 1c 46 20 00 40 11 52 3d c6 33 64 09 c0 00 02 01  // IPv4: length 44, MF
ca 6c 9c 40 00 20 2d d8                                      // UDP: length 32
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77
`

const last4 = `
45 00 00 1c 1c 46 00 03 40 11 72 4a c6 33 64 09 c0 00 02 01  // IPv4: length 28, offset 24
6f 20 70 69 65 63 65 73
`

const wholeOptions4 = `
48 00 00 40 1c 46 00 00 40 11 d0 1d c6 33 64 09 c0 00 02 01  // IPv4: IHL 8, length 64
94 04 00 00                                                  // router alert: in every fragment
07 07 04 00 00 00 00 00                                      // record route: in the first only; end
ca 6c 9c 40 00 20 2d d8
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77
6f 20 70 69 65 63 65 73
`

const firstOptions4 = `
48 00 00 38 1c 46 20 00 40 11 b0 25 c6 33 64 09 c0 00 02 01  // IPv4: IHL 8, length 56, MF
94 04 00 00
07 07 04 00 00 00 00 00
ca 6c 9c 40 00 20 2d d8
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77
`

const lastOptions4 = `
46 00 00 20 1c 46 00 03 40 11 dd 41 c6 33 64 09 c0 00 02 01  // IPv4: IHL 6, length 32, offset 24
94 04 00 00
6f 20 70 69 65 63 65 73
`

const whole6 = `
60 00 00 00 00 20 11 40                                      // IPv6: 32 bytes, UDP
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
ca 6c 9c 40 00 20 be 95                                      // UDP: length 32
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77
6f 20 70 69 65 63 65 73
`

const first6 = `
60 00 00 00 00 18 2c 40                                      // IPv6: 24 bytes, fragment header
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
11 00 00 01 de ad be ef                                      // fragment: UDP, M, identification 0xdeadbeef
ca 6c 9c 40 00 20 be 95
61 6c 6c 20 6f 66 20 69
`

const last6 = `
60 00 00 00 00 18 2c 40                                      // IPv6: 24 bytes, fragment header
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
11 00 00 10 de ad be ef                                      // fragment: offset 16
74 2c 20 69 6e 20 74 77 6f 20 70 69 65 63 65 73
`

const wholeHop6 = `
60 00 00 00 00 28 00 40                                      // IPv6: 40 bytes, hop-by-hop
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
11 00 05 02 00 00 01 00                                      // hop-by-hop: router alert, PadN; UDP follows
ca 6c 9c 40 00 20 be 95
61 6c 6c 20 6f 66 20 69 74 2c 20 69 6e 20 74 77
6f 20 70 69 65 63 65 73
`

const firstHop6 = `
60 00 00 00 00 20 00 40                                      // IPv6: 32 bytes, hop-by-hop
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
2c 00 05 02 00 00 01 00                                      // hop-by-hop; fragment follows
11 00 00 01 de ad be ef
ca 6c 9c 40 00 20 be 95
61 6c 6c 20 6f 66 20 69
`

const lastHop6 = `
60 00 00 00 00 20 00 40                                      // IPv6: 32 bytes, hop-by-hop
20 01 0d b8 00 05 00 00 00 00 00 00 00 00 00 09
20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01
2c 00 05 02 00 00 01 00
11 00 00 10 de ad be ef
74 2c 20 69 6e 20 74 77 6f 20 70 69 65 63 65 73
`

var goldens = []struct {
	name, whole, first, last string
	mtu                      int // 0: not ours to split
}{
	{"IPv4", whole4, first4, last4, 44},
	{"IPv4 options", wholeOptions4, firstOptions4, lastOptions4, 56},
	{"IPv6", whole6, first6, last6, 71},
	{"IPv6 hop-by-hop", wholeHop6, firstHop6, lastHop6, 0},
}

func TestGolden(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			whole := golden(t, g.whole)
			parts := [][]byte{golden(t, g.first), golden(t, g.last)}
			for i, order := range [][]int{{0, 1}, {1, 0}} {
				r := NewReassembler(nil)
				if _, v := add(t, r, parts[order[0]], 0); v != Held {
					t.Fatalf("order %d: %v", i, v)
				}
				got, v := add(t, r, append(parts[order[1]], 0xee), 0) // Parse allows bytes behind
				if v != Whole || !bytes.Equal(got, whole) {
					t.Errorf("order %d: %v\ngot  % x\nwant % x", i, v, got, whole)
				}
			}
			m := parse(t, whole)
			dst := slots(3, 100)
			if g.mtu == 0 {
				if n, ok := Split6(dst, whole, &m, len(whole)-1, 1); ok {
					t.Errorf("split into %d", n)
				}
				return
			}
			n, ok := split(dst, append(whole, 0xee), &m, g.mtu, 0xdeadbeef)
			if n != 2 || !ok || !bytes.Equal(dst[0], parts[0]) || !bytes.Equal(dst[1], parts[1]) {
				t.Errorf("split into %d:\n% x", n, dst[:n])
			}
		})
	}
}
