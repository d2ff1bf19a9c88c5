package frag

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"multihop/packet"
)

// data returns n bytes that depend on where they stand.
func data(off, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((off + i) * 31 >> 2)
	}
	return b
}

func TestVerdicts(t *testing.T) {
	type step struct {
		off, n int
		more   bool
		want   Verdict
	}
	const M = true
	tests := []struct {
		name  string
		proto uint8
		steps []step
	}{
		{"in order", 17, []step{{0, 16, M, Held}, {16, 8, M, Held}, {24, 5, false, Whole}}},
		{"last first", 17, []step{{24, 5, false, Held}, {16, 8, M, Held}, {0, 16, M, Whole}}},
		{"middle first", 17, []step{{16, 8, M, Held}, {24, 5, false, Held}, {0, 16, M, Whole}}},
		{"gap", 17, []step{{0, 16, M, Held}, {24, 5, false, Held}}},
		{"duplicates", 17, []step{{0, 16, M, Held}, {0, 16, M, Duplicate}, {16, 5, false, Whole}}},
		{"duplicate of the last", 17, []step{{16, 5, false, Held}, {16, 5, false, Duplicate}, {0, 16, M, Whole}}},
		{"after the whole", 17, []step{{0, 16, M, Held}, {16, 5, false, Whole}, {16, 5, false, Held}}},
		{"overlap in front", 17, []step{{8, 16, M, Held}, {0, 16, M, Overlap}, {0, 8, M, Overlap}, {24, 8, false, Overlap}}},
		{"overlap behind", 17, []step{{0, 16, M, Held}, {8, 16, M, Overlap}, {16, 8, false, Overlap}}},
		{"overlap inside", 17, []step{{0, 32, M, Held}, {8, 8, M, Overlap}, {32, 8, false, Overlap}}},
		{"overlap around", 17, []step{{8, 8, M, Held}, {0, 32, M, Overlap}}},
		{"overlap of equal ends", 17, []step{{0, 16, M, Held}, {8, 8, M, Overlap}}},
		{"overlap of equal starts", 17, []step{{0, 16, M, Held}, {0, 8, M, Overlap}}},
		{"adjacent in one", 17, []step{{0, 8, M, Held}, {8, 8, M, Held}, {0, 16, M, Overlap}}},
		{"two lengths", 17, []step{{16, 8, false, Held}, {16, 16, false, Malformed}, {0, 16, M, Malformed}}},
		{"past the end", 17, []step{{16, 8, false, Held}, {24, 8, M, Malformed}}},
		{"end before others", 17, []step{{16, 8, M, Held}, {8, 8, false, Malformed}}},
		{"last that is not", 17, []step{{16, 8, false, Held}, {16, 8, M, Malformed}}},
		{"last after all", 17, []step{{16, 8, M, Held}, {16, 8, false, Malformed}}},
		{"empty", 200, []step{{0, 0, M, Malformed}, {8, 0, M, Malformed}, {8, 0, false, Malformed}, {0, 8, M, Held}, {8, 8, false, Whole}}},
		{"TCP at 8", 6, []step{{8, 16, M, Tiny}, {0, 24, M, Held}, {24, 8, false, Whole}}},
		{"TCP at 16", 6, []step{{16, 16, M, Tiny}}},
		{"SCTP at 8", 132, []step{{8, 16, M, Tiny}}},
		{"UDP at 8", 17, []step{{8, 16, M, Held}, {0, 8, M, Held}}},
		{"unknown at 8", 200, []step{{8, 16, M, Held}}},
		{"longest", 17, []step{{0, 32768, M, Held}, {32768, 32747, false, Whole}}},
		{"longest of tiny parts", 17, []step{{65512, 3, false, Held}, {65504, 8, M, Held}, {0, 65504, M, Whole}}},
	}
	for _, version := range []int{4, 6} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r := NewReassembler(nil)
				var end int
				for i, s := range tt.steps {
					d := data(s.off, s.n)
					if tt.proto == 6 && s.off == 0 {
						d[12] = 5 << 4
					}
					b := build(shape{version: version, id: 7, proto: tt.proto, off: s.off, more: s.more, data: d})
					whole, v := add(t, r, b, 0)
					if v != s.want {
						t.Fatalf("version %d, step %d: %v, want %v", version, i, v, s.want)
					}
					end = max(end, s.off+s.n)
					if v != Whole {
						continue
					}
					m := parse(t, whole)
					want := data(0, end)
					if tt.proto == 6 {
						want[12] = 5 << 4
					}
					if m.IsFragment() || m.Proto != tt.proto || m.Len != len(whole) || !bytes.Equal(whole[m.L4:], want) {
						t.Fatalf("version %d: %+v: % x", version, m, whole)
					}
					r.Release(whole)
				}
				reconcile(t, r)
			})
		}
	}
}

