package frag

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"multihop/packet"
)

func TestMaxDatagrams(t *testing.T) {
	r := NewReassembler(nil)
	part := func(id uint32, off int, more bool) []byte {
		return build(shape{version: 6, id: id, proto: 17, off: off, more: more, data: data(off, 16)})
	}
	for id := range uint32(257) {
		add(t, r, part(id, 0, true), int64(id))
	}
	if s := reconcile(t, r); s.Datagrams != 256 || s.Full != 1 || s.Held != 256 {
		t.Fatalf("%+v", s)
	}
	for _, f := range []struct { // 0 made room, and begins anew
		id   uint32
		want Verdict
	}{{1, Whole}, {128, Whole}, {256, Whole}, {0, Held}} {
		if _, v := add(t, r, part(f.id, 16, false), 300); v != f.want {
			t.Errorf("packet %d: %v, want %v", f.id, v, f.want)
		}
	}
}

func TestMaxBytes(t *testing.T) {
	part := func(id uint32, off, n int, more bool) []byte {
		return build(shape{version: 4, id: id, proto: 17, off: off, more: more, data: data(off, n)})
	}
	// Room for 40 small buffers, or for a large one and 4 small ones.
	r := NewReassembler(&Options{MaxBytes: 80 << 10})
	for id := range uint32(40) {
		add(t, r, part(id, 0, 1400, true), 0)
	}
	if s := reconcile(t, r); s.Bytes != 80<<10 || s.Full != 0 {
		t.Fatalf("40: %+v", s)
	}
	// The oldest grows: 1 to 36 go, while it has two buffers.
	if _, v := add(t, r, part(0, 5600, 1400, true), 0); v != Held {
		t.Errorf("grown: %v", v)
	}
	if s := reconcile(t, r); s.Full != 36 || s.Held != 5 || s.Datagrams != 4 {
		t.Errorf("grown: %+v", s)
	}

	// Room for small buffers only.
	r = NewReassembler(&Options{MaxBytes: 10 << 10})
	for id := range uint32(3) {
		add(t, r, part(id, 0, 1400, true), 0)
	}
	if _, v := add(t, r, part(0, 5600, 1400, true), 0); v != Full {
		t.Errorf("too large: %v", v)
	}
	if _, v := add(t, r, part(0, 1400, 1400, true), 0); v != Full {
		t.Errorf("of a discarded packet: %v", v)
	}
	if s := reconcile(t, r); s.Full != 5 || s.Held != 0 || s.Datagrams != 1 {
		t.Errorf("end: %+v", s)
	}
	if _, v := add(t, r, part(9, 0, 1400, true), 0); v != Held {
		t.Errorf("another: %v", v)
	}
}

func TestMaxFragments(t *testing.T) {
	for n, want := range map[int]Verdict{128: Whole, 129: Full} {
		r := NewReassembler(nil)
		var v Verdict
		for i := range n {
			_, v = add(t, r, build(shape{version: 6, proto: 17, off: 8 * i, more: i < n-1, data: data(8*i, 8)}), 0)
		}
		if v != want {
			t.Errorf("%d fragments: %v, want %v", n, v, want)
		}
		if s := reconcile(t, r); s.Held != 0 {
			t.Errorf("%d fragments: %+v", n, s)
		}
	}
}

// TestBuffers checks the accounts of random gets and keeps.
func TestBuffers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	s := buffers{max: 1000 << 10}
	var out [][]byte
	used := 0
	for range 20000 {
		if c := rnd.IntN(classes); rnd.IntN(2) == 0 {
			b := s.get(c)
			if (b == nil) != (used+classSize(c) > s.max) {
				t.Fatalf("get(%d) = %d bytes, with %d used", c, len(b), used)
			}
			if b != nil {
				if len(b) != classSize(c) || cap(b) != len(b) {
					t.Fatalf("get(%d) = %d of %d bytes", c, len(b), cap(b))
				}
				out = append(out, b)
				used += len(b)
			}
		} else if len(out) > 0 {
			i := rnd.IntN(len(out))
			used -= len(out[i])
			s.forget(out[i])
			s.keep(out[i][:1])
			out = append(out[:i], out[i+1:]...)
		}
		spare := 0
		for c, l := range s.free {
			spare += len(l) * classSize(c)
		}
		if s.used != used || s.spare != spare || used+spare > s.max || spare > s.max/8 {
			t.Fatalf("%d used, %d spare: counted %d, %d", used, spare, s.used, s.spare)
		}
	}
	before := s.spare
	for _, b := range [][]byte{nil, make([]byte, 100), make([]byte, 2<<10)[8:], make([]byte, 100<<10)} {
		s.keep(b)
	}
	if s.spare != before {
		t.Error("kept what is no buffer of its own")
	}
}

func TestClasses(t *testing.T) {
	for n := 1; n <= maxIPv6; n++ {
		if c := classFor(n); classSize(c) < n || c > 0 && classSize(c-1) >= n {
			t.Fatalf("%d bytes in a buffer of %d", n, classSize(c))
		}
	}
}

// TestFlood sends a million fragments that complete nothing, by number or by
// size, and beside them packets that must come through.
func TestFlood(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	r := NewReassembler(nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak uint64

	noise := make([][]byte, 64)
	for i := range noise {
		noise[i] = build(shape{version: 4 + i%2*2, proto: 17, more: true, data: random(rnd, 8+8*rnd.IntN(170))})
	}
	first := build(shape{version: 6, id: 5, proto: 17, more: true, data: data(0, 1400)})
	last := build(shape{version: 6, id: 5, proto: 17, off: 1400, data: data(1400, 99)})
	first[20], last[20] = 1, 1 // of another peer
	var fm, lm packet.Meta
	fm.Parse(first)
	lm.Parse(last)

	for i := range n {
		b := noise[rnd.IntN(len(noise))]
		off := rnd.IntN(65536-1400) / 8
		if i/50000%2 == 0 { // of packets that are small, or large
			off = 1 + rnd.IntN(200)
		}
		if b[0]>>4 == 4 {
			b[4], b[5] = byte(rnd.Uint32()), byte(rnd.Uint32())
			b[6], b[7] = 0x20|byte(off>>8), byte(off)
		} else {
			b[46], b[47] = byte(rnd.Uint32()), byte(rnd.Uint32())
			b[42], b[43] = byte(off>>5), byte(off<<3|1)
		}
		var m packet.Meta
		if m.Parse(b) != packet.OK {
			t.Fatalf("noise: % x", b)
		}
		now := int64(i) * int64(30*time.Microsecond)
		r.Add(b, &m, now)
		if i%100 != 0 {
			continue
		}
		reconcile(t, r)
		r.Add(first, &fm, now)
		whole, v := r.Add(last, &lm, now)
		if v != Whole || !bytes.Equal(whole[40:], data(0, 1499)) {
			t.Fatalf("legitimate packet: %v", v)
		}
		r.Release(whole)
		if i%(n/20) == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			peak = max(peak, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		}
	}
	s := reconcile(t, r)
	if s.Full == 0 || s.Wholes == 0 {
		t.Errorf("no bound was met: %+v", s)
	}
	if peak > 6<<20 {
		t.Errorf("%d bytes of heap", peak)
	}
	t.Logf("%d bytes of heap at most, %+v", peak, s)

	r.Expire(int64(time.Hour))
	if s := reconcile(t, r); s.Datagrams != 0 || s.Held != 0 || s.Bytes > 512<<10 {
		t.Errorf("afterwards: %+v", s)
	}
}
