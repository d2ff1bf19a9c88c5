package frag

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"multihop/packet"
)

// split cuts a packet of either family.
func split(dst [][]byte, pkt []byte, m *packet.Meta, mtu int, id uint32) (int, bool) {
	if m.Version == 4 {
		return Split4(dst, pkt, m, mtu)
	}
	return Split6(dst, pkt, m, mtu, id)
}

func slotsMeta(t testing.TB, packets [][]byte) []packet.Meta {
	metas := make([]packet.Meta, len(packets))
	for i, b := range packets {
		metas[i] = parse(t, b)
	}
	return metas
}

// TestIdentity splits packets of many sizes to many MTUs, and joins the
// fragments in random order.
func TestIdentity(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	r := NewReassembler(nil)
	dst := slots(maxFragments, 3100)
	try := func(pkt []byte, mtu int) {
		t.Helper()
		m := parse(t, pkt)
		n, ok := split(dst, pkt, &m, mtu, rnd.Uint32())
		if !ok {
			t.Fatalf("%d bytes, MTU %d: not split", len(pkt), mtu)
		}
		most := (mtu - m.L4) &^ 7
		if m.Version == 6 {
			most = (mtu - m.L4 - 8) &^ 7
		}
		if want := (m.Len - m.L4 + most - 1) / most; m.Len > mtu && n != want || m.Len <= mtu && n != 1 {
			t.Fatalf("%d bytes, MTU %d: %d fragments", len(pkt), mtu, n)
		}
		for _, i := range rnd.Perm(n) {
			if len(dst[i]) > mtu {
				t.Fatalf("%d bytes, MTU %d: a fragment of %d", len(pkt), mtu, len(dst[i]))
			}
			fm := parse(t, dst[i])
			if n == 1 {
				if !bytes.Equal(dst[i], pkt) {
					t.Fatalf("a packet that fits was changed")
				}
			} else if whole, v := r.Add(dst[i], &fm, 0); v == Whole {
				n = -1
				if !bytes.Equal(whole, pkt) {
					t.Fatalf("%d bytes, MTU %d:\ngot  % x\nwant % x", len(pkt), mtu, whole, pkt)
				}
				r.Release(whole)
			}
			dst[i] = dst[i][:3100]
		}
		if n > 1 {
			t.Fatalf("%d bytes, MTU %d: not joined", len(pkt), mtu)
		}
	}
	for n := range 2001 {
		for _, mtu := range []int{68, 576, 1279 + n%3, 1340, 1420} {
			try(datagram4(n), mtu)
			try(datagram6(n), max(mtu, 80))
		}
	}
	for range 200 {
		try(datagram4(1000+rnd.IntN(64508)), 600+rnd.IntN(2400))
		try(datagram6(1000+rnd.IntN(64528)), 600+rnd.IntN(2400))
	}
	try(datagram4(65507), 1500)
	try(datagram6(65527), 1500)
	reconcile(t, r)
}

