package frag

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"multihop/packet"
)

var (
	host4 = netip.MustParseAddr("192.0.2.1")
	peer4 = netip.MustParseAddr("198.51.100.9")
	host6 = netip.MustParseAddr("2001:db8::1")
	peer6 = netip.MustParseAddr("2001:db8:5::9")
)

// A shape is a fragment to be built from peer to host.
type shape struct {
	version int
	id      uint32
	proto   uint8 // IPv6: what the fragment header names
	off     int
	more    bool
	ext     []byte // IPv4: options; IPv6: one hop-by-hop header, its first byte is set
	data    []byte
}

// build writes the fragment s, byte by byte.
func build(s shape) []byte {
	var b []byte
	if s.version == 4 {
		frag := s.off / 8
		if s.more {
			frag |= 0x2000
		}
		n := 20 + len(s.ext) + len(s.data)
		b = append(b, 0x40|byte(5+len(s.ext)/4), 0, byte(n>>8), byte(n), byte(s.id>>8), byte(s.id),
			byte(frag>>8), byte(frag), 64, s.proto, 0, 0)
		b = append(b, peer4.AsSlice()...)
		b = append(b, host4.AsSlice()...)
		b = append(b, s.ext...)
		binary.BigEndian.PutUint16(b[10:], ^packet.Fold(packet.Sum(b, 0)))
		return append(b, s.data...)
	}
	frag := s.off
	if s.more {
		frag |= 1
	}
	n := len(s.ext) + 8 + len(s.data)
	b = append(b, 0x60, 0, 0, 0, byte(n>>8), byte(n), 44, 64)
	b = append(b, peer6.AsSlice()...)
	b = append(b, host6.AsSlice()...)
	if len(s.ext) > 0 {
		b[6] = 0
		b = append(b, 44)
		b = append(b, s.ext[1:]...)
	}
	b = append(b, s.proto, 0, byte(frag>>8), byte(frag), byte(s.id>>24), byte(s.id>>16), byte(s.id>>8), byte(s.id))
	return append(b, s.data...)
}

// hopByHop returns a hop-by-hop header of n bytes, a multiple of 8: PadN.
func hopByHop(n int) []byte {
	b := make([]byte, n)
	b[1] = byte(n/8 - 1)
	for at := 2; at < n; {
		size := min(n-at, 257)
		b[at], b[at+1] = 1, byte(size-2)
		at += size
		if n-at == 1 {
			at++ // Pad1
		}
	}
	return b
}

// routerAlert is an IPv4 option that every fragment has, recordRoute one that
// only the first has.
var (
	routerAlert = []byte{148, 4, 0, 0}
	recordRoute = []byte{7, 7, 4, 0, 0, 0, 0, 0}
)

// datagram4 and datagram6 return whole packets of UDP with n bytes of payload.
func datagram4(n int) []byte {
	return putUDP(make([]byte, 28+n), netip.AddrPortFrom(peer4, 51820), netip.AddrPortFrom(host4, 40000))
}

func datagram6(n int) []byte {
	return putUDP(make([]byte, 48+n), netip.AddrPortFrom(peer6, 51820), netip.AddrPortFrom(host6, 40000))
}

func putUDP(b []byte, src, dst netip.AddrPort) []byte {
	head := packet.UDPOverhead(dst.Addr())
	for i := range b[head:] {
		b[head+i] = byte(i * 7 / 3)
	}
	if packet.PutUDP(b, src, dst, len(b)-head, false) != len(b) {
		panic("PutUDP")
	}
	return b
}

// parse returns what Parse finds in a valid packet.
func parse(t testing.TB, b []byte) packet.Meta {
	t.Helper()
	var m packet.Meta
	if v := m.Parse(b); v != packet.OK {
		t.Fatalf("Parse: %v of % x", v, b)
	}
	return m
}

// add parses and adds a fragment.
func add(t testing.TB, r *Reassembler, b []byte, now int64) ([]byte, Verdict) {
	t.Helper()
	m := parse(t, b)
	return r.Add(b, &m, now)
}

// reconcile checks that every fragment that r was given is accounted for.
func reconcile(t testing.TB, r *Reassembler) Stats {
	t.Helper()
	s := r.Stats()
	if sum := s.Joined + uint64(s.Held) + s.Duplicate + s.Malformed + s.Tiny + s.TooBig + s.Overlap + s.Timeout + s.Full; sum != s.In {
		t.Fatalf("%d fragments, %d accounted for: %+v", s.In, sum, s)
	}
	if s.Held < 0 || s.Bytes < 0 || s.Bytes > r.buffers.max || s.Datagrams > r.maxDatagrams {
		t.Fatalf("beyond bounds: %+v", s)
	}
	return s
}

// golden returns the bytes of commented hex.
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

func random(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// slots returns n used buffers of size bytes.
func slots(n, size int) [][]byte {
	dst := make([][]byte, n)
	for i := range dst {
		dst[i] = bytes.Repeat([]byte{0xee}, size)
	}
	return dst
}
