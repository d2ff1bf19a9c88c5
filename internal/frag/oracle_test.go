package frag

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"multihop/packet"
)

// An oracle reassembles with a map of bytes, without bounds of memory or time.
type oracle map[string]*naive

// A naive is one packet: all its fragments, and all its bytes.
type naive struct {
	frags []shape // ext is the whole header
	data  map[int]byte
	dead  Verdict
}

// add does what Reassembler.Add does, said in other words.
func (o oracle) add(b []byte) ([]byte, Verdict) {
	f, name := read(b)
	heads, end, limit := len(f.ext), f.off+len(f.data), 65535
	if f.version == 6 {
		limit += 40
	}
	least := map[uint8]int{packet.ProtoTCP: 20, packet.ProtoUDP: 8, packet.ProtoUDPLite: 8, packet.ProtoSCTP: 12, packet.ProtoDCCP: 12}[f.proto]
	switch {
	case len(f.data) == 0:
		return nil, Malformed
	case f.off > 0 && f.off < least:
		return nil, Tiny
	case heads+end > limit:
		return nil, TooBig
	}

	n := o[name]
	if n == nil {
		n = &naive{data: map[int]byte{}}
		o[name] = n
	}
	if n.dead == Held {
		if v := n.judge(f, limit); v == Duplicate {
			return nil, v
		} else if v != Held {
			n.dead = v
		}
	}
	if n.dead != Held {
		return nil, n.dead
	}
	n.frags = append(n.frags, f)
	for i, c := range f.data {
		n.data[f.off+i] = c
	}
	whole := n.whole()
	if whole == nil {
		return nil, Held
	}
	delete(o, name)
	return whole, Whole
}

func (n *naive) judge(f shape, limit int) Verdict {
	all := append(n.frags[:len(n.frags):len(n.frags)], f)
	furthest, head := 0, len(all[0].ext)
	for _, a := range all {
		furthest = max(furthest, a.off+len(a.data))
		if a.off == 0 {
			head = len(a.ext)
		}
		for _, b := range all {
			ends := a.off + len(a.data) - b.off - len(b.data)
			if !a.more && (!b.more && ends != 0 || b.more && ends <= 0) {
				return Malformed
			}
		}
	}
	if head+furthest > limit {
		return TooBig
	}
	for _, a := range n.frags {
		if a.off == f.off && bytes.Equal(a.data, f.data) {
			return Duplicate
		}
	}
	for i := range f.data {
		if _, ok := n.data[f.off+i]; ok {
			return Overlap
		}
	}
	if len(n.frags) == 128 {
		return Full
	}
	return Held
}

func (n *naive) whole() []byte {
	total := -1
	var first shape
	for _, f := range n.frags {
		if !f.more {
			total = f.off + len(f.data)
		}
		if f.off == 0 {
			first = f
		}
	}
	b := bytes.Clone(first.ext)
	for i := range total {
		c, ok := n.data[i]
		if !ok {
			return nil
		}
		b = append(b, c)
	}
	if total < 0 {
		return nil
	}
	if first.version == 6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		return b
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6], b[7] = b[6]&0xc0, 0
	b[10], b[11] = 0, 0
	var sum uint32
	for i := 0; i < len(first.ext); i += 2 {
		sum += uint32(b[i])<<8 + uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return b
}

// read is build's inverse; ext holds all of the header, without the fragment
// header.
func read(b []byte) (f shape, name string) {
	if b[0]>>4 == 4 {
		b = b[:int(b[2])<<8+int(b[3])]
		f.version, f.proto, f.id = 4, b[9], uint32(b[4])<<8+uint32(b[5])
		f.off, f.more = (int(b[6]&0x1f)<<8+int(b[7]))*8, b[6]&0x20 != 0
		h := int(b[0]&0xf) * 4
		f.ext, f.data = b[:h], b[h:]
		return f, fmt.Sprintf("%x %x %x", f.id, f.proto, b[12:20])
	}
	b = b[:40+int(b[4])<<8+int(b[5])]
	named, at := 6, 40
	for b[named] != 44 {
		named, at = at, at+8*(1+int(b[at+1]))
	}
	h := b[at:]
	f.version, f.proto, f.id = 6, h[0], binary.BigEndian.Uint32(h[4:])
	f.off, f.more = int(h[2])<<8+int(h[3]&^7), h[3]&1 != 0
	f.ext, f.data = bytes.Clone(b[:at]), h[8:]
	f.ext[named] = h[0]
	return f, fmt.Sprintf("%x %x", f.id, b[8:40])
}

