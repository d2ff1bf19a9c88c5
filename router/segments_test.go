package router

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	wgtun "golang.zx2c4.com/wireguard/tun"
)

// A splitter is a TUN whose reads are super-packets, cut as wireguard-go cuts
// those of the kernel.
type splitter struct {
	wgtun.Device
	supers [][][]byte // the segments of each
}

func (s *splitter) BatchSize() int { return rootBatch }

func (s *splitter) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	if len(s.supers) == 0 {
		return 0, os.ErrClosed
	}
	segments := s.supers[0]
	s.supers = s.supers[1:]
	for i, pkt := range segments {
		if i == len(bufs) {
			return i - 1, wgtun.ErrTooManySegments
		}
		sizes[i] = len(pkt)
		if n := copy(bufs[i][offset:cap(bufs[i])], pkt); n < len(pkt) {
			panic("slice bounds out of range") // as wireguard-go would
		}
	}
	return len(segments), nil
}

// TestManySegments: of the super-packets that have more segments than a batch,
// the first loses some and is counted; those after it lose nothing, but segments whose
// headers are too long, which are counted.
func TestManySegments(t *testing.T) {
	r := New(nil)
	h := newHop(r, Hop{Name: "entry", MTU: 1420, Addrs: addrs("10.1.0.2")}, nil)
	p := newPort(h)
	h.port.Store(p)
	r.table.Store(tableOf(t, addrs("192.0.2.1"), []Route{{Prefix: farNet, Hop: "entry"}}, h))
	r.hurried.Store(true) // nobody empties the ring: what does not fit drops at once
	super := func(segments, size int) (all [][]byte) {
		pkt := udp(netip.MustParseAddrPort("192.0.2.1:4000"), netip.AddrPortFrom(farNet.Addr().Next(), 7), make([]byte, size-28))
		for range segments {
			all = append(all, pkt)
		}
		return all
	}
	s := &splitter{supers: [][][]byte{
		super(rootBatch, 540),
		super(rootBatch+1, 540), // wireguard-go loses one that has a buffer too
		super(rootBatch+1, 540),
		super(mostSegments, 68),
		super(44, 1420),
		super(rootBatch+72, 800),
	}}
	if err := r.forward(s); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	want := uint64(rootBatch + rootBatch - 1 + rootBatch + 1 + mostSegments + 44 + rootBatch)
	if n := r.read.Load(); n != want+72 {
		t.Errorf("%d packets read, want %d", n, want+72)
	}
	if n := p.in.Put() + h.drops[dropRingFull].Load(); n != want {
		t.Errorf("%d packets reached the hop, want %d; it dropped %v, the router %v", n, want, h.drops.snapshot(), r.drops.snapshot())
	}
	if n := r.drops[dropSegments].Load(); n != 1+72 {
		t.Errorf("%d super-packets cut short and segments too long, want 1 and 72", n)
	}
}
