package packet

import (
	"net/netip"
	"testing"
)

func TestAllocs(t *testing.T) {
	for _, g := range goldens {
		b := golden(t, g)
		dst := make([]byte, 1400)
		n := testing.AllocsPerRun(100, func() {
			var m, q Meta
			if m.Parse(b) != OK {
				t.Fatal("not parsed")
			}
			UDPPayload(b, &m)
			Quoted(b, &m, &q)
			ClampMSS(b, &m, 500)
			PutICMPError(dst, b, &m, TooBig, 1280)
			PutUDP(dst, netip.AddrPortFrom(m.Src, 1), netip.AddrPortFrom(m.Dst, 2), 1300, false)
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkPutUDP(b *testing.B) {
	buf := make([]byte, 1420)
	src, dst := netip.AddrPortFrom(host4, 40000), netip.AddrPortFrom(peer4, 51820)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		PutUDP(buf, src, dst, len(buf)-28, true)
	}
}
