package router

import (
	"encoding/binary"
	"net/netip"

	"multihop/router/internal/naive"
)

// tagOf returns the tag at the end of a packet.
func tagOf(pkt []byte) (uint64, bool) {
	n := len(pkt)
	if n < 12 || binary.BigEndian.Uint32(pkt[n-12:]) != tagMark {
		return 0, false
	}
	return binary.BigEndian.Uint64(pkt[n-8:]), true
}

// payload returns one that ends in a tag.
func (f *forest) payload(tag uint64) []byte {
	n := f.rnd.IntN(100)
	if f.rnd.IntN(3) == 0 {
		n = f.rnd.IntN(1430)
	}
	b := tagged(n+32, tag)
	for i := range len(b) - 12 {
		b[i] = byte(f.rnd.Uint32())
	}
	return b
}

// tagged returns n bytes that end in a tag.
func tagged(n int, tag uint64) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b[len(b)-12:], tagMark)
	binary.BigEndian.PutUint64(b[len(b)-8:], tag)
	return b
}

// packet returns a random packet between two addresses of one family.
func (f *forest) packet(src, dst netip.Addr, tag uint64) []byte {
	b := naive.Build{Src: src, Dst: dst, SrcPort: uint16(1024 + f.rnd.IntN(10000)), DstPort: uint16(1 + f.rnd.IntN(10000)),
		Payload: f.payload(tag), DF: true, NoSum: f.rnd.IntN(8) == 0}
	b.Proto = []byte{17, 17, 17, 6, 6, 1, 47, 132}[f.rnd.IntN(8)]
	if b.Proto == 1 && dst.Is6() {
		b.Proto = 58
	}
	if b.Proto == 6 && f.rnd.IntN(2) == 0 {
		b.SYN = 500 + f.rnd.IntN(1000)
	}
	return b.Packet()
}

// outbound returns a random packet of a program of this host.
func (f *forest) outbound(tag uint64) []byte {
	dst := f.somewhere()
	switch f.rnd.IntN(20) {
	case 0:
		dst = addrs("224.0.0.251", "ff02::fb", "255.255.255.255")[f.rnd.IntN(3)]
	case 1:
		dst = addrs("192.168.77.1", "2001:db8:99::1")[f.rnd.IntN(2)]
	case 2:
		dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Endpoint
	}
	src := addrs("10.0.0.1")[0]
	if dst.Is6() {
		src = addrs("fd00::1")[0]
	}
	if f.rnd.IntN(12) == 0 {
		src = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[0]
		if dst.Is6() {
			src = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[1]
		}
	}
	pkt := f.packet(src, dst, tag)
	if f.rnd.IntN(20) == 0 { // malformed in one way or another
		switch f.rnd.IntN(3) {
		case 0:
			pkt = pkt[:len(pkt)-1-f.rnd.IntN(10)]
		case 1:
			pkt[0] = pkt[0]&0x0f | 0x50
		case 2:
			pkt = pkt[:20+f.rnd.IntN(8)]
		}
	}
	return pkt
}

// inbound returns a random packet of the peer of a hop: honest, or not.
func (f *forest) inbound(h *naive.Hop, tag uint64) []byte {
	src, dst := f.somewhere(), h.Addrs[0]
	for tries := 0; tries < 30 && f.model.Serves(src) != h.Name; tries++ {
		src = f.somewhere() // rather one of its own
	}
	switch f.rnd.IntN(12) {
	case 3, 4:
		src = f.somewhere()
	case 0:
		src = addrs("127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "::", "ff02::1", "240.0.0.1", "192.168.1.1")[f.rnd.IntN(8)]
	case 1:
		other := f.model.Hops[f.rnd.IntN(len(f.model.Hops))]
		src = other.Addrs[f.rnd.IntN(2)]
	case 2:
		src = f.model.TUN[f.rnd.IntN(len(f.model.TUN))]
	}
	if src.Is6() {
		dst = h.Addrs[1]
	}
	switch f.rnd.IntN(10) {
	case 0:
		dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[0]
		if src.Is6() {
			dst = f.model.Hops[f.rnd.IntN(len(f.model.Hops))].Addrs[1]
		}
	case 1:
		for _, a := range f.model.TUN {
			if a.Is4() == src.Is4() {
				dst = a
			}
		}
	case 2:
		if dst = addrs("192.168.1.2")[0]; src.Is6() {
			dst = addrs("2001:db8:77::1")[0]
		}
	}
	return f.packet(src, dst, tag)
}
