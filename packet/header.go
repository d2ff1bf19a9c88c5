package packet

import (
	"encoding/binary"
	"net/netip"
)

// putIPv4 writes an option-less header for the packet b, all of it.
func putIPv4(b []byte, src, dst netip.Addr, proto, tos uint8, id, frag uint16) {
	b[0] = 4<<4 | ipv4HeaderLen/4
	b[1] = tos
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], frag)
	b[8] = defaultTTL
	b[9] = proto
	b[10], b[11] = 0, 0
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	binary.BigEndian.PutUint16(b[10:], ^Fold(Sum(b[:ipv4HeaderLen], 0)))
}

// putIPv6 writes the header for the packet b, all of it.
func putIPv6(b []byte, src, dst netip.Addr, proto uint8) {
	binary.BigEndian.PutUint32(b[0:], 6<<28)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6HeaderLen))
	b[6] = proto
	b[7] = defaultTTL
	s, d := src.As16(), dst.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
}
