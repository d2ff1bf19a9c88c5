package nat

import (
	"bytes"
	"net/netip"
	"testing"

	"multihop/packet"
)

func FuzzRewrite4(f *testing.F) { fuzzRewrite(f, tun4, hop4, far4) }
func FuzzRewrite6(f *testing.F) { fuzzRewrite(f, tun6, hop6, far6) }

func fuzzRewrite(f *testing.F, tun, hop, far netip.Addr) {
	for _, g := range []string{tcp4Before, udp6Before, error4Before, error6Before} {
		if b := golden(f, g); b[0]>>4 == 4 == tun.Is4() {
			f.Add(b, true)
			f.Add(b, false)
		}
	}
	for seed := range uint64(60) {
		out := seed%2 == 0
		b := random(seed, tun, far, out, true).build()
		f.Add(b, out)
		f.Add(fragment(b, 0, 48), out)
	}
	f.Fuzz(func(t *testing.T, before []byte, out bool) {
		var m packet.Meta
		if m.Parse(before) != packet.OK || m.Src.Is4() != tun.Is4() {
			return
		}
		from := m.Dst
		if out {
			from = m.Src
		}
		there, back := newRewrite(from, hop), newRewrite(hop, from)

		b, was := bytes.Clone(before), m
		if v := translate(&there, b, &m, out); v != packet.OK {
			if !bytes.Equal(b, before) || m != was {
				t.Fatalf("%v, but changed", v)
			}
			return
		}
		if m != parse(t, b) || out && m.Src != hop || !out && m.Dst != hop {
			t.Fatalf("Meta: %+v", m)
		}
		before = mended(before, &was)
		compare(t, before, b, &was, out)

		if !bytes.Equal(mended(b, &m), b) {
			// A datagram without a checksum, which comes to 0 by the other
			// address: on its way back it gets one, and that is right.
			if v := translate(&back, b, &m, out); v != packet.OK {
				t.Fatalf("and back: %v", v)
			}
			if n := int(get(b[m.L4+4:])); udpSum(b, &m, n)%0xffff != 0 || get(b[m.L4+6:]) == 0 {
				t.Fatalf("mended, but wrong: % x", b)
			}
			return
		}

		// There and back is the same packet, but for checksums of 0xffff, and
		// the second time without exception.
		for i := range 2 {
			p := bytes.Clone(b)
			if v := translate(&back, p, &m, out); v != packet.OK {
				t.Fatalf("and back: %v", v)
			}
			sameButFFFF(t, before, p)
			if i == 1 && !bytes.Equal(p, before) {
				t.Fatalf("second time:\ngot  % x\nwant % x", p, before)
			}
			before = p
			copy(b, p)
			if v := translate(&there, b, &m, out); v != packet.OK {
				t.Fatalf("and there again: %v", v)
			}
		}
	})
}

// mended returns b as it should have been sent: with 0xffff as the checksum of a
// UDP datagram that has 0 there because its checksum comes to 0 (RFC 768).
func mended(b []byte, m *packet.Meta) []byte {
	if m.Proto != packet.ProtoUDP || m.IsFragment() || get(b[m.L4+6:]) != 0 {
		return b
	}
	n := int(get(b[m.L4+4:]))
	if n < 8 || m.L4+n > m.Len {
		return b
	}
	if udpSum(b, m, n)%0xffff != 0 {
		return b
	}
	b = bytes.Clone(b)
	put(b[m.L4+6:], 0xffff)
	return b
}

// udpSum sums a UDP datagram of n bytes and its pseudo-header (RFC 768).
func udpSum(b []byte, m *packet.Meta, n int) uint16 {
	addrs := b[8:40]
	if m.Version == 4 {
		addrs = b[12:20]
	}
	return naiveSum(addrs, []byte{0, packet.ProtoUDP}, b[m.L4+4:m.L4+6], b[m.L4:m.L4+n])
}

// compare checks a translated packet against the one before: what is invariant
// is the sum of the addresses and the checksum over them, and every other byte.
func compare(t *testing.T, before, after []byte, m *packet.Meta, out bool) {
	t.Helper()
	left := bytes.Clone(after) // with what may change put back
	restore := func(at, n int) { copy(left[at:at+n], before[at:at+n]) }

	// header checks the packet at offset at, which m describes.
	header := func(at int, m *packet.Meta, src bool) {
		addrs, n, first := 8, 16, 0
		if m.Version == 4 {
			addrs, n, first = 12, 4, 20
			same(t, "IPv4 header", before[at:at+first], after[at:at+first])
			restore(at+10, 2)
		}
		mine := at + addrs
		if !src {
			mine += n
		}
		restore(mine, n)
		if c := checksumAt(m); c != 0 && c+2 <= m.Len {
			c += at
			udp := m.Proto == packet.ProtoUDP || m.Proto == packet.ProtoUDPLite
			old, new := get(before[c:]), get(after[c:])
			restore(c, 2)
			switch {
			case udp && (old == 0) != (new == 0):
				t.Fatalf("UDP checksum %#x became %#x", old, new)
			case udp && old == 0:
			case m.Version == 6 && m.Proto == packet.ProtoICMPv6 && at == 0:
				// The message may have changed too.
				same(t, "ICMPv6", before[addrs:addrs+2*n], after[addrs:addrs+2*n], before[m.L4:m.Len], after[m.L4:m.Len])
			default:
				same(t, "upper layer", before[at+addrs:at+addrs+2*n], after[at+addrs:at+addrs+2*n], before[c:c+2], after[c:c+2])
			}
		}
	}
	header(0, m, out)
	var q packet.Meta
	if packet.Quoted(before, m, &q) {
		header(m.L4+packet.ICMPHeaderLen, &q, !out)
		restore(m.L4+2, 2)
		if m.Version == 4 {
			same(t, "ICMP", before[m.L4:m.Len], after[m.L4:m.Len])
		}
	}
	if !bytes.Equal(left, before) {
		t.Fatalf("other bytes changed:\nbefore % x\nafter  % x", before, after)
	}
}

// same checks that pairs of old and new bytes have the same sums in all. The
// two spellings of 0, 0 and 0xffff, are one.
func same(t *testing.T, what string, pairs ...[]byte) {
	t.Helper()
	var old, new [][]byte
	for i := 0; i < len(pairs); i += 2 {
		old, new = append(old, pairs[i]), append(new, pairs[i+1])
	}
	if a, b := naiveSum(old...), naiveSum(new...); a%0xffff != b%0xffff {
		t.Fatalf("%s: sum %#x became %#x: % x, % x", what, a, b, old, new)
	}
}

// sameButFFFF checks that b is a, but for words of 0xffff that became 0.
func sameButFFFF(t *testing.T, a, b []byte) {
	t.Helper()
	for i := range a {
		at := i &^ 1
		if a[i] != b[i] && (a[at] != 0xff || a[at+1] != 0xff || b[at] != 0 || b[at+1] != 0) {
			t.Fatalf("byte %d:\ngot  % x\nwant % x", i, b, a)
		}
	}
}