// both adds a fragment to r and o and compares. It reports whether Parse let
// the fragment through.
func both(t testing.TB, r *Reassembler, o oracle, b []byte) (Verdict, bool) {
	t.Helper()
	var m packet.Meta
	if m.Parse(b) != packet.OK || !m.IsFragment() {
		return 0, false
	}
	want, wantV := o.add(b)
	whole, v := r.Add(b, &m, 0)
	if v != wantV || !bytes.Equal(whole, want) {
		t.Fatalf("fragment % x:\ngot  %v % x\nwant %v % x", b, v, whole, wantV, want)
	}
	if v == Whole {
		if got := m.Parse(whole); got != packet.OK || m.IsFragment() || len(whole) != m.Len {
			t.Fatalf("whole packet: %v: % x", got, whole)
		}
		r.Release(whole)
	}
	return v, true
}

// TestOracle cuts packets at random, mixes the fragments of several, repeats,
// alters and loses some.
func TestOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 4))
	var seen [verdicts]int
	for range 1000 {
		r, o := NewReassembler(nil), oracle{}
		var mix []shape
		for id := range 1 + rnd.IntN(4) {
			mix = append(mix, cut(rnd, uint32(id))...)
		}
		if rnd.IntN(3) > 0 {
			mix = disturb(rnd, mix)
		}
		if rnd.IntN(4) > 0 {
			rnd.Shuffle(len(mix), func(i, j int) { mix[i], mix[j] = mix[j], mix[i] })
		}
		for _, s := range mix {
			if v, ok := both(t, r, o, build(s)); ok {
				seen[v]++
			}
		}
		reconcile(t, r)
	}
	for _, v := range []Verdict{Held, Whole, Duplicate, Malformed, Tiny, TooBig, Overlap} {
		if seen[v] == 0 {
			t.Errorf("no fragment was %v", v)
		}
	}
}

// cut returns the fragments of a random packet, in order.
func cut(rnd *rand.Rand, id uint32) []shape {
	s := shape{version: 4 + 2*rnd.IntN(2), id: id, proto: []uint8{packet.ProtoUDP, packet.ProtoTCP, 200}[rnd.IntN(3)]}
	n, step := 1+rnd.IntN(1+1<<rnd.IntN(12)), 1+rnd.IntN(1+1<<rnd.IntN(8))
	if rnd.IntN(30) == 0 {
		n, step = 65400+rnd.IntN(136), 8000
	}
	if rnd.IntN(3) == 0 {
		s.ext = append(bytes.Clone(routerAlert), recordRoute...)
		if s.version == 6 {
			s.ext = hopByHop(8 + 8*rnd.IntN(40))
		}
	}
	data := random(rnd, n)
	if n > 13 {
		data[12] = 5 << 4 // TCP: data offset
	}
	var out []shape
	for off := 0; off < n; {
		s.off, s.data = off, data[off:min(n, off+8*(1+rnd.IntN(step)))]
		off += len(s.data)
		s.more = off < n
		out = append(out, s)
		if s.version == 4 && len(s.ext) > 4 {
			s.ext = s.ext[:4]
		}
	}
	return out
}

// disturb alters a few of the fragments.
func disturb(rnd *rand.Rand, mix []shape) []shape {
	for range 1 + rnd.IntN(4) {
		i := rnd.IntN(len(mix))
		s := mix[i]
		what := rnd.IntN(9)
		if len(s.data) == 0 {
			what = 1
		}
		switch what {
		case 0:
			mix = append(mix[:i:i], mix[i+1:]...)
			if len(mix) == 0 {
				return mix
			}
			continue
		case 1: // an exact duplicate
		case 2:
			s.data = bytes.Clone(s.data)
			s.data[rnd.IntN(len(s.data))] ^= 1
		case 3:
			s.off = max(0, s.off-8*rnd.IntN(3))
		case 4:
			s.off = min(65528, s.off+8*rnd.IntN(3))
		case 5:
			s.more = !s.more
		case 6:
			s.data = s.data[:rnd.IntN(len(s.data)+1)&^7]
		case 7:
			s.data = append(s.data[:len(s.data)&^7:len(s.data)&^7], random(rnd, 8)...)
		case 8:
			s.ext = routerAlert
			if s.version == 6 {
				s.ext = hopByHop(24)
			}
		}
		if 60+len(s.data) > 65535 {
			s.data = s.data[:65000]
		}
		mix = append(mix, s)
	}
	return mix
}
