package frag

import (
	"fmt"
	"testing"
)

// TestAllocs: in steady state nothing allocates, whatever the identification.
func TestAllocs(t *testing.T) {
	for _, pkt := range [][]byte{datagram4(1472), datagram6(1452), datagram4(9000)} {
		m := parse(t, pkt)
		dst := slots(8, 1420)
		fm, id := m, uint32(0)
		r := NewReassembler(nil)
		if got := testing.AllocsPerRun(1000, func() {
			id++
			n, ok := split(dst, pkt, &m, 1420, id)
			if !ok {
				t.Fatal("not split")
			}
			for i := range n {
				fm.Parse(dst[n-1-i])
				fm.FragID = id
				if whole, v := r.Add(dst[n-1-i], &fm, 0); v == Whole {
					r.Release(whole)
				}
				dst[n-1-i] = dst[n-1-i][:1420]
			}
		}); got != 0 {
			t.Errorf("%d bytes: %v allocations", len(pkt), got)
		}
		if s := reconcile(t, r); s.Wholes < 1000 || s.Datagrams != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func BenchmarkReassemble(b *testing.B) {
	for _, pkt := range [][]byte{datagram4(1472), datagram6(1452), datagram4(65000)} {
		m := parse(b, pkt)
		dst := slots(50, 1420)
		n, _ := split(dst, pkt, &m, 1420, 7)
		metas := slotsMeta(b, dst[:n])
		r := NewReassembler(nil)
		b.Run(fmt.Sprintf("v%d/%d/%d_fragments", m.Version, len(pkt), n), func(b *testing.B) {
			b.SetBytes(int64(len(pkt)))
			b.ReportAllocs()
			for b.Loop() {
				for i := range n {
					if whole, v := r.Add(dst[i], &metas[i], 0); v == Whole {
						r.Release(whole)
					}
				}
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	for _, pkt := range [][]byte{datagram4(1472), datagram6(1452)} {
		m := parse(b, pkt)
		dst := slots(2, 1420)
		b.Run(fmt.Sprintf("v%d/%d", m.Version, len(pkt)), func(b *testing.B) {
			b.SetBytes(int64(len(pkt)))
			b.ReportAllocs()
			for b.Loop() {
				n, _ := split(dst, pkt, &m, 1420, 7)
				for i := range n {
					dst[i] = dst[i][:1420]
				}
			}
		})
	}
}
