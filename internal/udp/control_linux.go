package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of control messages, in bytes.
func sourceSize() int { return unix.CmsgSpace(unix.SizeofInet6Pktinfo) } // the larger one
func gsoSize() int    { return unix.CmsgSpace(2) }                       // a uint16

// receiveControl is the room for control messages that arrive: a source, a
// segment size, and what Control may have asked for.
const receiveControl = 256

// appendMessage appends a control message with n bytes of data to b, and returns
// b and the data.
func appendMessage(b []byte, level, typ int32, n int) (all, data []byte) {
	at := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(n))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[at]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(n))
	return b, b[at+unix.CmsgLen(0):][:n]
}

// appendSource appends the control message that sends from src.
func appendSource(b []byte, src source, is4 bool) []byte {
	if is4 {
		b, data := appendMessage(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
		info.Ifindex, info.Spec_dst = int32(src.index), [4]byte(src.addr[:4])
		return b
	}
	b, data := appendMessage(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(unsafe.SliceData(data)))
	info.Ifindex, info.Addr = src.index, src.addr
	return b
}

// appendGSO appends the control message that cuts into segments of size bytes.
func appendGSO(b []byte, size uint16) []byte {
	b, data := appendMessage(b, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, size)
	return b
}

// parseControl returns what control messages say: where the datagram arrived,
// and the size of the segments that it was joined from; 0: it was not. What is
// missing or malformed is zero.
func parseControl(b []byte) (src source, segment int) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return src, segment
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: index, local address for the answer, destination
			src.index = binary.NativeEndian.Uint32(data)
			copy(src.addr[:4], data[4:])
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: destination, index
			src.index = binary.NativeEndian.Uint32(data[16:])
			copy(src.addr[:], data)
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = max(int(int32(binary.NativeEndian.Uint32(data))), 0)
		}
		b = rest
	}
	return src, segment
}