// TestSplitAgain cuts fragments further, with options, and reassembles all.
func TestSplitAgain(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	for range 500 {
		s := shape{version: 4, id: 9, proto: packet.ProtoUDP, data: random(rnd, 8+rnd.IntN(3000))}
		if rnd.IntN(2) == 0 {
			s.ext = append(bytes.Clone(recordRoute[:7]), routerAlert...)
			s.ext = append(s.ext, 0)
		}
		want := build(s)
		queue, r := [][]byte{want}, NewReassembler(nil)
		for _, mtu := range []int{1500, 1000 + rnd.IntN(400), 200 + rnd.IntN(700)} {
			var next [][]byte
			for _, b := range queue {
				m := parse(t, b)
				dst := slots(60, mtu)
				n, ok := Split4(dst, b, &m, mtu)
				if !ok {
					t.Fatalf("MTU %d: not split: % x", mtu, b)
				}
				next = append(next, dst[:n]...)
			}
			queue = next
		}
		var whole []byte
		for i := range queue {
			b := queue[len(queue)-1-i]
			m := parse(t, b)
			if !m.IsFragment() {
				whole = b
				break
			}
			if m.FragOffset > 0 && len(s.ext) > 0 && !bytes.Equal(b[20:m.L4], routerAlert) {
				t.Fatalf("options of a later fragment: % x", b[20:m.L4])
			}
			whole, _ = r.Add(b, &m, 0)
		}
		if !bytes.Equal(whole, want) {
			t.Fatalf("%d fragments:\ngot  % x\nwant % x", len(queue), whole, want)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	used := func(size int) []byte { return slots(1, size)[0] }
	df := datagram4(1400)
	df[6] |= 0x40
	tcp := shape{version: 4, proto: packet.ProtoTCP, data: make([]byte, 100)}
	tcp.data[12] = 10 << 4
	options := shape{version: 4, proto: packet.ProtoUDP, data: make([]byte, 100), ext: bytes.Repeat([]byte{1}, 40)}
	long := shape{version: 6, proto: packet.ProtoUDP, data: make([]byte, 100)} // an atomic fragment
	tests := []struct {
		name string
		pkt  []byte
		mtu  int
		dst  [][]byte
		want int // 0: refused
	}{
		{"DF", df, 1000, slots(9, 2000), 0},
		{"DF, but it fits", df, len(df), slots(1, 2000), 1},
		{"as many buffers as needed", datagram4(1400), 1000, slots(2, 1000), 2},
		{"too few buffers", datagram4(1400), 1000, slots(1, 1000), 0},
		{"no buffers", datagram4(1400), 1500, nil, 0},
		{"exact buffers", datagram4(1392), 1000, [][]byte{used(996), used(444)}, 2},
		{"short buffer", datagram4(1400), 1000, [][]byte{used(995), used(1000)}, 0},
		{"short last buffer", datagram4(1392), 1000, [][]byte{used(996), used(443)}, 0},
		{"short buffer for what fits", datagram4(1400), 1500, slots(1, 1427), 0},
		{"8 bytes at a time", datagram4(24), 28, slots(9, 28), 4},
		{"MTU without room", datagram4(24), 27, slots(9, 28), 0},
		{"MTU 0", datagram4(24), 0, slots(9, 28), 0},
		{"negative MTU", datagram4(24), -70000, slots(9, 28), 0},
		{"TCP's options in the first", build(tcp), 60, slots(9, 60), 3},
		{"TCP's options not in the first", build(tcp), 59, slots(9, 60), 0},
		{"IPv4 options", build(options), 68, slots(13, 68), 13},
		{"IPv4 options without room", build(options), 67, slots(13, 68), 0},
		{"IPv6", datagram6(1400), 1280, slots(2, 1280), 2},
		{"IPv6, too few buffers", datagram6(1400), 1280, slots(1, 1280), 0},
		{"IPv6, 8 bytes at a time", datagram6(24), 56, slots(4, 56), 4},
		{"IPv6, MTU without room", datagram6(24), 55, slots(4, 56), 0},
		{"IPv6 fragment header", build(long), 100, slots(9, 100), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parse(t, tt.pkt)
			var lens []int
			for _, b := range tt.dst {
				lens = append(lens, len(b))
			}
			n, ok := split(tt.dst, tt.pkt, &m, tt.mtu, 1)
			if n != tt.want || ok != (n > 0) {
				t.Fatalf("%d fragments, %v; want %d", n, ok, tt.want)
			}
			for i, b := range tt.dst[n:] {
				if len(b) != lens[n+i] || bytes.Count(b, []byte{0xee}) != len(b) {
					t.Errorf("buffer %d was touched", n+i)
				}
			}
		})
	}
}

func TestCopiedOptions(t *testing.T) {
	tests := []struct {
		name          string
		options, want []byte
	}{
		{"none", nil, nil},
		{"not copied", recordRoute, nil},
		{"copied", routerAlert, routerAlert},
		{"between", []byte{1, 7, 3, 4, 148, 4, 0, 0, 7, 3, 4, 0}, routerAlert},
		{"padded", []byte{130, 3, 9, 7, 3, 4, 136, 4, 1, 2, 1, 0}, []byte{130, 3, 9, 136, 4, 1, 2, 0}},
		{"behind the end", []byte{148, 4, 0, 0, 0, 148, 4, 0}, routerAlert},
		{"no-operations", bytes.Repeat([]byte{1}, 40), nil},
	}
	for _, tt := range tests {
		dst := bytes.Repeat([]byte{0xee}, 40)
		if got := dst[:copiedOptions(dst, tt.options)]; !bytes.Equal(got, tt.want) {
			t.Errorf("%s: % x, want % x", tt.name, got, tt.want)
		}
	}
}
