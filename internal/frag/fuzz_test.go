package frag

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"multihop/packet"
)

// FuzzReassemble adds the packets of a stream, each behind its length in 16
// bits, and compares with the oracle.
func FuzzReassemble(f *testing.F) {
	stream := func(packets ...string) []byte {
		var b []byte
		for _, p := range packets {
			g := golden(f, p)
			b = binary.BigEndian.AppendUint16(b, uint16(len(g)))
			b = append(b, g...)
		}
		return b
	}
	for _, g := range goldens {
		f.Add(stream(g.first, g.last))
		f.Add(stream(g.last, g.first, g.first))
		f.Add(stream(g.first, g.first, g.last, g.last))
	}
	f.Add(stream(first4, lastOptions4, first6, lastHop6))
	f.Add(stream(firstOptions4, last4, firstHop6, last6))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, o := NewReassembler(nil), oracle{}
		for n := 0; n < 16 && len(b) > 2; n++ {
			size := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			both(t, r, o, b[2:2+size])
			b = b[2+size:]
		}
		if s := reconcile(t, r); s.Datagrams != len(o) {
			t.Fatalf("%d datagrams, want %d", s.Datagrams, len(o))
		}
		r.Expire(int64(time.Minute))
		if s := reconcile(t, r); s.Held != 0 || s.Datagrams != 0 {
			t.Fatalf("after the timeout: %+v", s)
		}
	})
}

// FuzzSplit splits any packet, and reads the fragments with the oracle's eyes.
func FuzzSplit(f *testing.F) {
	for _, g := range goldens {
		f.Add(golden(f, g.whole), uint16(60))
		f.Add(golden(f, g.first), uint16(52))
		f.Add(golden(f, g.last), uint16(100))
	}
	f.Add(datagram4(300), uint16(142))
	f.Add(datagram6(300), uint16(142))
	tcp := build(shape{version: 4, proto: packet.ProtoTCP, data: append(make([]byte, 12), 0x70, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 9)})
	f.Add(tcp, uint16(48))
	f.Fuzz(func(t *testing.T, pkt []byte, mtu uint16) {
		var m packet.Meta
		if m.Parse(pkt) != packet.OK {
			return
		}
		before := bytes.Clone(pkt)
		dst := slots(64, min(int(mtu), len(pkt)+8))
		n, ok := split(dst, pkt, &m, int(mtu), 0x01020304)
		if !bytes.Equal(pkt, before) {
			t.Fatal("the packet was changed")
		}
		if !ok {
			return
		}
		if m.Len <= int(mtu) {
			if n != 1 || !bytes.Equal(dst[0], pkt[:m.Len]) {
				t.Fatalf("a packet that fits became % x", dst[0])
			}
			return
		}
		checkSplit(t, dst[:n], pkt[:m.Len], &m, int(mtu))
	})
}

// checkSplit checks that the fragments are valid, follow each other, and
// together are pkt, which may be a fragment itself.
func checkSplit(t *testing.T, parts [][]byte, pkt []byte, m *packet.Meta, mtu int) {
	t.Helper()
	r, o := NewReassembler(nil), oracle{}
	at, last := m.FragOffset, false
	var joined []byte
	for i, b := range parts {
		fm := parse(t, b)
		part, _ := read(b)
		if len(b) > mtu || fm.Len != len(b) || part.off != at || last {
			t.Fatalf("fragment %d: %+v: % x", i, fm, b)
		}
		if m.FragOffset == 0 && !m.MF {
			v, _ := both(t, r, o, b)
			if (v == Whole) != (i == len(parts)-1) {
				t.Fatalf("fragment %d of %d: %v", i, len(parts), v)
			}
		}
		joined = append(joined, part.data...)
		at += len(part.data)
		last = !part.more
	}
	if last == m.MF || !bytes.Equal(joined, pkt[m.L4:]) {
		t.Fatalf("joined: % x\nwant  % x", joined, pkt[m.L4:])
	}
}