// TestTiny judges first fragments that Parse already refuses.
func TestTiny(t *testing.T) {
	for _, version := range []int{4, 6} {
		for proto, least := range map[uint8]int{6: 20, 17: 8, 33: 12, 132: 12, 136: 8} {
			b := build(shape{version: version, proto: proto, more: true, data: make([]byte, least&^7)})
			m := packet.Meta{Src: host4, Dst: peer4, Version: 4, Proto: proto, MF: true, Len: len(b), L4: 20}
			if version == 6 {
				m = packet.Meta{Src: host6, Dst: peer6, Version: 6, Proto: proto, MF: true, Len: len(b), L4: 48}
			}
			want := Tiny
			if least%8 == 0 {
				want = Held
			}
			if _, v := NewReassembler(nil).Add(b, &m, 0); v != want {
				t.Errorf("version %d, protocol %d, %d bytes: %v, want %v", version, proto, least&^7, v, want)
			}
			var parsed packet.Meta
			if v := parsed.Parse(b); (v == packet.ShortFragment) != (want == Tiny) && proto != 6 {
				t.Errorf("version %d, protocol %d: Parse says %v", version, proto, v)
			}
		}
	}
}

// TestTooBig exceeds the length that a header can state, as only a longer
// header of the first fragment, or extension headers, can.
func TestTooBig(t *testing.T) {
	options := append(bytes.Clone(routerAlert), recordRoute...)
	r := NewReassembler(nil)
	first := build(shape{version: 4, proto: 17, more: true, ext: options, data: data(0, 65496)})
	last := build(shape{version: 4, proto: 17, off: 65496, data: data(65496, 19)})
	if _, v := add(t, r, last, 0); v != Held {
		t.Errorf("last: %v", v)
	}
	if _, v := add(t, r, first, 0); v != TooBig {
		t.Errorf("first with options: %v", v)
	}
	if _, v := add(t, r, last, 0); v != TooBig {
		t.Errorf("again: %v", v)
	}
	if s := reconcile(t, r); s.TooBig != 3 || s.Held != 0 {
		t.Errorf("%+v", s)
	}

	// The length of 65535 leaves 65519 for data behind 16 bytes of options.
	for n, want := range map[int]Verdict{65519: Whole, 65520: TooBig} {
		r := NewReassembler(nil)
		add(t, r, build(shape{version: 6, proto: 17, more: true, ext: hopByHop(16), data: data(0, 65504)}), 0)
		_, v := add(t, r, build(shape{version: 6, proto: 17, off: 65504, ext: hopByHop(16), data: data(65504, n-65504)}), 0)
		if v != want {
			t.Errorf("IPv6, %d bytes of data: %v, want %v", n, v, want)
		}
	}
}

