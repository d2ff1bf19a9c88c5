package naive

import (
	"encoding/binary"
	"net/netip"
)

// A Build says what Packet makes.
type Build struct {
	Src, Dst         netip.Addr // of one family
	Proto            byte       // 1 (58 for IPv6), 6, 17, or any other
	SrcPort, DstPort uint16
	Payload          []byte
	DF               bool
	SYN              int  // of TCP: an MSS; 0: it is no SYN
	NoSum            bool // UDP over IPv4 without a checksum
}

// Packet makes a packet with right checksums.
func (b *Build) Packet() []byte {
	var upper []byte
	ports := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, b.SrcPort), b.DstPort)
	switch b.Proto {
	case 1:
		upper = append([]byte{8, 0, 0, 0}, ports...)
	case 58:
		upper = append([]byte{128, 0, 0, 0}, ports...)
	case 6:
		upper = append(ports, make([]byte, 16)...)
		upper[12], upper[13] = 5<<4, 16
		if b.SYN != 0 {
			upper[12], upper[13] = 6<<4, 2
			upper = append(upper, 2, 4, byte(b.SYN>>8), byte(b.SYN))
		}
	case 17:
		n := 8 + len(b.Payload)
		upper = append(ports, byte(n>>8), byte(n), 0, 0)
		if !b.NoSum || b.Dst.Is6() {
			upper[6] = 1 // to be filled in
		}
	}
	upper = append(upper, b.Payload...)
	var head []byte
	if b.Dst.Is4() {
		head = make([]byte, 20)
		head[0], head[8], head[9] = 0x45, 64, b.Proto
		binary.BigEndian.PutUint16(head[2:], uint16(20+len(upper)))
		if b.DF {
			head[6] = 0x40
		}
		copy(head[12:], b.Src.AsSlice())
		copy(head[16:], b.Dst.AsSlice())
	} else {
		head = make([]byte, 40)
		head[0], head[6], head[7] = 0x60, b.Proto, 64
		binary.BigEndian.PutUint16(head[4:], uint16(len(upper)))
		copy(head[8:], b.Src.AsSlice())
		copy(head[24:], b.Dst.AsSlice())
	}
	p := read(append(head, upper...))
	p.sum()
	return p.data
}
