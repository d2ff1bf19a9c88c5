package packet

import (
	"encoding/binary"
	"math/bits"
)

// TCP options of RFC 9293.
const (
	tcpOptEnd = 0
	tcpOptNop = 1
	tcpOptMSS = 2 // length 4
)

// ClampMSS lowers the maximum segment size that a TCP SYN or SYN-ACK announces
// to mss, updates the checksum, and reports whether it did. Other packets, and
// a SYN without the option, stay as they are.
func ClampMSS(b []byte, m *Meta, mss uint16) bool {
	if m.TCPFlags&FlagSYN == 0 || m.Proto != ProtoTCP || m.FragOffset > 0 {
		return false
	}
	tcp := b[m.L4:m.Len]
	end := int(tcp[12]>>4) * 4 // bounded by Parse
	clamped := false
	for i := 20; i < end; {
		switch tcp[i] {
		case tcpOptEnd:
			return clamped
		case tcpOptNop:
			i++
			continue
		}
		if i+2 > end || tcp[i+1] < 2 || i+int(tcp[i+1]) > end {
			return clamped
		}
		if tcp[i] == tcpOptMSS && tcp[i+1] == 4 && clampMSS(tcp, i+2, mss) {
			clamped = true
		}
		i += int(tcp[i+1])
	}
	return clamped
}

// clampMSS lowers the MSS at tcp[at:].
func clampMSS(tcp []byte, at int, mss uint16) bool {
	old := binary.BigEndian.Uint16(tcp[at:])
	if old <= mss {
		return false
	}
	binary.BigEndian.PutUint16(tcp[at:], mss)
	if at%2 != 0 { // the value straddles two words of the sum
		old, mss = bits.ReverseBytes16(old), bits.ReverseBytes16(mss)
	}
	check := binary.BigEndian.Uint16(tcp[16:])
	binary.BigEndian.PutUint16(tcp[16:], Update(check, old, mss))
	return true
}
