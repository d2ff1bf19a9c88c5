package frag

import (
	"encoding/binary"

	"multihop/packet"
)

// Split4 cuts the IPv4 packet pkt into fragments of at most mtu bytes, whose
// identification is the packet's. m is what Parse found in pkt, with the
// verdict OK. A packet that is a fragment itself is cut further; one that fits
// is copied as it is.
//
// The i-th fragment is written to dst[i], which is cut to its length; the
// caller owns dst, whose buffers must not overlap pkt. Split4 returns how many
// there are. It reports false, and has written nothing, if the packet must not
// be cut (DF), if the first fragment would not hold the upper-layer header, or
// if dst has too few or too short buffers: mtu bytes are enough.
func Split4(dst [][]byte, pkt []byte, m *packet.Meta, mtu int) (n int, ok bool) {
	if m.Len <= mtu {
		return single(dst, pkt[:m.Len])
	}
	head, data := pkt[:m.L4], pkt[m.L4:m.Len]
	per := (mtu - len(head)) &^ 7
	if m.DF || !holdsUpper(per, pkt, m) || !room(dst, len(head), per, len(data)) {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(head[6:]) &^ (ipv4MF | ipv4FragOff)
	for off := 0; off < len(data); off += per {
		b := dst[n]
		h := copy(b, head)
		if off > 0 {
			h = ipv4HeaderLen + copiedOptions(b[ipv4HeaderLen:], head[ipv4HeaderLen:])
		}
		end := min(off+per, len(data))
		b = b[:h+copy(b[h:], data[off:end])]
		frag := flags | uint16((m.FragOffset+off)/8)
		if m.MF || end < len(data) {
			frag |= ipv4MF
		}
		setIPv4(b, h, frag)
		dst[n] = b
		n++
	}
	return n, true
}

// Split6 cuts the IPv6 packet pkt of this host's own, which has no extension
// headers, into fragments of at most mtu bytes with the identification id, as
// only a packet's source may (RFC 8200, section 4.5). Everything else is as
// for Split4. It also reports false for packets with extension headers,
// fragments among them.
func Split6(dst [][]byte, pkt []byte, m *packet.Meta, mtu int, id uint32) (n int, ok bool) {
	if m.Len <= mtu {
		return single(dst, pkt[:m.Len])
	}
	const head = ipv6HeaderLen + fragHeaderLen
	data := pkt[ipv6HeaderLen:m.Len]
	per := (mtu - head) &^ 7
	if m.L4 != ipv6HeaderLen || !holdsUpper(per, pkt, m) || !room(dst, head, per, len(data)) {
		return 0, false
	}
	for off := 0; off < len(data); off += per {
		end := min(off+per, len(data))
		b := dst[n][:head+end-off]
		copy(b, pkt[:ipv6HeaderLen])
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6HeaderLen))
		b[6] = extFragment

		f := b[ipv6HeaderLen:head]
		f[0], f[1] = m.Proto, 0
		frag := uint16(off)
		if end < len(data) {
			frag |= 1 // M
		}
		binary.BigEndian.PutUint16(f[2:], frag)
		binary.BigEndian.PutUint32(f[4:], id)
		copy(b[head:], data[off:end])
		dst[n] = b
		n++
	}
	return n, true
}

// single copies a packet that needs no cutting.
func single(dst [][]byte, pkt []byte) (n int, ok bool) {
	if len(dst) == 0 || len(dst[0]) < len(pkt) {
		return 0, false
	}
	dst[0] = dst[0][:copy(dst[0], pkt)]
	return 1, true
}

// holdsUpper reports whether the upper-layer header is in the first per bytes
// of the packet's data, so that the fragment passes where Parse judges it.
func holdsUpper(per int, pkt []byte, m *packet.Meta) bool {
	need := 8
	if m.FragOffset == 0 {
		need = max(need, headerLen(m.Proto))
		if m.Proto == packet.ProtoTCP {
			need = int(pkt[m.L4+12]>>4) * 4
		}
	}
	return per >= need
}

// room reports whether dst holds n bytes of data in fragments of per bytes,
// with a header of head bytes each.
func room(dst [][]byte, head, per, n int) bool {
	count := (n + per - 1) / per
	if len(dst) < count {
		return false
	}
	for _, b := range dst[:count] {
		if len(b) < head+min(per, n) {
			return false
		}
		n -= per
	}
	return true
}

// copiedOptions writes to dst those of the valid IPv4 options that belong in
// every fragment (RFC 791, section 3.1: the copied flag), padded to 4 bytes,
// and returns their length. dst has room for all.
func copiedOptions(dst, options []byte) int {
	const end, nop, copied = 0, 1, 0x80
	n := 0
	for len(options) > 0 && options[0] != end {
		size := 1
		if options[0] != nop {
			size = int(options[1])
		}
		if options[0]&copied != 0 {
			n += copy(dst[n:], options[:size])
		}
		options = options[size:]
	}
	for n%4 != 0 {
		dst[n] = end
		n++
	}
	return n
}