// TestKey adds fragments that belong to different packets, one field apart.
func TestKey(t *testing.T) {
	base := shape{version: 4, id: 1, proto: 17, more: true, data: data(0, 16)}
	first := build(base)
	last := base
	last.off, last.more, last.data = 16, false, data(16, 8)
	tests := []struct {
		name string
		edit func(b []byte)
		want Verdict
	}{
		{"same", func([]byte) {}, Whole},
		{"source", func(b []byte) { b[15]++ }, Held},
		{"destination", func(b []byte) { b[19]++ }, Held},
		{"identification", func(b []byte) { b[5]++ }, Held},
		{"protocol", func(b []byte) { b[9] = 136 }, Held},
		{"service, TTL", func(b []byte) { b[1], b[8] = 3, 9 }, Whole},
	}
	for _, tt := range tests {
		r := NewReassembler(nil)
		add(t, r, first, 0)
		b := build(last)
		tt.edit(b)
		if _, v := add(t, r, b, 0); v != tt.want {
			t.Errorf("IPv4, %s: %v, want %v", tt.name, v, tt.want)
		}
	}
	base.version, last.version = 6, 6
	for name, at := range map[string]int{"source": 23, "destination": 39, "identification": 44, "next header": 40} {
		r := NewReassembler(nil)
		add(t, r, build(base), 0)
		b := build(last)
		b[at]++
		want := Held
		if name == "next header" { // RFC 8200: only the first fragment's counts
			want = Whole
		}
		whole, v := add(t, r, b, 0)
		if v != want || v == Whole && whole[6] != 17 {
			t.Errorf("IPv6, %s: %v, want %v", name, v, want)
		}
	}
}

func TestTimeout(t *testing.T) {
	const sec = int64(time.Second)
	f := func(id uint32, off int, more bool) []byte {
		return build(shape{version: 4, id: id, proto: 17, off: off, more: more, data: data(off, 16)})
	}
	r := NewReassembler(nil)
	start := -5 * sec // any clock
	add(t, r, f(1, 0, true), start)
	add(t, r, f(2, 0, true), start+sec)
	add(t, r, f(3, 0, true), start+2*sec)
	add(t, r, f(3, 8, true), start+2*sec) // overlap: remembered

	if whole, v := add(t, r, f(1, 16, false), start+30*sec-1); v != Whole {
		t.Errorf("just in time: %v", v)
	} else {
		r.Release(whole)
	}
	if _, v := add(t, r, f(2, 16, false), start+31*sec); v != Held {
		t.Errorf("too late: %v", v)
	}
	if _, v := add(t, r, f(3, 16, false), start+32*sec-1); v != Overlap {
		t.Errorf("of a discarded packet: %v", v)
	}
	if s := reconcile(t, r); s.Timeout != 1 || s.Overlap != 3 || s.Datagrams != 2 {
		t.Errorf("%+v", s)
	}
	r.Expire(start + 32*sec)
	if _, v := add(t, r, f(3, 0, true), start+32*sec); v != Held {
		t.Errorf("after the timeout: %v", v)
	}
	r.Expire(start + 100*sec)
	if s := reconcile(t, r); s.Datagrams != 0 || s.Held != 0 || s.Timeout != 3 || s.Wholes != 1 || s.Joined != 2 {
		t.Errorf("%+v", s)
	}
}

// TestConcurrent joins packets on several goroutines at once.
func TestConcurrent(t *testing.T) {
	r := NewReassembler(nil)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				id := uint32(g)<<16 | uint32(i)
				s := shape{version: 6, id: id, proto: 17, more: true, data: bytes.Repeat([]byte{byte(g)}, 1200)}
				b := build(s)
				s.off, s.more, s.data = 1200, false, s.data[:300]
				last := build(s)
				var m packet.Meta
				m.Parse(b)
				r.Add(b, &m, 0)
				m.Parse(last)
				whole, v := r.Add(last, &m, 0)
				if v != Whole || !bytes.Equal(whole[40:], bytes.Repeat([]byte{byte(g)}, 1500)) {
					t.Errorf("packet %d of %d: %v", i, g, v)
					return
				}
				if i%3 > 0 { // a caller need not release
					r.Release(whole)
				}
			}
		})
	}
	wg.Wait()
	if s := reconcile(t, r); s.Wholes != 2000 || s.Datagrams != 0 {
		t.Errorf("%+v", s)
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range verdicts {
		if name := v.String(); seen[name] || name == "unknown" {
			t.Errorf("verdict %d is called %q", v, name)
		} else {
			seen[name] = true
		}
	}
	if verdicts.String() != "unknown" {
		t.Error("a name for no verdict")
	}
}
